<?php

declare(strict_types=1);

namespace Pharos;

/**
 * Files of mode 0600 in a folder of its own outside the web root.
 *
 * Counts are lines in `counts/`, a file for each day and user, so that nobody needs another's permission. The folder
 * `counts` exists only while counting is allowed: a page need not read anything to know.
 */
final class FileStore implements Store
{
    private const MOST = 4194304;      // bytes of a file of counts
    private const ROTATED = 1048576;   // from this size on the cron puts a read file aside
    private const RESERVE = 65536;     // bytes that a full disk still has for counts
    private const READ_MOST = 33554432;

    /** @var string */
    private $folder;
    /** @var resource|null */
    private $lock = null;
    /** @var string[] */
    private $old = [];

    public function __construct(string $folder)
    {
        $this->folder = rtrim($folder, '/\\');
    }

    public function name(): string
    {
        return 'file:' . $this->folder;
    }

    public function append(string $line): bool
    {
        $user = Quiet::can('posix_geteuid') ? (string) posix_geteuid() : 'x';
        $base = "$this->folder/counts/" . Clock::date(Clock::now()) . "-$user-" . (PHP_SAPI === 'cli' ? 'c' : 'w');
        // A file that another user made is closed to this one. Without posix its name does not tell.
        $file = $this->open("$base.log", 'a') ?: $this->open($base . '-' . bin2hex(random_bytes(4)) . '.log', 'a');
        if ($file === null) {
            return $this->lost();
        }
        $size = fstat($file)['size'] ?? 0;
        // The first line names the file whatever it is called later. A line that a full disk has cut ends at the next
        // one's first character.
        $text = ($size === 0 ? '{"log":"' . bin2hex(random_bytes(8)) . '"}' : '') . "\n$line\n";
        $written = $size < self::MOST ? (int) fwrite($file, $text) : 0;
        $stored = $written === \strlen($text);
        if (!$stored && $size < self::MOST && unlink("$this->folder/counts/reserve")) {
            $text = ($written > 0 ? "\n{\"cut\":1}" : '') . "\n$line\n";  // the part before comes whole once more
            $stored = fwrite($file, $text) === \strlen($text);
        }
        fclose($file);
        return $stored || $this->lost();
    }

    public function counting(bool $on): void
    {
        $counts = "$this->folder/counts";
        if (!$on) {
            foreach (is_dir($counts) ? scandir($counts) : [] as $name) {
                if ($name[0] !== '.') {
                    unlink("$counts/$name");
                }
            }
            is_dir($counts) && rmdir($counts);
            return;
        }
        $this->made($this->folder);
        $this->made($counts);
        if (!file_exists("$counts/lost") && $this->write("$counts/lost", '')) {
            touch("$counts/lost", 1);
        }
        if (!file_exists("$counts/reserve") && !$this->write("$counts/reserve", str_repeat("\0", self::RESERVE))) {
            file_exists("$counts/reserve") && unlink("$counts/reserve");
        }
    }

    public function lock(): bool
    {
        $this->made($this->folder);
        $lock = $this->open("$this->folder/cron.lock", 'c');
        if ($lock === null || !flock($lock, LOCK_EX | LOCK_NB)) {
            return false;
        }
        $this->lock = $lock;
        return true;
    }

    public function unlock(): void
    {
        $this->lock !== null && fclose($this->lock);
        $this->lock = null;
    }

    public function load(): ?array
    {
        foreach (['state.json', 'state.json.bak'] as $name) {
            $state = $this->read($name);
            if (State::isId($state['install_id'] ?? null)) {
                return $state;
            }
        }
        $known = $this->read('id.json');
        if (State::isId($known['install_id'] ?? null)) {
            $offsets = $this->read('read.json');
            return ['install_id' => $known['install_id'], 'logs' => $offsets, 'lost' => 'state'];
        }
        // A new install has none of these files.
        foreach (['state.json', 'state.json.bak', 'id.json'] as $name) {
            if (file_exists("$this->folder/$name")) {
                return null;
            }
        }
        return [];
    }

