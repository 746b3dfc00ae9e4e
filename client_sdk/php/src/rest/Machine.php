<?php

declare(strict_types=1);

namespace Pharos;

/** @internal What can be learned about the machine without privileges; what the host forbids to look at is unknown. */
final class Machine
{
    // What nothing can be stored, sent or told without, as far as hosts are known to disable it.
    private const NEEDED = [
        'fopen', 'fread', 'fgets', 'fseek', 'fwrite', 'fflush', 'fclose', 'fstat', 'file_get_contents', 'file_exists', 'filesize',
        'filemtime', 'is_file', 'is_dir', 'is_writable', 'mkdir', 'rmdir', 'rename', 'unlink', 'flock', 'random_bytes', 'random_int',
        'hash', 'hash_hmac', 'sha1', 'gmdate', 'strtotime', 'microtime', 'json_encode', 'json_decode', 'preg_match', 'preg_replace',
    ];
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

    /**
     * Looks at the machine. What fails is left out.
     *
     * @return array<string, mixed> `os` and `virtualization`
     */
    public static function look(): array
    {
        $os = Quiet::run([self::class, 'os'], ['family' => 'unknown']);
        return ['os' => $os, 'virtualization' => Quiet::run([self::class, 'virtualization'], ['type' => 'unknown'])];
    }

    /** Returns the first function that the client cannot do without and the host has disabled. */
    public static function missing(): ?string
    {
        foreach (self::NEEDED as $function) {
            if (!Quiet::can($function)) {
                return $function;
            }
        }
        return Quiet::can('scandir') || Quiet::can('glob') ? null : 'scandir';
    }

    /** Names a database server by what it calls itself: `10.11.6-MariaDB-0+deb12u1` is `mariadb-10.11`. */
    public static function database(string $version): string
    {
        if (!preg_match('/^(?:5\.5\.5-)?(\d+\.\d+)/', $version, $match)) {
            return Php::fit($version);
        }
        return (stripos($version, 'mariadb') === false ? 'mysql-' : 'mariadb-') . $match[1];
    }

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
            'name' => Php::fit(strtolower($name), Php::LOWER),
            'version' => Php::fit($version),
            'arch' => Php::fit(strtolower(self::uname('m')), Php::LOWER),
        ]);
    }

    /** @return array<string, string> */
    public static function virtualization(): array
    {
        if (PHP_OS_FAMILY !== 'Linux') {
            return ['type' => 'unknown'];  // the traces below are Linux's
        }
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

    private static function systemdDetectVirt(): string
    {
        if (!Quiet::can('proc_open') || !Quiet::can('proc_terminate')) {
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
        return Quiet::can('php_uname') ? php_uname($mode) : '';
    }

    private static function read(string $path): string
    {
        return Quiet::can('file_get_contents') ? (string) file_get_contents($path, false, null, 0, 65536) : '';
    }

    /** @param array<string, string> $names */
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
