<?php

declare(strict_types=1);

/**
 * Sends one heartbeat and prints what became of it as JSON. Exit status: 0, or 1 when it failed or was rejected.
 *
 *   php example.php --collector=URL --state=FILE --module=NAME [option…]
 *
 *   --collector=URL --key=KEY      the collector and its ingest key (or PHAROS_INGEST_KEY, which `ps` does not show)
 *   --state=FILE                   the state file, in a folder that exists
 *   --module=NAME --version=V      the module (version 1.0.0)
 *   --feature=NAME[=COUNT]         uses to count first; may be repeated
 *   --count-only                   counts, sends nothing
 *   --reason=REASON                heartbeat, activate, deactivate or upgrade
 *   --consent=LEVEL --policy=P     full (unless told), license or refused, and to which policy
 *   --license-status=S --license-source=S --license-key=KEY (or PHAROS_LICENSE_KEY)
 *   --whmcs=V --database=V         such as 9.0.1 and mariadb-10.11
 */

require_once __DIR__ . '/Pharos.php';

$given = getopt('', [
    'collector:', 'key:', 'state:', 'module:', 'version:', 'feature:', 'count-only', 'reason:', 'consent:', 'policy:',
    'license-status:', 'license-source:', 'license-key:', 'whmcs:', 'database:',
]);
if (!isset($given['collector'], $given['state'], $given['module'])) {
    fwrite(STDERR, "usage: php example.php --collector=URL --state=FILE --module=NAME [option...]\n");
    exit(2);
}

$client = new Pharos\Client([
    'collector' => $given['collector'],
    'ingest_key' => $given['key'] ?? getenv('PHAROS_INGEST_KEY'),
    'store' => new Pharos\FileStore($given['state']),
    'consent' => ['level' => $given['consent'] ?? 'full', 'policy' => $given['policy'] ?? ''],
    'module' => ['name' => $given['module'], 'version' => $given['version'] ?? '1.0.0'],
    'license' => [
        'status' => $given['license-status'] ?? 'unknown',
        'source' => $given['license-source'] ?? 'example',
        'key' => $given['license-key'] ?? getenv('PHAROS_LICENSE_KEY'),
    ],
    'platform' => ['whmcs' => $given['whmcs'] ?? '', 'database' => $given['database'] ?? ''],
]);

$counted = true;
foreach ((array) ($given['feature'] ?? []) as $feature) {
    [$name, $uses] = explode('=', $feature, 2) + [1 => '1'];
    $counted = $client->count($name, (int) $uses) && $counted;
}
if (isset($given['count-only'])) {
    echo json_encode(['counted' => $counted]), "\n";
    exit($counted ? 0 : 1);
}

$result = $client->heartbeat($given['reason'] ?? 'heartbeat');
echo json_encode($result), "\n";
exit(in_array($result->status(), [Pharos\Result::FAILED, Pharos\Result::REJECTED], true) ? 1 : 0);
