<?php

declare(strict_types=1);

namespace Pharos;

/** @internal What only the cron and the owner's page do with the files of the folder. */
final class Folder
{
    /** @var Files */
    private $files;

    public function __construct(Files $files)
    {
        $this->files = $files;
    }

    /** @return array<mixed> */
    public function read(string $name): array
    {
        return $this->files->read($name);
    }

    /** @return resource|null */
    public function open(string $path, string $mode)
    {
        return $this->files->open($path, $mode);
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
        $path = "{$this->files->folder}/$name";
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
        $file = $this->files->open($path, 'x');
        if ($file === null) {
            return false;
        }
        $written = fwrite($file, $text) === \strlen($text) && fflush($file);
        if ($written && Quiet::can('fsync')) {
            fsync($file);  // PHP 8.1 and newer
        }
        return fclose($file) && $written;
    }

    public function made(string $folder): void
    {
        if (!is_dir($folder) && mkdir($folder, 0700)) {
            $this->files->give($folder);
        }
    }
}
