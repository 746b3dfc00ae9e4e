<?php

declare(strict_types=1);

namespace Pharos;

/**
 * @internal A row for each request that counted, in a table of the host's database. The table exists only while counting
 * is allowed.
 */
final class CapsuleInbox implements Inbox
{
    public const MOST = 60000;  // rows that wait for a cron that does not come

    /** @var Database */
    private $database;
    /** @var string */
    private $table;

    /**
     * @param callable $pdo returns the host's PDO
     * @param string $prefix of the tables, `[a-z0-9_]+`
     */
    public function __construct(callable $pdo, string $prefix)
    {
        $this->database = new Database($pdo);
        $this->table = $prefix;
    }

    public function name(): string
    {
        return 'capsule:' . $this->table;
    }

    public function append(string $line): bool
    {
        return $this->database->within(0, function () use ($line): bool {
            // A read of both ends of the key, without lock; then the insert.
            $span = $this->database->value("SELECT MAX(id) - MIN(id) FROM {$this->table}_counts");
            if ((int) $span > self::MOST) {
                return false;
            }
            return $this->database->run("INSERT INTO {$this->table}_counts (line) VALUES (?)", [$line])->rowCount() === 1;
        });
    }

    public function chosen(): bool
    {
        return $this->database->value("SELECT COUNT(*) FROM {$this->table} WHERE name = 'choice'") > 0;
    }

    public function store(): Store
    {
        return new CapsuleStore($this->database, $this->table);
    }
}
