<?php

declare(strict_types=1);

/**
 * Tells the vendor's Pharos collector once a day that a module is installed, and how often its features are used.
 *
 * One file for PHP 7.4 and newer, with ext-curl and ext-json and nothing else. The host comes first: nothing here
 * throws, prints, warns, or takes longer than three seconds. README.md shows it inside a WHMCS addon module.
 */

namespace Pharos;

// Each of a vendor's modules ships its own copy of this file; the first one loaded serves them all. A class would be
// no sign of that: PHP declares some classes of a file before it runs the first line of it.
if (\defined('Pharos\VERSION')) {
    return;
}

const VERSION = '0.1.0';

/** Where the state of this WHMCS is kept: a file (FileStore), or whatever the host offers, such as tblconfiguration. */
interface Store
{
    /**
     * Hands the stored state (at first an empty array) to $change and keeps what that returns; no other process may do
     * so in between. A state that exists and cannot be read is never replaced.
     *
     * @param callable $change array -> array, JSON values only
     * @param float $patience longest wait for other processes, in seconds
     * @return bool whether the returned state is stored
     */
    public function update(callable $change, float $patience): bool;
}

/** The state as a JSON file of mode 0600, in a folder that must exist, is writable, and lies outside the web root. */
final class FileStore implements Store
{
    private string $path;

    public function __construct(string $path)
    {
        $this->path = $path;
    }

    public function update(callable $change, float $patience): bool
    {
        // The lock is a file of its own, because rename() puts another file in the place of the state each time.
        $lock = fopen($this->path . '.lock', 'c');
        if ($lock === false) {
            return false;
        }
        try {
            $until = microtime(true) + $patience;
            while (!flock($lock, LOCK_EX | LOCK_NB)) {
                if (microtime(true) > $until) {
                    return false;
                }
                usleep(random_int(200, 2000));
            }
            $text = file_exists($this->path) ? file_get_contents($this->path) : '';
            if ($text === false) {
                return false;
            }
            $state = json_decode($text, true);
            $state = is_array($state) ? $state : [];
            $changed = $change($state);
            return $changed === $state || $this->replace(json_encode($changed, JSON_THROW_ON_ERROR));
        } finally {
            fclose($lock);
        }
    }

    private function replace(string $text): bool
    {
        $temporary = $this->path . '.tmp';
        if (file_exists($temporary)) {
            unlink($temporary);  // left by a process that died; and mode x below follows no symlink
        }
        $file = fopen($temporary, 'x');
        if ($file === false) {
            return false;
        }
        $written = chmod($temporary, 0600) && fwrite($file, $text) === strlen($text);
        return fclose($file) && $written && rename($temporary, $this->path);  // a full disk leaves the old state
    }
}

/** What became of a heartbeat. */
final class Result implements \JsonSerializable
{
    public const SENT = 'sent';          // the collector has it
    public const NOT_DUE = 'not_due';    // nothing to do yet
    public const FAILED = 'failed';      // no good answer; kept, and sent again later
    public const REJECTED = 'rejected';  // the collector will never take this beacon; given up
    public const REFUSED = 'refused';    // no consent: nothing was sent, and what was counted is forgotten

    private string $status;
    private ?string $reason;
    private int $nextIn;

    public function __construct(string $status, ?string $reason = null, int $nextIn = 0)
    {
        $this->status = $status;
        $this->reason = $reason;
        $this->nextIn = $nextIn;
    }

    public function status(): string
    {
        return $this->status;
    }

    /** Why it failed: the collector's own reason, `http_<status>`, or one of this file's; null when it did not fail. */
    public function reason(): ?string
    {
        return $this->reason;
    }

    /** Seconds until the next heartbeat is due. */
    public function nextIn(): int
    {
        return $this->nextIn;
    }

    /** @return array<string, string|int|null> */
    public function jsonSerialize(): array
    {
        return ['status' => $this->status, 'reason' => $this->reason, 'next_in' => $this->nextIn];
    }
}

