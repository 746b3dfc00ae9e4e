<?php

declare(strict_types=1);

namespace Pharos;

/** The client inside WHMCS: counts in the database, versions from WHMCS, the module log. */
final class Whmcs
{
    /**
     * @param mixed $name the module
     * @param mixed $options of Client; `state` (a folder) keeps the data in files in place of the database
     */
    public static function module($name, $options = []): Client
    {
        return Quiet::run(static function () use ($name, $options): Client {
            $options = \is_array($options) ? $options : [];
            if (!isset($options['inbox']) && !isset($options['state']) && class_exists('WHMCS\Database\Capsule')) {
                $options['inbox'] = new CapsuleInbox([self::class, 'pdo'], self::prefix());
            }
            return new Client($name, $options + [
                'platform' => [WhmcsHost::class, 'platform'],
                'place' => [WhmcsHost::class, 'place'],
                'log' => [WhmcsHost::class, 'log'],
            ]);
        }, new Client('', []));
    }

    /** Returns WHMCS's own connection. */
    public static function pdo(): \PDO
    {
        return \WHMCS\Database\Capsule::connection()->getPdo();
    }

    private static function prefix(): string
    {
        return 'mod_' . strtolower(Config::VENDOR) . '_pharos';  // with 40 letters `_counts` still fits into MySQL's 64
    }
}
