<?php

declare(strict_types=1);

namespace Pharos;

/**
 * One module on one server. Every method is safe to call anywhere: it returns, in time, whatever happens.
 *
 * Counting is here. The methods below are those of Module, in the second file.
 *
 * @method Result tick() makes the beacon if it is due, and sends what waits; for each run of the cron
 * @method string page(array $vars = []) the owner's page as HTML; `$vars` are those of WHMCS's `_output`
 * @method bool choose(string $level) the owner's choice for all of the vendor's modules: `off`, `license` or `full`
 * @method string level() the level in force
 * @method array preview() the next beacon as it would be sent now
 * @method array explain() what each plane of the collector would store of it
 * @method array log() the last beacons and the answers to them, without the install id
 * @method Result request(string $action, array $rectify = []) a request of the owner: `access`, `rectify`, `erase`,
 *     `object`, `restrict` or `lift`
 * @method array requests() the owner's requests and how far they are
 * @method Result forget() erases this install at the collector and here, and turns telemetry off
 * @method Result deactivate() tells the collector that the module is deactivated
 * @method array troubles() what is wrong, as words of Page
 * @method ?string installId() the secret that proves this install to `/v1/rights`; null before the first beacon
 */
final class Client
{
    private const METHODS = [
        'tick', 'page', 'choose', 'level', 'preview', 'explain', 'log', 'request', 'requests', 'forget', 'deactivate',
        'troubles', 'installId',
    ];

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

    /**
     * Calls a method of Module. Where that is not possible, it returns what says so.
     *
     * @param mixed[] $arguments
     * @return mixed
     */
    public function __call(string $method, array $arguments)
    {
        if (!\in_array($method, self::METHODS, true)) {
            throw new \BadMethodCallException("The client has no method $method");
        }
        $answer = Quiet::run(function () use ($method, $arguments) {
            return Rest::load()
                ? (new Module($this->counter, $this->name, $this->options))->$method(...$arguments)
                : null;
        }, null);
        if ($answer !== null) {
            return $answer;
        }
        $reason = Rest::load() ? 'internal_error' : 'incomplete';
        switch ($method) {
            case 'page':
                return $reason === 'incomplete'
                    ? '<p>The second file of the telemetry client is missing or of another version. Copy the files of the'
                        . ' module once more. Until then nothing is sent, and what is counted waits.</p>'
                    : '<p>This page of the telemetry could not be made.</p>';
            case 'choose':
                return false;
            case 'level':
                return 'off';
            case 'explain':
                return ['status' => 0, 'reason' => $reason, 'answer' => []];
            case 'troubles':
                return [$reason];
            case 'preview':
            case 'log':
            case 'requests':
                return [];
            case 'installId':
                return null;
        }
        return new Result(Result::FAILED, $reason);
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
}
