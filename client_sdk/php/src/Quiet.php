<?php

declare(strict_types=1);

namespace Pharos;

/** @internal The host comes first: no exception, warning or output leaves this client. */
final class Quiet
{
    /**
     * Returns what $work returns, or $otherwise when it throws. The host's error handler sees nothing: `@` would still
     * call it, and some turn each warning into an exception.
     *
     * @param mixed $otherwise
     * @return mixed
     */
    public static function run(callable $work, $otherwise)
    {
        $handler = self::can('set_error_handler') && self::can('restore_error_handler');
        $level = null;
        if ($handler) {
            set_error_handler(static function (): bool {
                return true;
            });
        } elseif (self::can('error_reporting')) {
            $level = error_reporting(0);
        }
        try {
            return $work();
        } catch (\Throwable $error) {
            return $otherwise;
        } finally {
            if ($handler) {
                restore_error_handler();
            } elseif ($level !== null) {
                error_reporting($level);
            }
        }
    }

    /** Returns whether a function exists and the host has not disabled it. */
    public static function can(string $function): bool
    {
        return \function_exists($function);
    }
}