/** @internal What can be learned about the machine without privileges; what the host forbids to look at is unknown. */
final class Machine
{
    public const LOWER = 'a-z0-9._-';
    private const VIRTUALIZATIONS = [  // the names that systemd-detect-virt prints
        'none', 'qemu', 'kvm', 'amazon', 'zvm', 'vmware', 'microsoft', 'oracle', 'powervm', 'xen', 'bochs', 'uml',
        'parallels', 'bhyve', 'qnx', 'acrn', 'apple', 'sre', 'google', 'vm-other', 'openvz', 'lxc', 'lxc-libvirt',
        'systemd-nspawn', 'docker', 'podman', 'rkt', 'wsl', 'proot', 'pouch', 'container-other',
    ];
    private const CGROUP = [
        'libpod' => 'podman', 'docker' => 'docker', 'lxc' => 'lxc', 'kubepods' => 'container-other',
    ];
    private const DMI = [
        'KVM' => 'kvm', 'OpenStack' => 'kvm', 'Droplet' => 'kvm', 'Amazon EC2' => 'amazon', 'QEMU' => 'qemu',
        'VMware' => 'vmware', 'VirtualBox' => 'oracle', 'innotek' => 'oracle', 'Xen' => 'xen', 'Bochs' => 'bochs',
        'Parallels' => 'parallels', 'BHYVE' => 'bhyve', 'Virtual Machine' => 'microsoft', 'Google Compute' => 'google',
    ];
    private const PATIENCE = 0.4;  // seconds for systemd-detect-virt, which needs a few milliseconds

    /** @return array<string, string> */
    public static function os(): array
    {
        if (PHP_OS_FAMILY === 'Linux') {
            $release = self::read('/etc/os-release') ?: self::read('/usr/lib/os-release');
            $name = preg_match('/^ID=["\']?([^"\'\n]+)/m', $release, $id) ? $id[1] : '';
            $version = preg_match('/^VERSION_ID=["\']?([^"\'\n]+)/m', $release, $id) ? $id[1] : '';
        } else {
            $name = self::uname('s');
            $version = self::uname('r');
        }
        return array_filter([
            'family' => PHP_OS_FAMILY === 'Solaris' ? 'other' : strtolower(PHP_OS_FAMILY),
            'name' => self::fit(strtolower($name), self::LOWER),
            'version' => self::fit($version),
            'arch' => self::fit(strtolower(self::uname('m')), self::LOWER),
        ]);
    }

    /** @return array<string, string> */
    public static function virtualization(): array
    {
        try {
            $said = self::systemdDetectVirt();
            if ($said !== '') {
                $type = in_array($said, self::VIRTUALIZATIONS, true) ? $said : 'other';
                return ['type' => $type, 'detection' => 'systemd-detect-virt'];
            }
        } catch (\Throwable $forbidden) {
        }
        $board = self::read('/sys/class/dmi/id/product_name') . self::read('/sys/class/dmi/id/sys_vendor');
        $traces = [
            'cgroup' => self::named(self::CGROUP, self::read('/proc/1/cgroup')),
            'dockerenv' => file_exists('/.dockerenv') ? 'docker' : '',
            'dmi' => self::named(self::DMI, $board),
            'cpuinfo' => preg_match('/^flags\s*:.*\bhypervisor\b/m', self::read('/proc/cpuinfo')) ? 'vm-other' : '',
        ];
        foreach (array_filter($traces) as $detection => $type) {
            return ['type' => $type, 'detection' => $detection];
        }
        return ['type' => 'unknown'];  // no trace is no proof of bare metal
    }

    /** The nearest value that the contract's pattern allows: one odd character must not cost the whole beacon. */
    public static function fit(string $value, string $allowed = '0-9A-Za-z.+~_-', int $length = 32): string
    {
        $value = (string) preg_replace("/[^$allowed]+/", '-', trim($value));
        return rtrim(substr(ltrim($value, '.+~_-'), 0, $length), '-');
    }

    private static function systemdDetectVirt(): string
    {
        if (PHP_OS_FAMILY !== 'Linux' || !function_exists('proc_open') || !function_exists('proc_terminate')) {
            return '';
        }
        $process = proc_open(['systemd-detect-virt'], [['pipe', 'r'], ['pipe', 'w'], ['pipe', 'w']], $pipes);
        if ($process === false) {
            return '';
        }
        $said = '';
        try {
            $until = microtime(true) + self::PATIENCE;
            stream_set_blocking($pipes[1], false);
            do {
                $ready = [$pipes[1]];
                $none = null;
                stream_select($ready, $none, $none, 0, 20000);
                $said .= fread($pipes[1], 64);
            } while (!feof($pipes[1]) && strlen($said) < 64 && microtime(true) < $until);
        } finally {
            proc_terminate($process, 9);  // or proc_close() would wait for a child that hangs
            array_map('fclose', $pipes);
            proc_close($process);
        }
        return trim($said);
    }

