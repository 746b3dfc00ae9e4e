<?php

declare(strict_types=1);

namespace Pharos;

/** @internal Statements on the host's own connection. */
final class Database
{
    /** @var callable */
    private $pdo;

    /** @param callable $pdo returns the host's PDO */
    public function __construct(callable $pdo)
    {
        $this->pdo = $pdo;
    }

    public function pdo(): \PDO
    {
        return ($this->pdo)();
    }

    /** @param array<int, string> $values */
    public function run(string $sql, array $values = []): \PDOStatement
    {
        $statement = $this->pdo()->prepare($sql);
        if ($statement === false || !$statement->execute($values)) {
            throw new \RuntimeException('the database does not answer');
        }
        $statement->setFetchMode(\PDO::FETCH_ASSOC);
        return $statement;
    }

    /**
     * @param array<int, string> $values
     * @return mixed the first column of the first row
     */
    public function value(string $sql, array $values = [])
    {
        $statement = $this->run($sql, $values);
        $value = $statement->fetchColumn();
        $statement->closeCursor();
        return $value;
    }
}