    public function lines(array &$state): array
    {
        $lines = [];
        $logs = [];
        $this->old = [];
        $budget = self::READ_MOST;
        $known = \is_array($state['logs'] ?? null) ? $state['logs'] : [];
        $unreadable = false;
        foreach (glob("$this->folder/counts/*.log") ?: [] as $path) {
            $file = fopen($path, 'r');
            $first = $file ? fgets($file) : false;
            if ($file === false || ($first === false && filesize($path) > 0)) {
                $unreadable = true;
                continue;
            }
            if ($first === false || substr($first, -1) !== "\n") {
                continue;
            }
            $id = substr(sha1($first), 0, 16);
            $size = fstat($file)['size'] ?? 0;
            $from = \is_int($known[$id] ?? null) ? $known[$id] : \strlen($first);
            if ($from > $size) {
                $from = $size;
                $state['lost'] = 'counts';
            }
            fseek($file, $from);
            $text = $budget > 0 ? (string) stream_get_contents($file, $budget) : '';
            fclose($file);
            $end = strrpos($text, "\n");
            $text = $end === false ? '' : substr($text, 0, $end + 1);
            $budget -= \strlen($text);
            $logs[$id] = $from + \strlen($text);
            foreach (explode("\n", $text) as $line) {
                if ($line !== '') {
                    $lines[] = $line;
                }
            }
            $this->old[$path] = [$logs[$id], (string) substr(basename($path), 0, 10)];
        }
        $state['logs'] = $logs;
        $state['unreadable'] = $unreadable;
        $last = file_exists("$this->folder/counts/lost") ? filemtime("$this->folder/counts/lost") : 1;
        $state['lost_at'] = max((int) ($state['lost_at'] ?? 0), $last > 1 ? $last : 0);
        return $lines;
    }

    public function save(array $state): bool
    {
        $text = json_encode($state, JSON_THROW_ON_ERROR | JSON_INVALID_UTF8_SUBSTITUTE);
        $saved = $this->replace('state.json', $text);
        if (!$saved && file_exists("$this->folder/counts/reserve") && unlink("$this->folder/counts/reserve")) {
            $saved = $this->replace('state.json', $text);
        }
        if (!$saved) {
            return false;
        }
        $this->replace('state.json.bak', $text);
        if ($this->read('id.json') !== ['install_id' => $state['install_id']]) {
            $this->put('id', ['install_id' => $state['install_id']]);
        }
        if ($this->read('read.json') !== ($state['logs'] ?? [])) {
            $this->put('read', $state['logs'] ?? []);
        }
        // What is read and full makes room. What is read and old goes.
        foreach ($this->old as $path => [$end, $date]) {
            $size = filesize($path);
            if ($size !== $end) {
                continue;
            }
            if ($date < Clock::date(Clock::now() - 2 * Clock::DAY)) {
                unlink($path);
            } elseif ($size > self::ROTATED && !preg_match('/-r[0-9a-f]{8}\.log$/D', $path)) {
                rename($path, substr($path, 0, -4) . '-r' . bin2hex(random_bytes(4)) . '.log');
            }
        }
        $this->old = [];
        return true;
    }

    public function get(string $name): array
    {
        return $this->read("$name.json");
    }

    public function put(string $name, array $document): bool
    {
        if ($document === []) {
            return !file_exists("$this->folder/$name.json") || unlink("$this->folder/$name.json");
        }
        $this->made($this->folder);
        return $this->replace("$name.json", json_encode($document, JSON_THROW_ON_ERROR));
    }

    public function clear(): void
    {
        $this->counting(false);
        foreach (glob("$this->folder/*.json*") ?: [] as $path) {
            unlink($path);
        }
    }

    public function troubles(): array
    {
        $troubles = [];
        if (!is_dir($this->folder) || !is_writable($this->folder)) {
            $troubles[] = 'folder';
        } elseif (is_dir("$this->folder/counts") && !is_writable("$this->folder/counts")) {
            $troubles[] = 'counts_folder';
        }
        if (is_dir("$this->folder/counts") && !file_exists("$this->folder/counts/reserve")) {
            $troubles[] = 'disk_full';
        }
        $lost = "$this->folder/counts/lost";
        if (file_exists($lost) && filemtime($lost) > max(1, time() - 7 * Clock::DAY)) {
            $troubles[] = 'counts_lost';
        }
        return $troubles;
    }

    private function lost(): bool
    {
        $mark = "$this->folder/counts/lost";
        file_exists($mark) && touch($mark);  // needs no space
        return false;
    }

    /** @return array<mixed> */
    private function read(string $name): array
    {
        $path = "$this->folder/$name";
        $value = is_file($path) ? json_decode((string) file_get_contents($path), true) : null;
        return \is_array($value) ? $value : [];
    }

    private function replace(string $name, string $text): bool
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

    private function write(string $path, string $text): bool
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
    private function open(string $path, string $mode)
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

    private function made(string $folder): void
    {
        if (!is_dir($folder) && mkdir($folder, 0700)) {
            $this->give($folder);
        }
    }

    /** Gives a file that root made to the owner of the folder. */
    private function give(string $path): void
    {
        if (!Quiet::can('posix_geteuid') || posix_geteuid() !== 0) {
            return;
        }
        $of = $path === $this->folder ? \dirname($path) : $this->folder;
        $owner = fileowner($of);
        if ($owner !== false && $owner !== 0 && Quiet::can('chown') && Quiet::can('chgrp')) {
            chown($path, $owner);
            chgrp($path, (int) filegroup($of));
        }
    }
}