    private static function uname(string $mode): string
    {
        return function_exists('php_uname') ? php_uname($mode) : '';
    }

    private static function read(string $path): string
    {
        return (string) file_get_contents($path, false, null, 0, 65536);
    }

    private static function named(array $names, string $text): string
    {
        foreach ($names as $mark => $name) {
            if (strpos($text, $mark) !== false) {
                return $name;
            }
        }
        return '';
    }
}

/** One module on one WHMCS. Every public method is safe to call anywhere: it returns, in time, whatever happens. */
final class Client
{
    private const BUDGET = 2.7;         // seconds for a whole heartbeat: three are promised, and a disk may be slow
    private const LOCK_PATIENCE = 0.6;  // more than another process needs to look at the machine
    private const DAY = 86400;
    private const BACKOFF_FIRST = 600;
    private const BACKOFF_LONGEST = 43200;  // under a day, or a daily cron would skip its next turn
    private const PENDING_MOST = 20;
    private const FEATURES_MOST = 200;
    private const COUNT_MOST = 4294967295;
    // A beacon whose answer got lost was perhaps counted. The collector knows it again for 30 days, and no longer.
    private const PENDING_AGE = 29 * self::DAY;
    // The answers that judge the beacon itself: sent again, it would be judged the same. Its counts go with it, or they
    // could spoil the next one too, for ever. 401, 403, 404, 405, 408, 429 and the like are about the key, the address,
    // a proxy or the moment, and pass once someone has put that right: the beacon is kept.
    private const JUDGED = [400, 413, 415, 422, 431];
    private const REASONS = ['heartbeat', 'activate', 'deactivate', 'upgrade'];
    private const LICENSES = ['licensed', 'unlicensed', 'trial', 'expired', 'suspended', 'invalid', 'unknown'];

    private string $collector;
    private string $ingestKey;
    private ?Store $store;
    private array $consent;
    private array $module;
    private array $license;
    private array $platform;

    /**
     * @param array $options named as in the beacon:
     *     collector   address of the collector, `https://…` (plain `http` to this machine only)
     *     ingest_key  the vendor's key for its modules
     *     store       a Store; all modules of the vendor on this WHMCS share one
     *     consent     [level, policy]: `full`, `license`; anything else, or none, is a refusal
     *     module      [name, version]
     *     license     [status, source, key]: of the key only its SHA-256 is kept or sent
     *     platform    [whmcs, database]: versions, such as `9.0.1` and `mariadb-10.11`
     */
    public function __construct(array $options)
    {
        $get = static function (string $group, ?string $name = null) use ($options): string {
            $value = $options[$group] ?? null;
            if ($name !== null) {
                $value = is_array($value) ? $value[$name] ?? null : null;
            }
            return is_scalar($value) ? (string) $value : '';
        };
        $this->collector = rtrim($get('collector'), '/');
        $this->ingestKey = $get('ingest_key');
        $this->store = ($options['store'] ?? null) instanceof Store ? $options['store'] : null;
        $this->consent = array_filter([
            'level' => $get('consent', 'level'),
            'policy' => Machine::fit($get('consent', 'policy')),
        ]) + ['level' => 'refused'];
        $this->module = [
            'name' => $get('module', 'name'),
            'version' => Machine::fit($get('module', 'version')) ?: 'unknown',
        ];
        $status = $get('license', 'status');
        $key = $get('license', 'key');
        $this->license = array_filter([
            'status' => in_array($status, self::LICENSES, true) ? $status : 'unknown',
            'source' => Machine::fit(strtolower($get('license', 'source')), Machine::LOWER, 64) ?: 'unknown',
            'key_hash' => $key === '' ? '' : hash('sha256', $key),
        ]);
        $this->platform = array_filter([
            'whmcs' => Machine::fit($get('platform', 'whmcs')),
            'database' => Machine::fit($get('platform', 'database')),
        ]);
    }

