<?php

declare(strict_types=1);

namespace Pharos;

/** @internal Files of mode 0600 in one folder, that belong to the folder's owner whoever makes them. */
final class Files
{
    /** @var string */
    public $folder;

    public function __construct(string $folder)
    {
        $this->folder = rtrim($folder, '/\\');
    }

    /** @return array<mixed> */
    public function read(string $name): array
    {
        $path = "$this->folder/$name";
        $value = is_file($path) ? json_decode((string) file_get_contents($path), true) : null;
        return \is_array($value) ? $value : [];
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

    /** Gives a file that root made to the owner of the folder. */
    public function give(string $path): void
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
