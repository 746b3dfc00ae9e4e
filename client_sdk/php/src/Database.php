<?php

declare(strict_types=1);

namespace Pharos;

/** @internal Statements on the host's own connection. */
final class Database
{
    /** @var callable */
    private $pdo;
    /** @var bool */
    private $bounded = false;

    /** @param callable $pdo returns the host's PDO */
    public function __construct(callable $pdo)
    {
        $this->pdo = $pdo;
    }

    public function pdo(): \PDO
    {
        return ($this->pdo)();
    }

    /**
     * Returns what $work returns. Its statements wait at most $seconds for a table that another process has locked, as a
     * dump does, and a second for a row: the server's own bounds are a day and 50 seconds. MySQL knows no bound of 0 and
     * takes 1.
     *
     * @return mixed
     */
    public function within(int $seconds, callable $work)
    {
        if ($this->bounded) {
            return $work();
        }
        $bounds = '@pharos_wait = @@SESSION.lock_wait_timeout, @pharos_row_wait = @@SESSION.innodb_lock_wait_timeout,'
            . ' SESSION innodb_lock_wait_timeout = 1, SESSION lock_wait_timeout =';
        $this->bounded = $this->bound("$bounds $seconds") || $this->bound("$bounds 1");
        try {
            return $work();
        } finally {
            $this->bounded && $this->bound(
                'SESSION lock_wait_timeout = @pharos_wait, SESSION innodb_lock_wait_timeout = @pharos_row_wait'
            );
            $this->bounded = false;
        }
    }

    /** @param array<int, string> $values */
    public function run(string $sql, array $values = []): \PDOStatement
    {
        return $this->within(1, function () use ($sql, $values): \PDOStatement {
            return $this->execute($sql, $values);
        });
    }

    /**
     * @param array<int, string> $values
     * @return mixed the first column of the first row
     */
    public function value(string $sql, array $values = [])
    {
        return $this->within(1, function () use ($sql, $values) {
            $statement = $this->execute($sql, $values);
            $value = $statement->fetchColumn();
            $statement->closeCursor();  // before the bound is set back, for which nothing may be left to read
            return $value;
        });
    }

    /** @param array<int, string> $values */
    private function execute(string $sql, array $values): \PDOStatement
    {
        $statement = $this->pdo()->prepare($sql);
        if ($statement === false || !$statement->execute($values)) {
            throw new \RuntimeException('the database does not answer');
        }
        $statement->setFetchMode(\PDO::FETCH_ASSOC);
        return $statement;
    }

    private function bound(string $sql): bool
    {
        return Quiet::run(function () use ($sql): bool {
            return $this->pdo()->exec("SET $sql") !== false;
        }, false);
    }
}
