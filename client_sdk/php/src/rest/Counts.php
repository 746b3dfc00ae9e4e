<?php

declare(strict_types=1);

namespace Pharos;

/** @internal The uses of features by module and day, until a beacon takes them. Pure, as the whole of Queue. */
final class Counts
{
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
     * Returns the days before $today that have counts, oldest first, and the last second of each.
     *
     * @param array<string, mixed> $state
     * @return array<string, int>
     */
    public static function days(array $state, string $module, string $today): array
    {
        $ends = [];
        foreach ($state['modules'][$module]['counts'] ?? [] as $day => $counts) {
            $end = strtotime("$day 23:59:59 UTC");
            if ($counts !== [] && $end !== false && Clock::date($end) === $day && $day < $today) {
                $ends[$day] = $end;
            }
        }
        ksort($ends);
        return $ends;
    }

    /**
     * Takes a module's counts of a day, of all days for ''. What no beacon can hold stays.
     *
     * @param array<string, mixed> $state
     * @return array<string, int>
     */
    public static function take(array &$state, string $module, string $of): array
    {
        $days = $state['modules'][$module]['counts'] ?? [];
        $days = \is_array($days) ? $days : [];
        ksort($days);
        $features = [];
        foreach ($days as $day => $counts) {
            if ($of === '' || $day === $of) {
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
    public static function move(array &$counts, array &$features): void
    {
        foreach ($counts as $feature => $uses) {
            $have = $features[$feature] ?? 0;
            if ($have === 0 && \count($features) >= Counter::FEATURES_MOST) {
                continue;
            }
            $features[$feature] = min(Counter::USES_MOST, $have + $uses);
            $left = $have + $uses - $features[$feature];
            if ($left > 0) {
                $counts[$feature] = $left;
            } else {
                unset($counts[$feature]);
            }
        }
    }
}
