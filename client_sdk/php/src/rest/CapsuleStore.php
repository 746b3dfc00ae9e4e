<?php

declare(strict_types=1);

namespace Pharos;

/** @internal Two tables of the host's database: documents, and a row for each request that counted (CapsuleInbox). */
final class CapsuleStore implements Store
{
    private const DELETED = 500;

    /** @var Database */
    private $database;
    /** @var string */
    private $table;
    /** @var int[] */
    private $read = [];
    /** @var ?bool */
    private $there = null;

    public function __construct(Database $database, string $table)
    {
        $this->database = $database;
        $this->table = $table;
    }

    public function counting(bool $on): void
    {
        if ($on === $this->exists('_counts')) {
            return;
        }
        $this->define($on
            ? "CREATE TABLE IF NOT EXISTS {$this->table}_counts"
                . ' (id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY, line TEXT NOT NULL) ENGINE=InnoDB'
            : "DROP TABLE IF EXISTS {$this->table}_counts");
    }

    public function lock(): bool
    {
        return (string) $this->database->value('SELECT GET_LOCK(?, 0)', [$this->lockName()]) === '1';
    }

    public function unlock(): void
    {
        $this->database->value('SELECT RELEASE_LOCK(?)', [$this->lockName()]);
    }

    public function load(): ?array
    {
        if (!$this->exists('')) {
            return [];
        }
        $found = false;
        foreach (['state', 'state.bak'] as $name) {
            $text = $this->text($name);
            $state = $text === null ? null : json_decode($text, true);
            if (\is_array($state) && State::isId($state['install_id'] ?? null)) {
                return $state;
            }
            $found = $found || $text !== null;
        }
        $known = $this->get('id');
        if (State::isId($known['install_id'] ?? null)) {
            return ['install_id' => $known['install_id'], 'lost' => 'state'];
        }
        return $found ? null : [];
    }

    public function lines(array &$state): array
    {
        $this->read = [];
        $lines = [];
        if (!$this->exists('_counts')) {
            return [];
        }
        $this->database->within(1, function () use (&$lines): void {
            $found = $this->database->run("SELECT id, line FROM {$this->table}_counts ORDER BY id LIMIT 100000");
            while (\is_array($row = $found->fetch(\PDO::FETCH_NUM))) {  // row by row: all at once take four times the memory
                $this->read[] = (int) $row[0];
                $lines[] = (string) $row[1];
            }
        });
        $span = $this->read === [] ? 0 : end($this->read) - $this->read[0];
        $state['lost_at'] = $span > CapsuleInbox::MOST ? Clock::now() : (int) ($state['lost_at'] ?? 0);
        return $lines;
    }

    public function save(array $state): bool
    {
        $text = json_encode($state, JSON_THROW_ON_ERROR | JSON_INVALID_UTF8_SUBSTITUTE);
        $this->documents();
        $pdo = $this->database->pdo();
        if ($pdo->inTransaction()) {
            return false;
        }
        $pdo->beginTransaction();
        try {
            $this->replace('state', $text);
            // By their ids: one below the last may belong to an insert that is not committed yet. The limit ends the scan
            // at the last of them: one that goes on to the end of the table locks it for the inserts of pages.
            foreach (array_chunk($this->read, self::DELETED) as $ids) {
                $these = implode(',', $ids) . ') ORDER BY id LIMIT ' . \count($ids);
                $this->database->run("DELETE FROM {$this->table}_counts WHERE id IN ($these");
            }
            $this->replace('state.bak', $text);
            $this->replace('id', json_encode(['install_id' => $state['install_id']], JSON_THROW_ON_ERROR));
            $pdo->commit();
        } catch (\Throwable $error) {
            $pdo->rollBack();
            throw $error;
        }
        $this->read = [];
        return true;
    }

    public function get(string $name): array
    {
        $value = $this->exists('') ? json_decode((string) $this->text($name), true) : null;
        return \is_array($value) ? $value : [];
    }

    public function put(string $name, array $document): bool
    {
        $this->documents();
        if ($document === []) {
            $this->database->run("DELETE FROM {$this->table} WHERE name = ?", [$name]);
        } else {
            $this->replace($name, json_encode($document, JSON_THROW_ON_ERROR));
        }
        return true;
    }

    public function clear(): void
    {
        $this->define("DROP TABLE IF EXISTS {$this->table}_counts, {$this->table}");
        $this->there = null;
    }

    public function troubles(): array
    {
        return Quiet::run(function (): array {
            $this->exists('');
            $span = $this->exists('_counts')
                ? (int) $this->database->value("SELECT MAX(id) - MIN(id) FROM {$this->table}_counts") : 0;
            return $span > CapsuleInbox::MOST ? ['counts_lost'] : [];
        }, ['database']);
    }

    /** Makes or deletes a table, which would commit a transaction of the host's. */
    private function define(string $sql): void
    {
        if ($this->database->pdo()->inTransaction()) {
            throw new \RuntimeException('the host is in a transaction');
        }
        $this->database->run($sql);
    }

    private function documents(): void
    {
        if ($this->there !== true && !$this->exists('')) {
            $this->define("CREATE TABLE IF NOT EXISTS {$this->table}"
                . ' (name VARCHAR(32) NOT NULL PRIMARY KEY, value MEDIUMTEXT NOT NULL) ENGINE=InnoDB');
        }
        $this->there = true;
    }

    private function exists(string $suffix): bool
    {
        if ($suffix === '' && $this->there === true) {
            return true;
        }
        $count = $this->database->value(
            'SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name = ?',
            [$this->table . $suffix]
        );
        return (int) $count > 0;
    }

    private function text(string $name): ?string
    {
        $value = $this->database->value("SELECT value FROM {$this->table} WHERE name = ?", [$name]);
        return \is_string($value) ? $value : null;
    }

    private function replace(string $name, string $text): void
    {
        $this->database->run("REPLACE INTO {$this->table} (name, value) VALUES (?, ?)", [$name, $text]);
    }

    private function lockName(): string
    {
        return substr($this->table . '_' . sha1((string) $this->database->value('SELECT DATABASE()')), 0, 60);
    }
}
