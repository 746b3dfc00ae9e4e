<?php

declare(strict_types=1);

namespace Pharos;

/** @internal What runs this request, as a beacon tells it. */
final class Php
{
    public const LOWER = 'a-z0-9._-';

    /** @return array<string, string> */
    public static function seen(): array
    {
        $software = $_SERVER['SERVER_SOFTWARE'] ?? '';
        $known = preg_match('~^([A-Za-z][A-Za-z-]*)(/\d+(\.\d+)?)?~', \is_string($software) ? $software : '', $match);
        return array_filter([
            'php' => self::fit(PHP_VERSION),
            'sapi' => self::fit(PHP_SAPI),
            'web_server' => $known ? self::fit(strtolower(strtr($match[0], '/', '-'))) : '',
        ]);
    }

    /** The nearest value that the contract's pattern allows: one odd character must not cost the whole beacon. */
    public static function fit(string $value, string $allowed = '0-9A-Za-z.+~_-', int $length = 32): string
    {
        $value = (string) preg_replace("/[^$allowed]+/", '-', trim($value));
        return rtrim(substr(ltrim($value, '.+~_-'), 0, $length), '-');
    }
}
