<?php

declare(strict_types=1);

namespace Pharos;

/**
 * @internal Where an install keeps its data. Pages only append lines to the inbox and replace documents. The cron alone,
 * under the lock, reads the lines and writes the state.
 */
interface Store
{
    /** Allows or forbids that lines are appended, and deletes the lines when it forbids. */
    public function counting(bool $on): void;

    /** Takes the lock of the cron without waiting. */
    public function lock(): bool;

    public function unlock(): void;

    /**
     * Returns the state, null if it is lost and cannot be replaced. An empty array is a new install.
     *
     * @return ?array<string, mixed>
     */
    public function load(): ?array;

    /**
     * Returns the lines that no earlier call returned before a save(), each with a newline at most around it.
     *
     * @param array<string, mixed> $state the place for what save() must know
     * @return string[]
     */
    public function lines(array &$state): array;

    /**
     * Stores the state, and with it that the lines were read: both or nothing.
     *
     * @param array<string, mixed> $state
     */
    public function save(array $state): bool;

    /**
     * A small document of the page: the choice of the owner, its requests.
     *
     * @return array<string, mixed>
     */
    public function get(string $name): array;

    /** @param array<string, mixed> $document an empty one deletes it */
    public function put(string $name, array $document): bool;

    /** Deletes everything, the install id too. */
    public function clear(): void;

    /** @return string[] what is wrong with the store, as words of Page */
    public function troubles(): array;
}
