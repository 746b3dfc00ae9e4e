<?php

declare(strict_types=1);

namespace Pharos;

/**
 * Two tables of the host's database: documents, and a row for each request that counted. The table of rows exists only
 * while counting is allowed.
 */
final class CapsuleStore implements Store
{
    private const MOST = 60000;  // rows that wait for a cron that does not come
    private const DELETED = 500;

    /** @var callable */
    private $pdo;
    /** @var string */
    private $table;
    /** @var int[] */
    private $read = [];
    /** @var ?bool */
    private $there = null;

    /**
     * @param callable $pdo returns the host's PDO
     * @param string $prefix of the tables, `[a-z0-9_]+`
     */
    public function __construct(callable $pdo, string $prefix)
    {
        $this->pdo = $pdo;
        $this->table = $prefix;
    }

    public function name(): string
    {
        return 'capsule:' . $this->table;
    }

    public function append(string $line): bool
    {
        // A read of both ends of the key, without lock; then the insert.
        $span = $this->value("SELECT MAX(id) - MIN(id) FROM {$this->table}_counts");
        if ((int) $span > self::MOST) {
            return false;
        }
        return $this->run("INSERT INTO {$this->table}_counts (line) VALUES (?)", [$line])->rowCount() === 1;
    }

    public function counting(bool $on): void
    {
        if ($on === $this->exists('_counts')) {
            return;
        }
        $this->run($on
            ? "CREATE TABLE IF NOT EXISTS {$this->table}_counts"
                . ' (id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY, line TEXT NOT NULL) ENGINE=InnoDB'
            : "DROP TABLE IF EXISTS {$this->table}_counts");
    }

    public function lock(): bool
    {
        return (string) $this->value('SELECT GET_LOCK(?, 0)', [$this->lockName()]) === '1';
    }

    public function unlock(): void
    {
        $this->value('SELECT RELEASE_LOCK(?)', [$this->lockName()]);
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
        foreach ($this->run("SELECT id, line FROM {$this->table}_counts ORDER BY id LIMIT 100000")->fetchAll() as $row) {
            $this->read[] = (int) $row['id'];
            $lines[] = (string) $row['line'];
        }
        $span = $this->read === [] ? 0 : end($this->read) - $this->read[0];
        $state['lost_at'] = $span > self::MOST ? Clock::now() : (int) ($state['lost_at'] ?? 0);
        return $lines;
    }

    public function save(array $state): bool
    {
        $text = json_encode($state, JSON_THROW_ON_ERROR | JSON_INVALID_UTF8_SUBSTITUTE);
        $this->documents();
        $pdo = ($this->pdo)();
        if ($pdo->inTransaction()) {
            return false;
        }
        $pdo->beginTransaction();
        try {
            $this->replace('state', $text);
            // By their ids: one below the last may belong to an insert that is not committed yet.
            foreach (array_chunk($this->read, self::DELETED) as $ids) {
                $this->run("DELETE FROM {$this->table}_counts WHERE id IN (" . implode(',', $ids) . ')');
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
            $this->run("DELETE FROM {$this->table} WHERE name = ?", [$name]);
        } else {
            $this->replace($name, json_encode($document, JSON_THROW_ON_ERROR));
        }
        return true;
    }

    public function clear(): void
    {
        $this->run("DROP TABLE IF EXISTS {$this->table}_counts, {$this->table}");
        $this->there = null;
    }

    public function troubles(): array
    {
        return Quiet::run(function (): array {
            $this->exists('');
            $span = $this->exists('_counts')
                ? (int) $this->value("SELECT MAX(id) - MIN(id) FROM {$this->table}_counts") : 0;
            return $span > self::MOST ? ['counts_lost'] : [];
        }, ['database']);
    }

    private function documents(): void
    {
        if ($this->there !== true && !$this->exists('')) {
            $this->run("CREATE TABLE IF NOT EXISTS {$this->table}"
                . ' (name VARCHAR(32) NOT NULL PRIMARY KEY, value MEDIUMTEXT NOT NULL) ENGINE=InnoDB');
        }
        $this->there = true;
    }

    private function exists(string $suffix): bool
    {
        if ($suffix === '' && $this->there === true) {
            return true;
        }
        $count = $this->value(
            'SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name = ?',
            [$this->table . $suffix]
        );
        return (int) $count > 0;
    }

    private function text(string $name): ?string
    {
        $value = $this->value("SELECT value FROM {$this->table} WHERE name = ?", [$name]);
        return \is_string($value) ? $value : null;
    }

    private function replace(string $name, string $text): void
    {
        $this->run("REPLACE INTO {$this->table} (name, value) VALUES (?, ?)", [$name, $text]);
    }

    private function lockName(): string
    {
        return substr($this->table . '_' . sha1((string) $this->value('SELECT DATABASE()')), 0, 60);
    }

    /**
     * @param array<int, string> $values
     * @return mixed the first column of the first row
     */
    private function value(string $sql, array $values = [])
    {
        $statement = $this->run($sql, $values);
        $value = $statement->fetchColumn();
        $statement->closeCursor();
        return $value;
    }

    /** @param array<int, string> $values */
    private function run(string $sql, array $values = []): \PDOStatement
    {
        $statement = ($this->pdo)()->prepare($sql);
        if ($statement === false || !$statement->execute($values)) {
            throw new \RuntimeException('the database does not answer');
        }
        $statement->setFetchMode(\PDO::FETCH_ASSOC);
        return $statement;
    }
}
