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
            if (!isset($options['store']) && !isset($options['state']) && class_exists('WHMCS\Database\Capsule')) {
                $options['store'] = new CapsuleStore([self::class, 'pdo'], self::prefix());
            }
            $options += [
                'platform' => static function (): array {
                    return ['whmcs' => self::version(), 'database' => self::database()];
                },
                'place' => static function (): string {
                    return self::place();
                },
                'log' => static function (string $request, array $answer) use ($name): void {
                    if (Quiet::can('logModuleCall')) {
                        logModuleCall($name, 'pharos', $request, json_encode($answer['json']), $answer['reason'], [
                            Config::KEY,
                        ]);
                    }
                },
            ];
            return new Client($name, $options);
        }, new Client('', []));
    }

    /** Returns WHMCS's own connection. */
    public static function pdo(): \PDO
    {
        return \WHMCS\Database\Capsule::connection()->getPdo();
    }

    private static function prefix(): string
    {
        return 'mod_' . substr((string) preg_replace('/[^a-z0-9]+/', '_', strtolower(Config::VENDOR)), 0, 30) . '_pharos';
    }

    private static function version(): string
    {
        $version = $GLOBALS['CONFIG']['Version'] ?? '';
        return \is_string($version) && $version !== '' ? $version : self::setting('Version');
    }

    private static function database(): string
    {
        return Quiet::run(static function (): string {
            return Machine::database((string) self::pdo()->query('SELECT VERSION()')->fetchColumn());
        }, '');
    }

    /** What changes when WHMCS is copied: its address without scheme, and its folder. Only a keyed hash of it is kept. */
    private static function place(): string
    {
        $address = (string) preg_replace('~^[a-z]+://(www\.)?~', '', strtolower(rtrim(self::setting('SystemURL'), '/')));
        $folder = \defined('ROOTDIR') ? (string) \constant('ROOTDIR') : '';
        return $address === '' && $folder === '' ? '' : "$address $folder";
    }

    private static function setting(string $name): string
    {
        return Quiet::run(static function () use ($name): string {
            $statement = self::pdo()->prepare('SELECT value FROM tblconfiguration WHERE setting = ?');
            $statement->execute([$name]);
            return (string) $statement->fetchColumn();
        }, '');
    }
}
