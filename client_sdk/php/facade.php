<?php

namespace Pharos {
    // A vendor's modules each ship a copy of this file, of whatever version. Each version has its own namespace, so no two
    // ever meet; the names below lead to the newest that is loaded, never to the oldest.
    if (\defined('Pharos\INNER\LOADED')) {
        \Pharos\INNER\Rest::$files[] = __DIR__ . '/REST';
        return;
    }
    \define('Pharos\INNER\LOADED', true);
    if (!\class_exists('Pharos\Copies', false)) {
        /** @internal */
        abstract class Copies
        {
            /** @var array<string, string> version => namespace */
            public static $loaded = [];

            /** Calls a static method of the newest copy. */
            final public static function newest(string $class, string $method, array $arguments)
            {
                \uksort(self::$loaded, 'version_compare');
                return \call_user_func_array([\end(self::$loaded) . '\\' . $class, $method], $arguments);
            }
        }

        /** The client for any PHP: `Client::module('report_tool', ['state' => '/var/lib/report_tool/pharos'])`. */
        final class Client
        {
            public static function __callStatic($method, $arguments)
            {
                return Copies::newest('Client', $method, $arguments);
            }
        }

        /** The client inside WHMCS: `Whmcs::module('invoice_pro', ['version' => '3.2.1'])`. */
        final class Whmcs
        {
            public static function __callStatic($method, $arguments)
            {
                return Copies::newest('Whmcs', $method, $arguments);
            }
        }
    }
    Copies::$loaded['VERSION'] = 'Pharos\INNER';
    \Pharos\INNER\Rest::$files[] = __DIR__ . '/REST';
}
