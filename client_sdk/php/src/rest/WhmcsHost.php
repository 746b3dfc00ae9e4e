<?php

declare(strict_types=1);

namespace Pharos;

/** @internal What the client asks WHMCS for. */
final class WhmcsHost
{
    /** @return array<string, string> */
    public static function platform(): array
    {
        $version = $GLOBALS['CONFIG']['Version'] ?? '';
        $database = Quiet::run(static function (): string {
            return Machine::database((string) Whmcs::pdo()->query('SELECT VERSION()')->fetchColumn());
        }, '');
        return [
            'whmcs' => \is_string($version) && $version !== '' ? $version : self::setting('Version'),
            'database' => $database,
        ];
    }

    /** What changes when WHMCS is copied: its address without scheme, and its folder. Only a keyed hash of it is kept. */
    public static function place(): string
    {
        $address = (string) preg_replace('~^[a-z]+://(www\.)?~', '', strtolower(rtrim(self::setting('SystemURL'), '/')));
        $folder = \defined('ROOTDIR') ? (string) \constant('ROOTDIR') : '';
        return $address === '' && $folder === '' ? '' : "$address $folder";
    }

    /**
     * Writes a request to the module log, with the key masked.
     *
     * @param array<string, mixed> $answer
     */
    public static function log(string $request, array $answer, string $module): void
    {
        if (Quiet::can('logModuleCall')) {
            logModuleCall($module, 'pharos', $request, json_encode($answer['json']), $answer['reason'], [Config::KEY]);
        }
    }

    private static function setting(string $name): string
    {
        return Quiet::run(static function () use ($name): string {
            $statement = Whmcs::pdo()->prepare('SELECT value FROM tblconfiguration WHERE setting = ?');
            $statement->execute([$name]);
            return (string) $statement->fetchColumn();
        }, '');
    }
}
