<?php

declare(strict_types=1);

namespace Pharos;

/** One module on one server. Every public method is safe to call anywhere: it returns, in time, whatever happens. */
final class Client
{
    private const LICENSES = ['licensed', 'unlicensed', 'trial', 'expired', 'suspended', 'invalid', 'unknown'];
    // What WHMCS's licensing addon answers. What is not listed is unknown: silence is no license.
    private const WHMCS_LICENSES = [
        'active' => 'licensed', 'invalid' => 'invalid', 'expired' => 'expired', 'suspended' => 'suspended',
    ];

    /** @var string */
    private $name;
    /** @var array<string, mixed> */
    private $options;
    /** @var ?Install */
    private $install = null;

    /**
     * @param mixed $name the module, `[a-z][a-z0-9_]{0,63}`
     * @param mixed $options
     *     state     a folder of its own outside the web root; all of the vendor's modules on this server share it
     *     store     a Store in place of the folder
     *     version   the module's version
     *     license   a callable that returns the license, called by the cron alone; the license itself is taken too:
     *               a status (a word of the beacon, or of WHMCS's licensing addon), or [status, key]; of the key only
     *               its SHA-256 is kept or sent
     *     source    where the license comes from
     *     consent   the level while nobody has chosen one: `off` (default), `license` or `full`
     *     policy    the version of the privacy policy that is agreed to
     *     platform  [whmcs, database], or a callable that returns them, called by the cron alone
     *     place     what changes when the server is copied, never sent
     *     log       a callable (request, answer) for the host's own log
     *     title     the module's name on its page
     */
    public function __construct($name, $options = [])
    {
        $this->name = \is_string($name) ? $name : '';
        $this->options = \is_array($options) ? $options : [];
        Quiet::run(function (): void {
            $store = $this->options['store'] ?? null;
            if (!$store instanceof Store) {
                $folder = $this->text('state');
                $store = $folder === '' ? null : new FileStore($folder);
            }
            if ($store !== null) {
                $this->install = Install::of($store);
                $this->install->add($this);
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
        if ($this->install === null || !\is_int($uses) || $uses < 1 || !\is_string($feature)) {
            return false;
        }
        return $this->install->count($this->name, $feature, $uses);
    }

    /** Writes what is counted. The end of the request does so too; a process that runs for days calls this. */
    public function flush(): bool
    {
        return $this->install !== null && $this->install->flush();
    }

    /** Makes the beacon if it is due, and sends what waits. Call it in each run of the cron. */
    public function tick(): Result
    {
        return Quiet::run(function (): Result {
            $misuse = $this->misuse();
            if ($misuse !== null || $this->install === null) {
                return new Result(Result::FAILED, $misuse ?? 'no_store');
            }
            return $this->install->tick($this);
        }, new Result(Result::FAILED, 'internal_error'));
    }

    /** Tells the collector that the module is deactivated: once, now, for what it is worth. */
    public function deactivate(): Result
    {
        return Quiet::run(function (): Result {
            if ($this->install === null || $this->misuse() !== null) {
                return new Result(Result::FAILED, $this->misuse() ?? 'no_store');
            }
            return $this->install->farewell($this);
        }, new Result(Result::FAILED, 'internal_error'));
    }

    /**
     * The owner's choice for all of the vendor's modules on this server.
     *
     * @param mixed $level `off`, `license` or `full`
     */
    public function choose($level): bool
    {
        return Quiet::run(function () use ($level): bool {
            return $this->install !== null && $this->install->choose($level, $this->policy());
        }, false);
    }

    /** The level in force: `off`, `license` or `full`. */
    public function level(): string
    {
        return Quiet::run(function (): string {
            return $this->install === null ? 'off' : $this->install->level();
        }, 'off');
    }

    /** The next beacon as it would be sent now. @return array<string, mixed> */
    public function preview(): array
    {
        return Quiet::run(function (): array {
            return $this->install === null ? [] : $this->install->preview($this);
        }, []);
    }

    /** What each plane of the collector would store of the next beacon. It stores nothing. @return array<string, mixed> */
    public function explain(): array
    {
        return Quiet::run(function (): array {
            if ($this->install === null || $this->level() === 'off') {
                return ['status' => 0, 'reason' => 'off', 'answer' => []];
            }
            $body = json_encode($this->preview(), JSON_THROW_ON_ERROR);
            $answer = Transport::request('/v1/beacons/check', $body, true, 2.5);
            return [
                'status' => $answer['status'],
                'reason' => $answer['reason'] ?? $answer['json']['reason'] ?? null,
                'answer' => $answer['json'],
            ];
        }, ['status' => 0, 'reason' => 'internal_error', 'answer' => []]);
    }

    /**
     * A request of the owner to the collector.
     *
     * @param mixed $action `access`, `erase`, `object`, `restrict` or `lift`
     */
    public function request($action): Result
    {
        return Quiet::run(function () use ($action): Result {
            return $this->install === null
                ? new Result(Result::FAILED, 'no_store')
                : $this->install->rights()->request((string) $action);
        }, new Result(Result::FAILED, 'internal_error'));
    }

    /** The owner's requests and how far they are. @return array<int, array<string, mixed>> */
    public function requests(): array
    {
        return Quiet::run(function (): array {
            return $this->install === null ? [] : $this->install->rights()->requests();
        }, []);
    }

    /** Erases this install at the collector and here, and turns telemetry off. Where that fails the cron tries again. */
    public function forget(): Result
    {
        return Quiet::run(function (): Result {
            return $this->install === null ? new Result(Result::FAILED, 'no_store') : $this->install->forget();
        }, new Result(Result::FAILED, 'internal_error'));
    }

    /** The secret that proves this install to the collector's `/v1/rights`; null before the first beacon. */
    public function installId(): ?string
    {
        return Quiet::run(function (): ?string {
            return $this->install === null ? null : $this->install->id();
        }, null);
    }

    /** The last beacons and the answers to them, without the install id. @return array<int, array<string, mixed>> */
    public function log(): array
    {
        return Quiet::run(function (): array {
            return $this->install === null ? [] : $this->install->state()['log'];
        }, []);
    }

    /**
     * The owner's page as HTML: the choice, the next beacon, the last ones, the rights. Handles its own forms.
     *
     * @param mixed $vars of WHMCS's `_output`: `modulelink` and `_lang` are used
     */
    public function page($vars = []): string
    {
        return Quiet::run(function () use ($vars): string {
            if ($this->install === null) {
                return '<p>Telemetry has no place to store anything.</p>';
            }
            return (new Page($this, $this->install, \is_array($vars) ? $vars : []))->html();
        }, '<p>This page of the telemetry could not be made.</p>');
    }

    /** What is wrong, as words of Page. @return string[] */
    public function troubles(): array
    {
        return Quiet::run(function (): array {
            $misuse = $this->misuse();
            if ($misuse === 'missing_function') {
                return [$misuse . ' ' . Quiet::missing()];
            }
            return array_merge(
                $misuse === null ? [] : [$misuse],
                $this->install === null ? [] : $this->install->troubles()
            );
        }, ['internal_error']);
    }

    public function name(): string
    {
        return $this->name;
    }

    public function title(): string
    {
        return $this->text('title') ?: $this->name;
    }

    public function defaultLevel(): string
    {
        return $this->text('consent');
    }

    public function policy(): string
    {
        return Machine::fit($this->text('policy'));
    }

    public function place(): string
    {
        $place = $this->asked('place');
        return \is_scalar($place) ? (string) $place : '';
    }

    /** @param array<mixed> $answer */
    public function logged(string $request, array $answer): void
    {
        if (\is_callable($this->options['log'] ?? null)) {
            Quiet::run(function () use ($request, $answer): void {
                $this->options['log']($request, $answer);
            }, null);
        }
    }

    /** The version as the beacon tells it. */
    public function version(): string
    {
        return Machine::fit($this->text('version')) ?: 'unknown';
    }

    /**
     * All of a beacon but ids, time, reason and features. Asks the host for license and platform.
     *
     * @param array<string, mixed> $seen os, virtualization and php of the server
     * @return array<string, mixed>
     */
    public function body(string $level, array $seen, string $policy, bool $ask = true): array
    {
        $license = $ask ? $this->asked('license') : null;
        $license = \is_array($license) ? $license : ['status' => $license];
        $status = strtolower(\is_scalar($license['status'] ?? null) ? (string) $license['status'] : '');
        $status = self::WHMCS_LICENSES[$status] ?? $status;
        $key = \is_scalar($license['key'] ?? null) ? (string) $license['key'] : '';
        $body = [
            'consent' => array_filter(['level' => $level, 'policy' => $policy]),
            'module' => ['name' => $this->name, 'version' => $this->version()],
            'license' => array_filter([
                'status' => \in_array($status, self::LICENSES, true) ? $status : 'unknown',
                'source' => Machine::fit(strtolower($this->text('source')), Machine::LOWER, 64) ?: 'unknown',
                'key_hash' => $key === '' ? '' : hash('sha256', $key),
            ]),
        ];
        if ($level !== 'full') {
            return $body;
        }
        $platform = $ask ? $this->asked('platform') : [];
        $platform = \is_array($platform) ? $platform : [];
        foreach (['whmcs', 'database'] as $name) {
            $value = $platform[$name] ?? '';
            $body['platform'][$name] = \is_scalar($value) ? Machine::fit((string) $value) : '';
        }
        $body['platform'] = array_filter($body['platform'] + ($seen['php'] ?? []));
        $body['server'] = ['os' => $seen['os'], 'virtualization' => $seen['virtualization']];
        return $body;
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

    private function misuse(): ?string
    {
        if (Quiet::missing() !== null) {
            return 'missing_function';
        }
        if (!preg_match('/^[a-z][a-z0-9_]{0,63}$/D', $this->name)) {
            return 'bad_module';
        }
        return $this->install === null ? 'no_store' : Transport::misuse();
    }

    private function text(string $option): string
    {
        $value = $this->options[$option] ?? '';
        return \is_scalar($value) ? (string) $value : '';
    }

    /** @return mixed */
    private function asked(string $option)
    {
        $value = $this->options[$option] ?? null;
        return \is_callable($value) && !\is_string($value) ? Quiet::run($value, null) : $value;
    }
}
