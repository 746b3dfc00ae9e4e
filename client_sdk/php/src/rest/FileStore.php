<?php

declare(strict_types=1);

namespace Pharos;

/** @internal Files of mode 0600 in a folder of its own outside the web root. FileInbox says how the counts get there. */
final class FileStore implements Store
{
    private const ROTATED = 1048576;   // from this size on the cron puts a read file aside
    private const RESERVE = 65536;     // bytes that a full disk still has for counts
    private const READ_MOST = 8388608;  // bytes of counts that one run of the cron reads

    /** @var string */
    private $folder;
    /** @var Folder */
    private $files;
    /** @var resource|null */
    private $lock = null;
    /** @var string[] */
    private $old = [];

    public function __construct(Files $files)
    {
        $this->folder = $files->folder;
        $this->files = new Folder($files);
    }

    public function counting(bool $on): void
    {
        $counts = "$this->folder/counts";
        if (!$on) {
            array_map('unlink', Folder::in($counts, ''));
            is_dir($counts) && rmdir($counts);
            return;
        }
        $this->files->made($this->folder);
        $this->files->made($counts);
        if (Quiet::can('touch') && !file_exists("$counts/lost") && $this->files->write("$counts/lost", '')) {
            touch("$counts/lost", 1);
        }
        if (!file_exists("$counts/reserve") && !$this->files->write("$counts/reserve", str_repeat("\0", self::RESERVE))) {
            file_exists("$counts/reserve") && unlink("$counts/reserve");
        }
    }

    public function lock(): bool
    {
        $this->files->made($this->folder);
        $lock = $this->files->open("$this->folder/cron.lock", 'c');
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
            $state = $this->files->read($name);
            if (State::isId($state['install_id'] ?? null)) {
                return $state;
            }
        }
        $known = $this->files->read('id.json');
        if (State::isId($known['install_id'] ?? null)) {
            $offsets = $this->files->read('read.json');
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
        foreach (Folder::in("$this->folder/counts", '.log') as $path) {
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
            $most = min($budget, $size - $from);  // PHP before 8.3 takes as much memory as it may read
            $text = $most > 0 ? (string) stream_get_contents($file, $most) : '';
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
        $saved = $this->files->replace('state.json', $text);
        if (!$saved && file_exists("$this->folder/counts/reserve") && unlink("$this->folder/counts/reserve")) {
            $saved = $this->files->replace('state.json', $text);
        }
        if (!$saved) {
            return false;
        }
        $this->files->replace('state.json.bak', $text);
        if ($this->files->read('id.json') !== ['install_id' => $state['install_id']]) {
            $this->put('id', ['install_id' => $state['install_id']]);
        }
        if ($this->files->read('read.json') !== ($state['logs'] ?? [])) {
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
        return $this->files->read("$name.json");
    }

    public function put(string $name, array $document): bool
    {
        if ($document === []) {
            return !file_exists("$this->folder/$name.json") || unlink("$this->folder/$name.json");
        }
        $this->files->made($this->folder);
        return $this->files->replace("$name.json", json_encode($document, JSON_THROW_ON_ERROR));
    }

    public function clear(): void
    {
        $this->counting(false);
        foreach (['.json', '.json.bak', '.json.tmp'] as $end) {
            array_map('unlink', Folder::in($this->folder, $end));
        }
    }

    public function troubles(): array
    {
        $troubles = [];
        $to = is_dir($this->folder) ? $this->folder : \dirname($this->folder);  // before the first choice there is none
        if (!is_dir($to) || !is_writable($to) || ($to !== $this->folder && file_exists($this->folder))) {
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
}