    /**
     * Counts uses of a feature until the next heartbeat. Without types, so that a slip of the host is no TypeError.
     *
     * @param string $feature such as `invoice.pdf_export`
     * @param int $uses
     * @return bool whether they are counted
     */
    public function count($feature, $uses = 1): bool
    {
        return $this->quietly(function () use ($feature, $uses): bool {
            if ($this->consent['level'] !== 'full' || $this->misuse() !== null || !is_int($uses) || $uses < 1
                || !is_string($feature) || !preg_match('/^[a-z][a-z0-9_.]{0,63}$/D', $feature)) {
                return false;
            }
            $counted = false;
            $stored = $this->change(function (array &$mine, array &$state) use ($feature, $uses, &$counted): void {
                $counted = isset($mine['counts'][$feature]) || count($mine['counts']) < self::FEATURES_MOST;
                if ($counted) {
                    $mine['counts'][$feature] = min(self::COUNT_MOST, ($mine['counts'][$feature] ?? 0) + $uses);
                }
                if (PHP_SAPI !== 'cli') {
                    $state['web'] = self::php();  // a heartbeat comes from cron, which does not see the web server
                }
            });
            return $stored && $counted;
        }, false);
    }

    /**
     * Sends what is due. A `heartbeat` waits for its time, the other reasons do not.
     *
     * @param string $reason `heartbeat`, `activate`, `deactivate` or `upgrade`
     */
    public function heartbeat($reason = 'heartbeat'): Result
    {
        return $this->quietly(function () use ($reason): Result {
            return $this->beat($reason, microtime(true) + self::BUDGET);
        }, new Result(Result::FAILED, 'internal_error'));
    }

    /** The secret that proves this install to the collector's `/v1/rights`; null before the first beacon. */
    public function installId(): ?string
    {
        return $this->quietly(function (): ?string {
            $id = null;
            $this->store->update(static function (array $state) use (&$id): array {
                $id = $state['install_id'] ?? null;
                return $state;
            }, self::LOCK_PATIENCE);
            return $id;
        }, null);
    }

    private function beat(string $reason, float $deadline): Result
    {
        if (!in_array($this->consent['level'], ['full', 'license'], true)) {
            if ($this->store !== null) {
                $this->store->update(function (array $state): array {
                    unset($state['modules'][$this->module['name']], $state['web']);
                    return $state;
                }, self::LOCK_PATIENCE);
            }
            return new Result(Result::REFUSED);
        }
        $misuse = in_array($reason, self::REASONS, true) ? $this->misuse() : 'bad_reason';
        if ($misuse !== null) {
            return new Result(Result::FAILED, $misuse);
        }
        $bodies = [];
        $wait = 0;
        $stored = $this->change(function (array &$mine, array &$state) use ($reason, &$bodies, &$wait): void {
            $wait = self::wait($mine);
            if ($reason !== 'heartbeat' || $wait === 0) {
                $bodies = $this->claim($mine, $state, $reason);
            }
        });
        if (!$stored) {
            return new Result(Result::FAILED, 'state_unavailable');  // unsent, or it would be counted again and again
        }
        if ($bodies === []) {
            return new Result(Result::NOT_DUE, null, $wait);
        }
        return $this->settle($bodies, $this->post($bodies, $deadline - self::LOCK_PATIENCE - microtime(true)));
    }

    /**
     * Puts what is counted into a beacon, and takes all beacons that wait for an answer. The retry is planned before
     * the attempt, so that a process killed in the middle has failed like any other.
     *
     * @return array<string, string> beacon_id => JSON
     */
    private function claim(array &$mine, array &$state, string $reason): array
    {
        $id = $state['install_id'] ?? null;
        if (!is_string($id) || !preg_match('/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/D', $id)) {
            $state['install_id'] = self::uuid();
        }
        $full = $this->consent['level'] === 'full';
        if (!$full) {
            $mine['counts'] = [];
            unset($state['web']);
        }
        $mine['pending'] = array_filter($mine['pending'], static function ($beacon) use ($full): bool {
            return isset($beacon['made'], $beacon['level'], $beacon['body'])
                && $beacon['made'] > time() - self::PENDING_AGE && ($full || $beacon['level'] === 'license');
        });
        if ($mine['pending'] === [] || ($reason !== 'heartbeat' && count($mine['pending']) < self::PENDING_MOST)) {
            $id = self::uuid();
            $seen = PHP_SAPI === 'cli' && is_array($state['web'] ?? null) ? $state['web'] : self::php();
            $body = json_encode([
                'schema' => 1,
                'beacon_id' => $id,
                'install_id' => $state['install_id'],
                'sent_at' => gmdate('Y-m-d\TH:i:s\Z'),
                'reason' => $reason,
                'consent' => $this->consent,
                'module' => $this->module,
                'license' => $this->license,
            ] + (!$full ? [] : [
                'server' => ['os' => Machine::os(), 'virtualization' => Machine::virtualization()],
                'platform' => $this->platform + $seen,
            ] + array_filter(['features' => $mine['counts']])), JSON_THROW_ON_ERROR);
            $mine['pending'][$id] = ['made' => time(), 'level' => $this->consent['level'], 'body' => $body];
            $mine['counts'] = [];
        }
        $backoff = min(self::BACKOFF_LONGEST, self::BACKOFF_FIRST << min($mine['failures'], 16));
        $mine['failures']++;
        $mine['due_at'] = time() + random_int(intdiv($backoff, 2), $backoff);
        return array_combine(array_keys($mine['pending']), array_column($mine['pending'], 'body'));
    }

