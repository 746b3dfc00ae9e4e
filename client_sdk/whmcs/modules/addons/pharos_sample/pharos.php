<?php

/**
 * The one place that makes the module's client. hooks.php and the module's main file use it.
 */

use Acme\Pharos\Whmcs;
use WHMCS\Database\Capsule;

if (!defined('PHAROS_SAMPLE_VERSION')) {
    define('PHAROS_SAMPLE_VERSION', '1.0.0');
}

function pharos_sample_pharos()
{
    // Loaded here, so that a page that counts nothing pays nothing. `pharos sdk` writes the file.
    require_once __DIR__ . '/lib/pharos.php';

    return Whmcs::module('pharos_sample', [
        'title' => 'Pharos Sample',
        'version' => PHAROS_SAMPLE_VERSION,
        'license' => static function () {
            return pharos_sample_license();
        },
        'source' => 'whmcs-addon-modules',
        'policy' => '2026-11',
    ]);
}

/**
 * What the license check says. The cron asks it before a beacon is made, never a page.
 *
 * Return what WHMCS's licensing addon answers: `status` is Active, Invalid, Expired or Suspended. This sample has no
 * license server, so its status is unknown. Never return Active for a check that did not take place.
 */
function pharos_sample_license()
{
    $key = Capsule::table('tbladdonmodules')->where('module', 'pharos_sample')->where('setting', 'license_key')->value('value');
    return ['status' => 'unknown', 'key' => (string) $key];
}
