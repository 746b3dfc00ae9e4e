<?php

declare(strict_types=1);

namespace Pharos;

/** What became of a run. */
final class Result implements \JsonSerializable
{
    public const SENT = 'sent';              // the collector has stored every beacon of the batch
    public const QUEUED = 'queued';          // done with the vendor's other modules when the cron ends, if due
    public const NOT_DUE = 'not_due';        // nothing to do yet
    public const FAILED = 'failed';          // no valid answer; kept, and sent again later
    public const REJECTED = 'rejected';      // the collector rejected beacons; see rejected()
    public const OBJECTED = 'objected';      // the owner objected at the collector; nothing is counted any more
    public const UNDECLARED = 'undeclared';  // the collector's catalog does not declare the module; nothing was stored
    public const OFF = 'off';                // there is no consent; nothing was sent
    public const MOVED = 'moved';            // the administrator has to say whether this install was moved or copied
    public const BUSY = 'busy';              // another process is at it

    /** @var array<string, mixed> */
    private $of;

    /** @param array<string, mixed> $more */
    public function __construct(string $status, ?string $reason = null, array $more = [])
    {
        $this->of = ['status' => $status, 'reason' => $reason] + $more + [
            'accepted' => 0, 'duplicates' => 0, 'rejected' => [], 'objected' => 0, 'undeclared' => 0, 'next_in' => 0,
            'kept' => false,
        ];
    }

    public function status(): string
    {
        return $this->of['status'];
    }

    /** Why it failed: the collector's own reason, `http_<status>`, or one of the client's; null when it did not. */
    public function reason(): ?string
    {
        return $this->of['reason'];
    }

    public function accepted(): int
    {
        return $this->of['accepted'];
    }

    public function duplicates(): int
    {
        return $this->of['duplicates'];
    }

    /** @return array<int, array<string, string>> module, reason, path and detail of each rejected beacon */
    public function rejected(): array
    {
        return $this->of['rejected'];
    }

    public function objected(): int
    {
        return $this->of['objected'];
    }

    public function undeclared(): int
    {
        return $this->of['undeclared'];
    }

    /** Seconds until the next run has something to do. */
    public function nextIn(): int
    {
        return $this->of['next_in'];
    }

    /** Whether the cron tries again what the owner has asked for. */
    public function kept(): bool
    {
        return $this->of['kept'];
    }

    /** This result and one more of the same run. */
    public function with(self $other): self
    {
        $of = $other->of;
        foreach (['accepted', 'duplicates', 'objected', 'undeclared'] as $name) {
            $of[$name] += $this->of[$name];
        }
        $of['rejected'] = array_merge($this->of['rejected'], $of['rejected']);
        return new self($this->of['status'], $this->of['reason'], $of);
    }

    /** @return array<string, mixed> */
    public function jsonSerialize(): array
    {
        return $this->of;
    }
}