    /** Strikes off what the collector has taken or will never take, and says when to come again. */
    private function settle(array $bodies, array $answer): Result
    {
        ['status' => $status, 'json' => $json, 'retry_after' => $retryAfter, 'reason' => $reason] = $answer;
        $taken = $status === 202 && is_int($json['accepted'] ?? null);
        $given = $json['reason'] ?? null;
        $given = is_string($given) && preg_match('/^[a-z_]{1,64}$/D', $given) ? $given : null;
        $judged = in_array($status, self::JUDGED, true) && $given !== null;  // without a reason it is some proxy's page
        $reason = $reason ?? $given ?? ($status === 202 ? 'bad_answer' : "http_$status");
        $nextIn = is_int($json['next_in'] ?? null) ? max(60, min(7 * self::DAY, $json['next_in'])) : self::DAY;
        $wait = 0;
        $ended = $taken || $judged;
        $stored = $this->change(function (array &$mine) use ($bodies, $ended, $nextIn, $retryAfter, &$wait): void {
            if ($ended) {
                $mine['pending'] = array_diff_key($mine['pending'], $bodies);
                $mine['failures'] = 0;
                // A tenth early: a daily cron that comes a minute sooner than yesterday would skip a day.
                $mine['due_at'] = time() + intdiv($nextIn * 9, 10);
            } else {
                $mine['due_at'] = max($mine['due_at'], time() + min(self::DAY, $retryAfter));
            }
            $wait = self::wait($mine);
        });
        if ($taken) {
            return new Result(Result::SENT, $stored ? null : 'state_unavailable', $wait);
        }
        return new Result($judged ? Result::REJECTED : Result::FAILED, $reason, $wait);
    }

    /** @return array status, json, retry_after, and a reason when there was no answer */
    private function post(array $bodies, float $seconds): array
    {
        $text = '';
        $retryAfter = 0;
        $options = [
            CURLOPT_POSTFIELDS => count($bodies) === 1 ? reset($bodies) : '[' . implode(',', $bodies) . ']',
            CURLOPT_HTTPHEADER => [
                "Authorization: Bearer $this->ingestKey", 'Content-Type: application/json', 'Expect:',
            ],
            CURLOPT_USERAGENT => 'pharos-php/' . VERSION,
            CURLOPT_FOLLOWLOCATION => false,
            CURLOPT_SSL_VERIFYPEER => true,
            CURLOPT_SSL_VERIFYHOST => 2,
            CURLOPT_CONNECTTIMEOUT_MS => 1000,
            CURLOPT_TIMEOUT_MS => max(1, (int) ($seconds * 1000)),
            CURLOPT_NOSIGNAL => true,
            CURLOPT_HEADERFUNCTION => static function ($curl, string $line) use (&$retryAfter): int {
                if (preg_match('/^retry-after:\s*(\d{1,6})\s*$/i', $line, $match)) {
                    $retryAfter = (int) $match[1];
                }
                return strlen($line);
            },
            CURLOPT_WRITEFUNCTION => static function ($curl, string $part) use (&$text): int {
                $text .= $part;
                return strlen($text) > 65536 ? 0 : strlen($part);
            },
        ];
        // Past its deadline curl still waits for its resolver thread: a silent name server held it for 10 s. PHP 8.3
        // can tell it not to; before that the C library can be told to ask once, for a second.
        if (defined('CURLOPT_QUICK_EXIT')) {
            $options[constant('CURLOPT_QUICK_EXIT')] = true;
        }
        $resolver = getenv('RES_OPTIONS');
        $putenv = function_exists('putenv') ? 'putenv' : 'strval';
        $putenv('RES_OPTIONS=timeout:1 attempts:1');
        try {
            $curl = curl_init($this->collector . '/v1/beacons');
            curl_setopt_array($curl, $options);
            curl_exec($curl);
        } finally {
            $putenv($resolver === false ? 'RES_OPTIONS' : "RES_OPTIONS=$resolver");
        }
        $reasons = [0 => null, 23 => 'bad_answer', 28 => 'timeout', 35 => 'tls', 51 => 'tls', 60 => 'tls', 77 => 'tls'];
        $errno = curl_errno($curl);
        $json = json_decode($text, true);
        return [
            'status' => curl_getinfo($curl, CURLINFO_RESPONSE_CODE),
            'json' => $errno === 0 && is_array($json) ? $json : [],
            'retry_after' => $retryAfter,
            'reason' => array_key_exists($errno, $reasons) ? $reasons[$errno] : 'unreachable',
        ];
    }

