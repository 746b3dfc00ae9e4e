<?php

declare(strict_types=1);

namespace Pharos;

/** @internal Where pages leave their counts. The cron takes them, by the store. */
interface Inbox
{
    /** Names the inbox within this process. */
    public function name(): string;

    /** Appends a line of counts: one write, without lock, read or fsync. Returns false if it is not stored. */
    public function append(string $line): bool;

    /** Returns whether the owner has chosen a level. */
    public function chosen(): bool;

    /** The store that the inbox is a part of; its class is in the second file. */
    public function store(): Store;
}
