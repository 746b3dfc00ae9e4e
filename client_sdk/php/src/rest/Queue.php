<?php

declare(strict_types=1);

namespace Pharos;

/**
 * @internal What the state turns into: counts become beacons when they are due, beacons wait until the collector has
 * judged them. Pure: no clock, no file, no network.
 *
 * Only the beacons of `flight` were ever sent. Their fate may be unknown, so they are sent again unchanged, and nothing
 * else is sent before they are settled. All others may still be merged.
 */
final class Queue
{
    private const PER_MODULE = 8;
    private const BATCH_BYTES = 900000;
    // The collector recognizes a beacon for 30 days. After that a retry could count twice.
    private const KEPT = 29 * Clock::DAY;

    /**
     * Makes the beacons that are due: one for now, and before it one for each day that is over and has counts which no
     * beacon has. So a use after the day's beacon still counts on its day.
     *
     * @param array<string, mixed> $state
     * @param array<string, array<string, mixed>> $bodies by module, all of a beacon but ids, time, reason and features
     * @return bool whether anything was due
     */
    public static function make(array &$state, array $bodies, int $now): bool
    {
        $due = State::due($state);
        if ($due === 0 || $due > $now + State::AHEAD) {
            $due = $now;  // the first, or a wrong clock has been put right
        }
        $heartbeat = $due <= $now;
        $time = $heartbeat ? $now - ($now - $due) % Clock::DAY : $now;  // a cron that rested is as late as it is
        $made = false;
        foreach ($bodies as $module => $body) {
            $known = $state['modules'][$module] ?? [];
            $fresh = empty($known['sent']);
            $version = $body['module']['version'];
            $newer = !$fresh && ($known['version'] ?? $version) !== $version;
            if ($heartbeat || $fresh || $newer || State::isDue($state, $module, $now)) {
                $then = $known['body'] ?? null;
                $same = \is_array($then) && ($then['consent'] ?? null) === $body['consent'];
                self::past($state, $module, $time, $same ? $then : $body);
                $today = Clock::date($time);
                $features = Counts::take($state, $module, $today === Clock::date($now) ? '' : $today);
                $reason = $fresh ? 'activate' : ($newer ? 'upgrade' : 'heartbeat');
                self::push($state, $module, $time, $reason, $body, $features);
                $state['modules'][$module]['sent'] = true;
                $made = true;
            }
            $state['modules'][$module]['round'] = $heartbeat ? $time : $state['last_due'];
            $state['modules'][$module]['version'] = $version;
            $state['modules'][$module]['body'] = $body;
        }
        if ($heartbeat) {
            $state['last_due'] = $time;
            $state['due_at'] = $time + Clock::DAY;
        }
        return $made;
    }

    /**
     * Makes the last beacon of a module that is deactivated. Its next one is an activation.
     *
     * @param array<string, mixed> $state
     * @param array<string, mixed> $body
     */
    public static function leave(array &$state, string $module, array $body, int $now): void
    {
        $full = $body['consent']['level'] === 'full';
        if ($full) {
            self::past($state, $module, $now, $body);
        }
        self::push($state, $module, $now, 'deactivate', $body, $full ? Counts::take($state, $module, '') : []);
        $state['modules'][$module]['sent'] = false;
    }

    /**
     * Tells the counts of days that are over: in the day's beacon if it still waits and was never sent, otherwise in one
     * of their own that is due at the end of the day.
     *
     * @param array<string, mixed> $state
     * @param array<string, mixed> $body what was known then
     */
    private static function past(array &$state, string $module, int $time, array $body): void
    {
        foreach (Counts::days($state, $module, Clock::date($time)) as $day => $end) {
            foreach ($state['queue'] as $place => $each) {
                if (
                    $each['module'] === $module && Clock::date($each['due']) === $day && isset($each['beacon']['server'])
                    && !\in_array($each['id'], $state['flight'], true)
                ) {
                    $features = $each['beacon']['features'] ?? [];
                    Counts::move($state['modules'][$module]['counts'][$day], $features);
                    $state['queue'][$place]['beacon']['features'] = $features;
                }
            }
            $features = Counts::take($state, $module, $day);
            if ($features !== []) {
                self::push($state, $module, $end, 'heartbeat', $body, $features);
            }
        }
    }

    /**
     * Puts aside all that waits, until it is known whether it is this install's or that of the original of a copy.
     *
     * @param array<string, mixed> $state
     */
    public static function putAside(array &$state): void
    {
        self::bringBack($state);
        $counts = [];
        foreach ($state['modules'] as $module => $known) {
            $counts[$module] = $known['counts'];
            $state['modules'][$module]['counts'] = [];
        }
        $state['aside'] = ['queue' => $state['queue'], 'flight' => $state['flight'], 'counts' => $counts];
        $state['queue'] = $state['flight'] = [];
    }

    /** Brings back what was put aside. @param array<string, mixed> $state */
    public static function bringBack(array &$state): void
    {
        $aside = $state['aside'] + ['queue' => [], 'flight' => [], 'counts' => []];
        $state['aside'] = [];
        $state['queue'] = array_merge($aside['queue'], $state['queue']);
        $state['flight'] = array_merge($aside['flight'], $state['flight']);
        foreach (array_filter($aside['counts'], 'is_array') as $module => $days) {
            foreach (array_filter($days, 'is_array') as $day => $counts) {
                Counts::give($state, (string) $module, (string) $day, $counts);
            }
        }
        $state = State::healed($state);
    }

