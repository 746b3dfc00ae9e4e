<?php

declare(strict_types=1);

namespace Pharos;

/** @internal Files of mode 0600 in one folder, that belong to the folder's owner whoever makes them. */
final class Files
{
    /** @var string */
    private $folder;

    public function __construct(string $folder)
    {
        $this->folder = $folder;
    }

    /** @return array<mixed> */
    public function read(string $name): array
    {
        $path = "$this->folder/$name";
        $value = is_file($path) ? json_decode((string) file_get_contents($path), true) : null;
        return \is_array($value) ? $value : [];
    }

    /** Returns the paths of the files in a folder whose names end so. @return string[] */
    public static function in(string $folder, string $end): array
    {
        $names = [];
        if (is_dir($folder)) {
            $names = Quiet::can('scandir') ? scandir($folder) : array_map('basename', glob("$folder/*") ?: []);
        }
        $paths = [];
        foreach ($names ?: [] as $name) {
            if ($name[0] !== '.' && ($end === '' || substr($name, -\strlen($end)) === $end)) {
                $paths[] = "$folder/$name";
            }
        }
        return $paths;
    }

    public function replace(string $name, string $text): bool
    {
        $path = "$this->folder/$name";
        $temporary = "$path.tmp";
        if (file_exists($temporary)) {
            unlink($temporary);  // left by a process that died; and mode x follows no symlink
        }
        if (!$this->write($temporary, $text)) {
            file_exists($temporary) && unlink($temporary);
            return false;
        }
        return rename($temporary, $path);
    }

    public function write(string $path, string $text): bool
    {
        $file = $this->open($path, 'x');
        if ($file === null) {
            return false;
        }
        $written = fwrite($file, $text) === \strlen($text) && fflush($file);
        if ($written && Quiet::can('fsync')) {
            fsync($file);  // PHP 8.1 and newer
        }
        return fclose($file) && $written;
    }

    /** @return resource|null an open file of mode 0600 that belongs to the folder's owner */
    public function open(string $path, string $mode)
    {
        $umask = Quiet::can('umask') ? umask(0177) : null;
        $new = $mode !== 'a' && !file_exists($path);
        $file = fopen($path, $mode);
        if ($umask !== null) {
            umask($umask);
        } elseif ($file !== false && $new && Quiet::can('chmod')) {
            chmod($path, 0600);
        }
        if ($file === false) {
            return null;
        }
        if ($new || $mode === 'a') {
            $this->give($path);
        }
        return $file;
    }

    public function made(string $folder): void
    {
        if (!is_dir($folder) && mkdir($folder, 0700)) {
            $this->give($folder);
        }
    }

    /** Gives a file that root made to the owner of the folder. */
    private function give(string $path): void
    {
        foreach (['posix_geteuid', 'fileowner', 'filegroup', 'chown', 'chgrp'] as $function) {
            if (!Quiet::can($function)) {
                return;
            }
        }
        if (posix_geteuid() !== 0) {
            return;
        }
        $of = $path === $this->folder ? \dirname($path) : $this->folder;
        $owner = fileowner($of);
        if ($owner !== false && $owner !== 0) {
            chown($path, $owner);
            chgrp($path, (int) filegroup($of));
        }
    }
}
