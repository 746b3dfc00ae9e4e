<?php

declare(strict_types=1);

namespace Pharos;

/** @internal The time, which tests can move. */
final class Clock
{
    public const DAY = 86400;

    /** @var int seconds that are added to the machine's clock */
    public static $shift = 0;

    public static function now(): int
    {
        return time() + self::$shift;
    }

    public static function date(int $time): string
    {
        return gmdate('Y-m-d', $time);
    }
}