    /** The option that makes any beacon impossible, if one does. */
    private function misuse(): ?string
    {
        // The ingest key and the install id are secrets: never in the clear over a network.
        $address = '#^(https://[^/\s?\#@]+|http://(localhost|127\.[\d.]+|\[::1\])(:\d+)?)(/[^\s?\#]*)?$#Di';
        $rules = [
            'no_store' => $this->store !== null,
            'no_curl' => function_exists('curl_init'),
            'bad_collector' => preg_match($address, $this->collector),
            'bad_ingest_key' => preg_match('/^[\x21-\x7e]{1,512}$/D', $this->ingestKey),
            'bad_module' => preg_match('/^[a-z][a-z0-9_]{0,63}$/D', $this->module['name']),
        ];
        foreach ($rules as $reason => $kept) {
            if (!$kept) {
                return $reason;
            }
        }
        return null;
    }

    /**
     * Changes this module's part of the state, or the whole. A part that is not of its type is as good as none.
     *
     * @param callable $change (array &$mine, array &$state): void
     */
    private function change(callable $change): bool
    {
        return $this->store->update(function (array $state) use ($change): array {
            $name = $this->module['name'];
            $mine = ['counts' => [], 'pending' => [], 'due_at' => 0, 'failures' => 0];
            foreach ($mine as $part => $nothing) {
                $kept = $state['modules'][$name][$part] ?? null;
                $mine[$part] = gettype($kept) === gettype($nothing) ? $kept : $nothing;
            }
            $change($mine, $state);
            $state['modules'][$name] = $mine;
            return $state;
        }, self::LOCK_PATIENCE);
    }

    private static function wait(array $mine): int
    {
        $wait = $mine['due_at'] - time();
        return $wait > 7 * self::DAY ? 0 : max(0, $wait);  // too far ahead: the clock was wrong, and has been put right
    }

    /** What runs this request. @return array<string, string> */
    private static function php(): array
    {
        $software = $_SERVER['SERVER_SOFTWARE'] ?? '';
        $known = preg_match('~^([A-Za-z][A-Za-z-]*)(/\d+(\.\d+)?)?~', is_string($software) ? $software : '', $match);
        return array_filter([
            'php' => Machine::fit(PHP_VERSION),
            'sapi' => Machine::fit(PHP_SAPI),
            'web_server' => $known ? Machine::fit(strtolower(strtr($match[0], '/', '-'))) : '',
        ]);
    }

    private static function uuid(): string
    {
        $bytes = random_bytes(16);
        $bytes[6] = chr(ord($bytes[6]) & 0x0f | 0x40);
        $bytes[8] = chr(ord($bytes[8]) & 0x3f | 0x80);
        return vsprintf('%s%s-%s-%s-%s-%s%s%s', str_split(bin2hex($bytes), 4));
    }

    /**
     * What $work returns, or $otherwise when it throws. The host's error handler sees nothing: `@` would still call it,
     * and some turn each warning into an exception.
     */
    private function quietly(callable $work, $otherwise)
    {
        set_error_handler(static function (): bool {
            return true;
        });
        try {
            return $work();
        } catch (\Throwable $error) {
            return $otherwise;
        } finally {
            restore_error_handler();
        }
    }
}
