<?php

/**
 * A WHMCS addon module that reports to Pharos. Copy what you need into your own module.
 */

if (!defined('WHMCS')) {
    die('This file cannot be accessed directly');
}

use WHMCS\Database\Capsule;

require_once __DIR__ . '/pharos.php';

function pharos_sample_config()
{
    return [
        'name' => 'Pharos Sample',
        'description' => 'Shows how a module reports to Pharos, with the consent of the owner.',
        'version' => PHAROS_SAMPLE_VERSION,
        'author' => 'Acme',
        'language' => 'english',
        'fields' => [
            'license_key' => ['FriendlyName' => 'License Key', 'Type' => 'text', 'Size' => '40'],
            'forget' => [
                'FriendlyName' => 'Erase Telemetry',
                'Type' => 'yesno',
                'Description' => 'When the module is deactivated, erase the telemetry data of all modules of Acme on this WHMCS,'
                    . ' here and at the collector, and turn telemetry off',
            ],
        ],
    ];
}

function pharos_sample_activate()
{
    // Nothing is sent before the owner chooses, on this module's page or on that of another one of the vendor's.
    return ['status' => 'success', 'description' => 'Open the page of the module to see or choose what telemetry may send.'];
}

function pharos_sample_deactivate()
{
    $forget = Capsule::table('tbladdonmodules')->where('module', 'pharos_sample')->where('setting', 'forget')->value('value');
    if ($forget !== 'on') {
        pharos_sample_pharos()->deactivate();
        return ['status' => 'success', 'description' => 'Telemetry of this module has ended.'];
    }
    $result = pharos_sample_pharos()->forget();
    if (in_array($result->status(), ['sent', 'not_due'], true)) {
        return ['status' => 'success', 'description' => 'Telemetry is off, and its data is erased.'];
    }
    return [
        'status' => 'info',
        'description' => 'The telemetry data is not erased yet: ' . ($result->reason() ?: $result->status())
            . '. Activate the module again to try once more.',
    ];
}

function pharos_sample_upgrade($vars)
{
    // A new version is reported by itself. Changes of your own tables belong here.
}

function pharos_sample_output($vars)
{
    pharos_sample_pharos()->count('sample.page_view');
    echo pharos_sample_pharos()->page($vars);
}
