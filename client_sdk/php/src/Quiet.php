<?php

declare(strict_types=1);

namespace Pharos;

/** @internal The host comes first: no exception, warning or output leaves this client. */
final class Quiet
{
    // What nothing can be stored, sent or told without, as far as hosts are known to disable it.
    private const NEEDED = [
        'fopen', 'fread', 'fgets', 'fseek', 'fwrite', 'fflush', 'fclose', 'fstat', 'file_get_contents', 'file_exists', 'filesize',
        'filemtime', 'is_file', 'is_dir', 'is_writable', 'mkdir', 'rmdir', 'rename', 'unlink', 'flock', 'random_bytes', 'random_int',
        'hash', 'hash_hmac', 'sha1', 'gmdate', 'strtotime', 'microtime', 'json_encode', 'json_decode', 'preg_match', 'preg_replace',
    ];

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

    /** Returns the first function that the client cannot do without and the host has disabled. */
    public static function missing(): ?string
    {
        foreach (self::NEEDED as $function) {
            if (!self::can($function)) {
                return $function;
            }
        }
        return self::can('scandir') || self::can('glob') ? null : 'scandir';
    }

    /** Returns whether a function exists and the host has not disabled it. */
    public static function can(string $function): bool
    {
        return \function_exists($function);
    }
}
