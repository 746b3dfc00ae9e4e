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
                'Description' => 'Erase all telemetry data, here and at the collector, when the module is deactivated',
            ],
        ],
    ];
}

function pharos_sample_activate()
{
    // Nothing is sent before the owner chooses on the module's page.
    return ['status' => 'success', 'description' => 'Open the page of the module to choose what telemetry may send.'];
}

function pharos_sample_deactivate()
{
    $forget = Capsule::table('tbladdonmodules')->where('module', 'pharos_sample')->where('setting', 'forget')->value('value');
    if ($forget !== 'on') {
        pharos_sample_pharos()->deactivate();
        return ['status' => 'success', 'description' => 'Telemetry of this module has ended.'];
    }
    $result = pharos_sample_pharos()->forget();
    if ($result->status() === 'failed') {
        return [
            'status' => 'info',
            'description' => 'Telemetry is off, but its data is not erased yet: ' . $result->reason()
                . '. Activate the module again to try once more.',
        ];
    }
    return ['status' => 'success', 'description' => 'Telemetry is off, and its data is erased.'];
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
