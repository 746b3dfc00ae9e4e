<?php

declare(strict_types=1);

namespace Pharos;

/** One module on one server. Every public method is safe to call anywhere: it returns, in time, whatever happens. */
final class Client
{
    /** @var string */
    private $name;
    /** @var array<string, mixed> */
    private $options;
    /** @var ?Counter */
    private $counter = null;

    /**
     * @param mixed $name the module, `[a-z][a-z0-9_]{0,63}`
     * @param mixed $options
     *     state     a folder of its own outside the web root; all of the vendor's modules on this server share it
     *     inbox     an Inbox in place of the folder
     *     version   the module's version
     *     license   a callable that returns the license, called by the cron alone; the license itself is taken too:
     *               a status (a word of the beacon, or of WHMCS's licensing addon), or [status, key]; of the key only
     *               its SHA-256 is kept or sent
     *     source    where the license comes from
     *     consent   the level while nobody has chosen one: `off` (default), `license` or `full`
     *     policy    the version of the privacy policy that is agreed to
     *     platform  [whmcs, database], or a callable that returns them, called by the cron alone
     *     place     what changes when the server is copied, never sent
     *     log       a callable (request, answer, module) for the host's own log
     *     title     the module's name on its page
     */
    public function __construct($name, $options = [])
    {
        $this->name = \is_string($name) ? $name : '';
        $this->options = \is_array($options) ? $options : [];
        Quiet::run(function (): void {
            $inbox = $this->options['inbox'] ?? null;
            if (!$inbox instanceof Inbox) {
                $folder = $this->options['state'] ?? '';
                $inbox = \is_string($folder) && $folder !== '' ? new FileInbox($folder) : null;
            }
            if ($inbox !== null) {
                $this->counter = Counter::of($inbox);
                $this->counter->modules[$this->name] = $this->options;
            }
        }, null);
    }

    /**
     * @param mixed $name
     * @param mixed $options
     */
    public static function module($name, $options = []): self
    {
        return new self($name, $options);
    }

    /**
     * Counts uses of a feature, in memory; the end of the request writes them. Without types, so that a slip of the
     * host is no TypeError.
     *
     * @param mixed $feature such as `invoice.pdf_export`
     * @param mixed $uses
     * @return bool whether they are counted
     */
    public function count($feature, $uses = 1): bool
    {
        if ($this->counter === null || !\is_int($uses) || $uses < 1 || !\is_string($feature)) {
            return false;
        }
        return $this->counter->count($this->name, $feature, $uses);
    }

    /** Writes what is counted. The end of the request does so too; a process that runs for days calls this. */
    public function flush(): bool
    {
        return $this->counter !== null && $this->counter->flush();
    }

    /** Makes the beacon if it is due, and sends what waits. Call it in each run of the cron. */
    public function tick(): Result
    {
        return $this->ask('tick', []) ?? $this->failed();
    }

    /** Tells the collector that the module is deactivated: once, now, for what it is worth. */
    public function deactivate(): Result
    {
        return $this->ask('deactivate', []) ?? $this->failed();
    }

    /**
     * The owner's choice for all of the vendor's modules on this server.
     *
     * @param mixed $level `off`, `license` or `full`
     */
    public function choose($level): bool
    {
        return $this->ask('choose', [$level]) ?? false;
    }

    /** The level in force: `off`, `license` or `full`. */
    public function level(): string
    {
        return $this->ask('level', []) ?? 'off';
    }

    /** The next beacon as it would be sent now. @return array<string, mixed> */
    public function preview(): array
    {
        return $this->ask('preview', []) ?? [];
    }

    /** What each plane of the collector would store of the next beacon. It stores nothing. @return array<string, mixed> */
    public function explain(): array
    {
        return $this->ask('explain', []) ?? ['status' => 0, 'reason' => $this->failed()->reason(), 'answer' => []];
    }

    /**
     * A request of the owner to the collector.
     *
     * @param mixed $action `access`, `erase`, `object`, `restrict` or `lift`
     */
    public function request($action): Result
    {
        return $this->ask('request', [$action]) ?? $this->failed();
    }

    /** The owner's requests and how far they are. @return array<int, array<string, mixed>> */
    public function requests(): array
    {
        return $this->ask('requests', []) ?? [];
    }

    /** Erases this install at the collector and here, and turns telemetry off. Where that fails the cron tries again. */
    public function forget(): Result
    {
        return $this->ask('forget', []) ?? $this->failed();
    }

    /** The secret that proves this install to the collector's `/v1/rights`; null before the first beacon. */
    public function installId(): ?string
    {
        return $this->ask('installId', []);
    }

    /** The last beacons and the answers to them, without the install id. @return array<int, array<string, mixed>> */
    public function log(): array
    {
        return $this->ask('log', []) ?? [];
    }

    /**
     * The owner's page as HTML: the choice, the next beacon, the last ones, the rights. Handles its own forms.
     *
     * @param mixed $vars of WHMCS's `_output`: `modulelink` and `_lang` are used
     */
    public function page($vars = []): string
    {
        return $this->ask('page', [$vars]) ?? ($this->failed()->reason() === 'incomplete'
            ? '<p>The second file of the telemetry client is missing or of another version. Copy the files of the module once'
                . ' more. Until then nothing is sent, and what is counted waits.</p>'
            : '<p>This page of the telemetry could not be made.</p>');
    }

    /** What is wrong, as words of Page. @return string[] */
    public function troubles(): array
    {
        return $this->ask('troubles', []) ?? [$this->failed()->reason()];
    }

    /** @return array<string, string> what a dump shows: no options, which may hold a key */
    public function __debugInfo(): array
    {
        return ['module' => $this->name];
    }

    /** @return array<string, string> */
    public function __serialize(): array
    {
        return ['module' => $this->name];
    }

    /** @param array<string, mixed> $kept */
    public function __unserialize(array $kept): void
    {
        $this->name = (string) ($kept['module'] ?? '');
        $this->options = [];
    }

    /**
     * Calls a method of Module, which is in the second file.
     *
     * @param mixed[] $arguments
     * @return mixed null where that is not possible
     */
    private function ask(string $method, array $arguments)
    {
        return Quiet::run(function () use ($method, $arguments) {
            return Rest::load()
                ? (new Module($this->counter, $this->name, $this->options))->$method(...$arguments)
                : null;
        }, null);
    }

    private function failed(): Result
    {
        return new Result(Result::FAILED, Rest::load() ? 'internal_error' : 'incomplete');
    }
}
