<?php

declare(strict_types=1);

namespace Pharos;

/**
 * @internal Counts are lines in `counts/`, a file for each day and user, so that nobody needs another's permission. The
 * folder `counts` exists only while counting is allowed: a page need not read anything to know.
 */
final class FileInbox implements Inbox
{
    private const MOST = 4194304;  // bytes of a file of counts

    /** @var Files */
    private $files;

    public function __construct(string $folder)
    {
        $this->files = new Files($folder);
    }

    public function name(): string
    {
        return 'file:' . $this->files->folder;
    }

    public function append(string $line): bool
    {
        $counts = "{$this->files->folder}/counts";
        $user = Quiet::can('posix_geteuid') ? (string) posix_geteuid() : 'x';
        $base = "$counts/" . Clock::date(Clock::now()) . "-$user-" . (PHP_SAPI === 'cli' ? 'c' : 'w');
        // A file that another user made is closed to this one. Without posix its name does not tell.
        $file = $this->files->open("$base.log", 'a') ?: $this->files->open($base . '-' . bin2hex(random_bytes(4)) . '.log', 'a');
        if ($file === null && unlink("$counts/reserve")) {
            $file = $this->files->open("$base.log", 'a');  // a disk without room for one more file
        }
        if ($file === null) {
            return $this->lost();
        }
        $size = fstat($file)['size'] ?? 0;
        // The first line names the file whatever it is called later. A line that a full disk has cut ends at the next
        // one's first character.
        $text = ($size === 0 ? '{"log":"' . bin2hex(random_bytes(8)) . '"}' : '') . "\n$line\n";
        $written = $size < self::MOST ? (int) fwrite($file, $text) : 0;
        $stored = $written === \strlen($text);
        if (!$stored && $size < self::MOST && unlink("$counts/reserve")) {
            if ($written === \strlen($text) - 1) {
                $text = "\n";  // the line is whole, and would count twice
            } elseif ($written > 0) {
                $text = "\n{\"cut\":1}\n$line\n";  // the part before comes whole once more
            }
            $stored = fwrite($file, $text) === \strlen($text);
        }
        fclose($file);
        return $stored || $this->lost();
    }

    public function chosen(): bool
    {
        return isset($this->files->read('choice.json')['level']);
    }

    public function store(): Store
    {
        return new FileStore($this->files);
    }

    private function lost(): bool
    {
        $mark = "{$this->files->folder}/counts/lost";
        file_exists($mark) && Quiet::can('touch') && touch($mark);  // needs no space
        return false;
    }
}