    /**
     * Puts a beacon into the queue.
     *
     * @param array<string, mixed> $state
     * @param array<string, mixed> $body
     * @param array<string, int> $features
     */
    public static function push(
        array &$state,
        string $module,
        int $due,
        string $reason,
        array $body,
        array $features
    ): void {
        $id = State::uuid();
        $beacon = [
            'schema' => 1, 'beacon_id' => $id, 'install_id' => $state['install_id'],
            'sent_at' => gmdate('Y-m-d\TH:i:s\Z', $due), 'reason' => $reason,
        ] + $body;
        if ($features !== []) {
            $beacon['features'] = $features;
        }
        $state['queue'][] = ['id' => $id, 'module' => $module, 'due' => $due, 'beacon' => $beacon];
        self::merge($state, $module);
    }

    /**
     * Gives up what is too old, if a second reading of the clock an hour later says so too: a clock that is wrong once
     * must not empty the queue.
     *
     * @param array<string, mixed> $state
     * @return bool whether the queue may be sent now
     */
    public static function expire(array &$state, int $now): bool
    {
        $old = static function (array $each) use ($now): bool {
            return $each['due'] < $now - self::KEPT;
        };
        if (array_filter($state['queue'], $old) === []) {
            $state['expiring'] = 0;
            return true;
        }
        $since = $state['expiring'];
        if ($since === 0 || $since > $now) {
            $state['expiring'] = $now;
            return false;
        }
        if ($now - $since < 3600) {
            return false;
        }
        self::drop($state, $old);
        $state['expiring'] = 0;
        $state['lost'] = 'old';
        return true;
    }

    /**
     * Drops the beacons that $which names.
     *
     * @param array<string, mixed> $state
     */
    public static function drop(array &$state, callable $which): void
    {
        $state['queue'] = array_values(array_filter($state['queue'], static function (array $each) use ($which): bool {
            return !$which($each);
        }));
        $state['flight'] = array_values(array_intersect($state['flight'], array_column($state['queue'], 'id')));
    }

    /**
     * Returns the waiting beacons that this copy sends. A module whose own copy has another key waits for that one.
     *
     * @param array<string, mixed> $state
     * @return array<int, array<string, mixed>>
     */
    public static function mine(array $state): array
    {
        return array_values(array_filter($state['queue'], static function (array $each) use ($state): bool {
            return ($state['modules'][$each['module']]['by'] ?? State::access()) === State::access();
        }));
    }

    /**
     * Returns the beacons to send: those whose fate is unknown, otherwise the oldest.
     *
     * @param array<string, mixed> $state
     * @return array<int, array<string, mixed>>
     */
    public static function batch(array &$state): array
    {
        $mine = self::mine($state);
        $ids = array_flip(array_intersect($state['flight'], array_column($mine, 'id')));
        $flight = [];
        $bytes = 0;
        foreach ($mine as $each) {
            if ($ids !== [] && !isset($ids[$each['id']])) {
                continue;
            }
            $bytes += \strlen((string) json_encode($each['beacon']));
            if ($ids === [] && $flight !== [] && (\count($flight) >= $state['batch'] || $bytes > self::BATCH_BYTES)) {
                break;
            }
            $flight[] = $each;
        }
        $state['flight'] = array_values(array_unique(array_merge($state['flight'], array_column($flight, 'id'))));
        return $flight;
    }

    /** @param array<int, array<string, mixed>> $flight */
    public static function body(array $flight): string
    {
        $beacons = array_column($flight, 'beacon');
        return json_encode(\count($beacons) === 1 ? $beacons[0] : $beacons, JSON_THROW_ON_ERROR);
    }

    /**
     * Merges the oldest two of a module while it has too many that were never sent: first two of one day.
     *
     * @param array<string, mixed> $state
     */
    private static function merge(array &$state, string $module): void
    {
        $places = [];
        foreach ($state['queue'] as $place => $each) {
            if ($each['module'] === $module && !\in_array($each['id'], $state['flight'], true)) {
                $places[] = $place;
            }
        }
        if (\count($places) <= self::PER_MODULE) {
            return;
        }
        $turn = 0;
        for ($i = 0; $i + 1 < \count($places); $i++) {
            $days = [];
            foreach ([$places[$i], $places[$i + 1]] as $place) {
                $days[] = Clock::date($state['queue'][$place]['due']);
            }
            if ($days[0] === $days[1]) {
                $turn = $i;
                break;
            }
        }
        $older = $state['queue'][$places[$turn]]['beacon']['features'] ?? [];
        $newer = &$state['queue'][$places[$turn + 1]];
        $features = $newer['beacon']['features'] ?? [];
        Counts::move($older, $features);
        if ($features !== []) {
            $newer['beacon']['features'] = $features;
        }
        Counts::give($state, $module, Clock::date($newer['due']), $older);
        unset($newer, $state['queue'][$places[$turn]]);
        $state['queue'] = array_values($state['queue']);
    }
}
