<?php

declare(strict_types=1);

namespace Pharos;

/** @internal What the cron keeps between its runs. Pure: no clock, no file, no network. */
final class State
{
    public const AHEAD = 2 * Clock::DAY;  // a due time further ahead is a wrong clock's
    private const BATCH = 500;
    public const SOON = 60;  // the longest wait with a development key, in seconds

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
            'log' => [], 'logs' => [], 'web' => [], 'machine' => [], 'objected' => 0, 'lost' => '', 'lost_since' => 0,
            'expiring' => 0, 'refused' => 0, 'error' => '', 'aside' => [], 'shut' => [],
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
        $state['aside'] = array_filter($state['aside'], 'is_array');
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

    /**
     * Keeps word of what a run has found to be lost for a week.
     *
     * @param array<string, mixed> $state
     * @param string $before what earlier runs had found
     */
    public static function remember(array &$state, string $before, int $now): void
    {
        if ($state['lost'] !== '' || ($before !== '' && $state['lost_since'] === 0)) {
            $state['lost'] = $state['lost'] ?: $before;
            $state['lost_since'] = $now;
        } elseif (abs($now - $state['lost_since']) < 7 * Clock::DAY) {
            $state['lost'] = $before;
        }
    }

    /** @param mixed $value */
    public static function isId($value): bool
    {
        return \is_string($value) && preg_match('/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/D', $value) === 1;
    }

    /**
     * Returns the seconds until this copy may send: after an outage, or after its own key was refused. A time too far
     * ahead is a wrong clock's.
     *
     * @param array<mixed> $state
     */
    public static function closedIn(array $state, int $now): int
    {
        $longest = 0;
        foreach ([$state['until'], $state['shut'][self::access()] ?? 0] as $until) {
            $wait = (int) $until - $now;
            $longest = max($longest, $wait > Clock::DAY ? 0 : $wait);
        }
        return $longest;
    }

    /** Names the collector and the key of this copy. */
    public static function access(): string
    {
        return substr(sha1(Config::COLLECTOR . ' ' . Config::KEY), 0, 12);
    }

    /** Returns the seconds until the next beacon is due. @param array<mixed> $state */
    public static function dueIn(array $state, int $now): int
    {
        $wait = self::due($state) - $now;
        return $wait > self::AHEAD ? 0 : max(0, $wait);
    }

    /**
     * Returns whether a module has a beacon to make: one that is due for all, or the last one that was, which the module
     * has missed because another copy of the client, with modules of its own, made it.
     *
     * @param array<mixed> $state
     */
    public static function isDue(array $state, string $module, int $now): bool
    {
        return self::dueIn($state, $now) === 0 || ($state['modules'][$module]['round'] ?? 0) !== $state['last_due'];
    }

    /** Returns when the next beacon is due. With a development key none waits for long. @param array<mixed> $state */
    public static function due(array $state): int
    {
        return self::isTried() ? min($state['due_at'], $state['last_due'] + self::SOON) : $state['due_at'];
    }

    /** Returns whether the file was written with a development key: who tries a module does not wait for a day. */
    public static function isTried(): bool
    {
        return strncmp(Config::KEY, 'pdk_', 4) === 0;
    }

    public static function uuid(): string
    {
        $bytes = random_bytes(16);
        $bytes[6] = \chr(\ord($bytes[6]) & 0x0f | 0x40);
        $bytes[8] = \chr(\ord($bytes[8]) & 0x3f | 0x80);
        return vsprintf('%s%s-%s-%s-%s-%s%s%s', str_split(bin2hex($bytes), 4));
    }
}
