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
    public const FEATURES_MOST = 200;
    public const COUNT_MOST = 4294967295;
    private const PER_MODULE = 8;
    private const BATCH = 500;
    private const BATCH_BYTES = 900000;
    // The collector recognizes a beacon for 30 days. After that a retry could count twice.
    private const KEPT = 29 * Clock::DAY;
    private const AHEAD = 2 * Clock::DAY;
    private const BREAKER_FIRST = 300;
    private const BREAKER_LONGEST = 14400;
    private const LOG = 20;

    /**
     * Gives each part of a state its type. A part that is not of its type is as good as none.
     *
     * @param array<string, mixed> $state
     * @return array<string, mixed>
     */
    public static function healed(array $state): array
    {
        $whole = [
            'format' => 1, 'install_id' => '', 'place' => '', 'moved' => '', 'due_at' => 0, 'last_due' => 0,
            'modules' => [], 'queue' => [], 'flight' => [], 'batch' => self::BATCH, 'failures' => 0, 'until' => 0,
            'log' => [], 'logs' => [], 'web' => [], 'machine' => [], 'objected' => 0, 'lost' => '', 'expiring' => 0,
            'refused' => 0, 'error' => '',
        ];
        foreach ($whole as $part => $nothing) {
            if (\gettype($state[$part] ?? null) !== \gettype($nothing)) {
                $state[$part] = $nothing;
            }
        }
        $state['install_id'] = self::isId($state['install_id']) ? $state['install_id'] : '';
        $state['queue'] = array_values(array_filter($state['queue'], static function ($each): bool {
            return isset($each['id'], $each['module'], $each['due'], $each['beacon'])
                && \is_int($each['due']) && \is_array($each['beacon']) && \is_string($each['module']);
        }));
        $state['modules'] = array_filter($state['modules'], 'is_array');
        foreach ($state['modules'] as $module => $known) {
            $days = \is_array($known['counts'] ?? null) ? array_filter($known['counts'], 'is_array') : [];
            foreach ($days as $day => $counts) {
                $days[$day] = array_filter($counts, 'is_int');
            }
            $state['modules'][$module]['counts'] = $days;
        }
        $state['web'] = array_filter($state['web'], 'is_string');
        if (!\is_string($state['machine']['os']['family'] ?? null)) {
            $state['machine'] = [];
        }
        return $state;
    }

    /** @param mixed $value */
    public static function isId($value): bool
    {
        return \is_string($value) && preg_match('/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/D', $value) === 1;
    }

    /**
     * Adds lines of counts to the modules' days. Each line is `{"m": module, "d": day, "c": {feature: uses}}`.
     *
     * @param array<string, mixed> $state
     * @param string[] $lines
     */
    public static function ingest(array &$state, array $lines): void
    {
        $cut = 0;
        foreach ($lines as $text) {
            $line = json_decode($text, true);
            if (!\is_array($line) || isset($line['cut'])) {
                $cut += \is_array($line) ? -1 : 1;
                continue;
            }
            if (!isset($line['m'], $line['d'], $line['c']) || !\is_array($line['c'])) {
                continue;  // a file's first line
            }
            if (\is_array($line['p'] ?? null)) {
                $state['web'] = array_filter($line['p'], 'is_string');
            }
            self::give($state, (string) $line['m'], (string) $line['d'], $line['c']);
        }
        $state['lost'] = $cut > 0 ? 'line' : $state['lost'];
    }

    /**
     * Adds counts to a module's day.
     *
     * @param array<string, mixed> $state
     * @param array<mixed> $counts
     */
    public static function give(array &$state, string $module, string $day, array $counts): void
    {
        foreach ($counts as $feature => $uses) {
            if (\is_int($uses) && $uses > 0 && preg_match('/^[a-z][a-z0-9_.]{0,63}$/D', (string) $feature)) {
                $have = $state['modules'][$module]['counts'][$day][$feature] ?? 0;
                $state['modules'][$module]['counts'][$day][$feature] = $have + $uses;
            }
        }
    }

    /**
     * Makes the beacons that are due. While the cron rests, each day that passes has one if something was counted; the
     * last has one in any case.
     *
     * @param array<string, mixed> $state
     * @param array<string, array<string, mixed>> $bodies by module, all of a beacon but ids, time, reason and features
     * @return bool whether anything was due
     */
    public static function make(array &$state, array $bodies, int $now): bool
    {
        $due = $state['due_at'];
        if ($due === 0 || $due > $now + self::AHEAD) {
            $due = $now;  // the first, or a wrong clock has been put right
        }
        $times = [];
        for ($time = $due; $time <= $now && \count($times) < 400; $time += Clock::DAY) {
            $times[] = $time;
        }
        $times = \array_slice($times, -self::PER_MODULE);
        $made = false;
        foreach ($bodies as $module => $body) {
            $known = $state['modules'][$module] ?? [];
            $fresh = empty($known['sent']);
            $version = $body['module']['version'];
            $newer = !$fresh && ($known['version'] ?? $version) !== $version;
            $reason = $fresh ? 'activate' : ($newer ? 'upgrade' : 'heartbeat');
            $when = $times !== [] ? $times : ($fresh || $newer ? [$now] : []);
            foreach ($when as $turn => $time) {
                $last = $turn === \count($when) - 1;
                self::late($state, $module, Clock::date($time));
                $features = self::take($state, $module, $last ? '' : Clock::date($time));
                if ($last || $features !== []) {
                    self::push($state, $module, $time, $last ? $reason : 'heartbeat', $body, $features);
                    $made = true;
                }
            }
            $state['modules'][$module]['version'] = $version;
            $state['modules'][$module]['sent'] = $when !== [] ? true : !$fresh;
        }
        if ($times !== []) {
            $state['last_due'] = (int) end($times);
            $state['due_at'] = $state['last_due'] + Clock::DAY;
        }
        return $made;
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
        $id = self::uuid();
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
     * Returns the beacons to send: those whose fate is unknown, otherwise the oldest.
     *
     * @param array<string, mixed> $state
     * @return array<int, array<string, mixed>>
     */
    public static function batch(array &$state): array
    {
        $ids = array_flip($state['flight']);
        $flight = [];
        $bytes = 0;
        foreach ($state['queue'] as $each) {
            if ($ids !== [] && !isset($ids[$each['id']])) {
                continue;
            }
            $bytes += \strlen((string) json_encode($each['beacon']));
            if ($ids === [] && $flight !== [] && (\count($flight) >= $state['batch'] || $bytes > self::BATCH_BYTES)) {
                break;
            }
            $flight[] = $each;
        }
        $state['flight'] = array_column($flight, 'id');
        return $flight;
    }

    /** @param array<int, array<string, mixed>> $flight */
    public static function body(array $flight): string
    {
        $beacons = array_column($flight, 'beacon');
        return json_encode(\count($beacons) === 1 ? $beacons[0] : $beacons, JSON_THROW_ON_ERROR);
    }

    /**
     * Settles a batch by the collector's answer.
     *
     * @param array<string, mixed> $state
     * @param array<int, array<string, mixed>> $flight
     * @param array<string, mixed> $answer of Transport
     */
    public static function settle(array &$state, array $flight, array $answer, int $now): Result
    {
        $json = $answer['json'];
        $status = $answer['status'];
        $given = $json['reason'] ?? null;
        $given = \is_string($given) && preg_match('/^[a-z_]{1,64}$/D', $given) ? $given : null;
        if ($status === 202 && \is_int($json['accepted'] ?? null)) {
            $result = self::stored($state, $flight, $json, $now);
        } elseif (\in_array($status, [413, 422], true) && $given !== null) {
            $listed = \is_array($json['rejected'] ?? null) ? $json['rejected'] : null;
            if ($listed === null && \count($flight) > 1) {
                $state['batch'] = max(1, intdiv(\count($flight), 2));  // the batch is the fault, not a beacon
                $state['flight'] = [];
                $result = new Result(Result::QUEUED, $given);
            } else {
                $rejected = self::judge($state, $flight, $listed ?? [['index' => 0] + $json]);
                $result = new Result(Result::REJECTED, $given, ['rejected' => $rejected]);
            }
            $state['failures'] = 0;
        } else {
            $reason = $answer['reason'] ?? $given ?? ($status === 202 ? 'bad_answer' : "http_$status");
            $wait = min(self::BREAKER_LONGEST, self::BREAKER_FIRST << min($state['failures'], 12));
            $state['failures']++;
            $wait = max(random_int(intdiv($wait, 2), $wait), min(Clock::DAY, $answer['retry_after']));
            $state['until'] = $now + $wait;
            $result = new Result(Result::FAILED, $reason, ['next_in' => $wait]);
        }
        $state['error'] = $result->status() === Result::SENT ? '' : (string) $result->reason();
        array_unshift($state['log'], [
            'at' => $now, 'status' => $result->status(), 'reason' => $result->reason(),
            'beacons' => array_map(static function (array $beacon): array {
                return ['install_id' => '(secret)'] + $beacon;
            }, array_column(\array_slice($flight, 0, self::LOG), 'beacon')),
        ]);
        $kept = 0;
        foreach ($state['log'] as $turn => $entry) {
            $kept += max(1, \count($entry['beacons']));
            if ($turn > 0 && $kept > self::LOG) {
                $state['log'] = \array_slice($state['log'], 0, $turn);
                break;
            }
        }
        return $result;
    }

    /** Returns the seconds until the breaker closes. A time too far ahead is a wrong clock's. @param array<mixed> $state */
    public static function closedIn(array $state, int $now): int
    {
        $wait = $state['until'] - $now;
        return $wait > Clock::DAY ? 0 : max(0, $wait);
    }

    /** Returns the seconds until the next beacon is due. @param array<mixed> $state */
    public static function dueIn(array $state, int $now): int
    {
        $wait = $state['due_at'] - $now;
        return $wait > self::AHEAD ? 0 : max(0, $wait);
    }

    public static function uuid(): string
    {
        $bytes = random_bytes(16);
        $bytes[6] = \chr(\ord($bytes[6]) & 0x0f | 0x40);
        $bytes[8] = \chr(\ord($bytes[8]) & 0x3f | 0x80);
        return vsprintf('%s%s-%s-%s-%s-%s%s%s', str_split(bin2hex($bytes), 4));
    }

    /** Returns what the next beacon would count, and changes nothing. @return array<string, int> @param array<mixed> $state */
    public static function counted(array $state, string $module): array
    {
        return self::take($state, $module, '');
    }

    /**
     * Takes a module's counts up to a day, of all days for ''. What no beacon can hold stays.
     *
     * @param array<string, mixed> $state
     * @return array<string, int>
     */
    private static function take(array &$state, string $module, string $until): array
    {
        $days = $state['modules'][$module]['counts'] ?? [];
        $days = \is_array($days) ? $days : [];
        ksort($days);
        $features = [];
        foreach ($days as $day => $counts) {
            if ($until === '' || $day <= $until) {
                self::move($days[$day], $features);
            }
        }
        $state['modules'][$module]['counts'] = array_filter($days);
        return $features;
    }

    /**
     * Adds counts to features as far as a beacon holds them; what is left stays in counts.
     *
     * @param array<string, int> $counts
     * @param array<string, int> $features
     */
    private static function move(array &$counts, array &$features): void
    {
        foreach ($counts as $feature => $uses) {
            $have = $features[$feature] ?? 0;
            if ($have === 0 && \count($features) >= self::FEATURES_MOST) {
                continue;
            }
            $features[$feature] = min(self::COUNT_MOST, $have + $uses);
            $left = $have + $uses - $features[$feature];
            if ($left > 0) {
                $counts[$feature] = $left;
            } else {
                unset($counts[$feature]);
            }
        }
    }

    /**
     * Adds what was counted later on a day to that day's beacon, if it still waits and was never sent.
     *
     * @param array<string, mixed> $state
     */
    private static function late(array &$state, string $module, string $today): void
    {
        foreach ($state['queue'] as &$each) {
            $day = Clock::date($each['due']);
            $counts = $state['modules'][$module]['counts'][$day] ?? null;
            if (
                $each['module'] === $module && $day < $today && \is_array($counts)
                && !\in_array($each['id'], $state['flight'], true) && isset($each['beacon']['server'])
            ) {
                $features = $each['beacon']['features'] ?? [];
                self::move($state['modules'][$module]['counts'][$day], $features);
                $each['beacon']['features'] = $features;
            }
        }
        unset($each);
        $days = $state['modules'][$module]['counts'] ?? [];
        $state['modules'][$module]['counts'] = array_filter(\is_array($days) ? $days : []);
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
        self::move($older, $features);
        if ($features !== []) {
            $newer['beacon']['features'] = $features;
        }
        self::give($state, $module, Clock::date($newer['due']), $older);
        unset($newer, $state['queue'][$places[$turn]]);
        $state['queue'] = array_values($state['queue']);
    }

    /**
     * @param array<string, mixed> $state
     * @param array<int, array<string, mixed>> $flight
     * @param array<string, mixed> $json
     */
    private static function stored(array &$state, array $flight, array $json, int $now): Result
    {
        $listed = \is_array($json['rejected'] ?? null) ? $json['rejected'] : [];
        $rejected = self::judge($state, $flight, $listed);
        $number = static function (string $name) use ($json): int {
            return \is_int($json[$name] ?? null) ? max(0, $json[$name]) : 0;
        };
        $nextIn = \is_int($json['next_in'] ?? null) ? max(60, min(self::AHEAD, $json['next_in'])) : Clock::DAY;
        // A tenth early: a daily cron that comes a minute sooner than yesterday would skip a day.
        if ($state['queue'] === []) {
            $state['due_at'] = ($state['last_due'] ?: $now) + intdiv($nextIn * 9, 10);
        }
        $state['failures'] = 0;
        $state['until'] = 0;
        $status = Result::SENT;
        if ($rejected !== []) {
            $status = Result::REJECTED;
        } elseif ($number('objected') > 0) {
            $status = Result::OBJECTED;
            $state['objected'] = $now;
        } elseif ($number('undeclared') > 0) {
            $status = Result::UNDECLARED;
        }
        return new Result($status, $rejected[0]['reason'] ?? null, [
            'accepted' => $number('accepted'), 'duplicates' => $number('duplicates'), 'rejected' => $rejected,
            'objected' => $number('objected'), 'undeclared' => $number('undeclared'), 'next_in' => $nextIn,
        ]);
    }

    /**
     * Removes the batch from the queue. A rejected beacon is never sent again. Its counts go with it if they are the
     * fault; otherwise the next beacon has them.
     *
     * @param array<string, mixed> $state
     * @param array<int, array<string, mixed>> $flight
     * @param array<mixed> $listed
     * @return array<int, array<string, string>>
     */
    private static function judge(array &$state, array $flight, array $listed): array
    {
        $rejected = [];
        foreach ($listed as $each) {
            $index = \is_array($each) ? $each['index'] ?? null : null;
            if (!\is_int($index) || !isset($flight[$index])) {
                continue;
            }
            $beacon = $flight[$index]['beacon'];
            $told = ['module' => $flight[$index]['module']];
            foreach (['reason', 'path', 'detail'] as $name) {
                $told[$name] = \is_string($each[$name] ?? null) ? substr($each[$name], 0, 200) : '';
            }
            $rejected[] = $told;
            if (strpos($told['path'], 'features') !== 0) {
                $day = Clock::date($flight[$index]['due']);
                self::give($state, $flight[$index]['module'], $day, $beacon['features'] ?? []);
            }
        }
        $state['refused'] += \count($rejected);
        $ids = array_flip(array_column($flight, 'id'));
        self::drop($state, static function (array $each) use ($ids): bool {
            return isset($ids[$each['id']]);
        });
        return $rejected;
    }
}
