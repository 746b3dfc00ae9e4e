<?php

declare(strict_types=1);

namespace Pharos;

/** @internal What Client is asked for beside counting, and what a module tells about itself. */
final class Module
{
    private const OPTIONS = [
        'state', 'inbox', 'version', 'license', 'source', 'consent', 'policy', 'platform', 'place', 'log', 'title',
    ];
    public const LICENSES = ['licensed', 'unlicensed', 'trial', 'expired', 'suspended', 'invalid', 'unknown'];
    // What WHMCS's licensing addon answers. What is not listed is unknown: silence is no license.
    private const WHMCS_LICENSES = [
        'active' => 'licensed', 'invalid' => 'invalid', 'expired' => 'expired', 'suspended' => 'suspended',
    ];

    /** @var ?Install */
    private $install;
    /** @var string */
    private $name;
    /** @var array<string, mixed> */
    private $options;

    /** @param array<string, mixed> $options of Client */
    public function __construct(?Counter $counter, string $name, array $options)
    {
        $this->install = $counter === null ? null : Install::of($counter);
        $this->name = $name;
        $this->options = $options;
    }

    /** Makes the beacon if it is due, and sends what waits. */
    public function tick(): Result
    {
        $misuse = $this->misuse();
        return $this->install === null || $misuse !== null
            ? new Result(Result::FAILED, $misuse ?? 'no_store')
            : $this->install->tick($this);
    }

    /** Tells the collector that the module is deactivated: once, now, for what it is worth. */
    public function deactivate(): Result
    {
        $misuse = $this->misuse();
        return $this->install === null || $misuse !== null
            ? new Result(Result::FAILED, $misuse ?? 'no_store')
            : $this->install->farewell($this);
    }

    /** @param mixed $level */
    public function choose($level): bool
    {
        return $this->install !== null && $this->install->choose($level, $this->policy());
    }

    public function level(): string
    {
        return $this->install === null ? 'off' : $this->install->level();
    }

    /** @return array<string, mixed> */
    public function preview(): array
    {
        return $this->install === null ? [] : $this->install->preview($this);
    }

    /** What each plane of the collector would store of the next beacon. It stores nothing. @return array<string, mixed> */
    public function explain(): array
    {
        if ($this->level() === 'off') {
            return ['status' => 0, 'reason' => 'off', 'answer' => []];
        }
        $now = [  // the check judges the time of a report as that of one that is sent now
            'beacon_id' => State::uuid(), 'install_id' => $this->installId() ?? State::uuid(),
            'sent_at' => gmdate('Y-m-d\TH:i:s\Z', Clock::now()),
        ];
        $body = json_encode($now + $this->preview(), JSON_THROW_ON_ERROR);
        $answer = Transport::request('/v1/beacons/check', $body, true, 2.5);
        return [
            'status' => $answer['status'],
            'reason' => $answer['reason'] ?? $answer['json']['reason'] ?? null,
            'answer' => $answer['json'],
        ];
    }

    /**
     * @param mixed $action
     * @param mixed $rectify what is right, for the action `rectify`
     */
    public function request($action, $rectify = []): Result
    {
        return $this->install === null
            ? new Result(Result::FAILED, 'no_store')
            : $this->install->rights()->request((string) $action, \is_array($rectify) ? $rectify : []);
    }

    /** @return array<int, array<string, mixed>> */
    public function requests(): array
    {
        return $this->install === null ? [] : $this->install->rights()->requests();
    }

    /** Erases this install at the collector and here, and turns telemetry off. Where that fails the cron tries again. */
    public function forget(): Result
    {
        return $this->install === null ? new Result(Result::FAILED, 'no_store') : $this->install->forget();
    }

    public function installId(): ?string
    {
        return $this->install === null ? null : $this->install->id();
    }

    /** @return array<int, array<string, mixed>> */
    public function log(): array
    {
        return $this->install === null ? [] : $this->install->state()['log'];
    }

    /** @param mixed $vars */
    public function page($vars = []): string
    {
        return $this->install === null
            ? '<p>Telemetry has no place to store anything.</p>'
            : (new Page($this, $this->install, \is_array($vars) ? $vars : []))->html();
    }

    /** @return string[] */
    public function troubles(): array
    {
        $misuse = $this->misuse();
        if ($misuse === 'missing_function') {
            return [$misuse . ' ' . Machine::missing()];
        }
        $unknown = array_diff(array_map('strval', array_keys($this->options)), self::OPTIONS);
        return array_merge(
            $misuse === null ? [] : [$misuse],
            array_map(static function (string $option): string {
                return 'unknown_option ' . substr($option, 0, 64);
            }, array_values($unknown)),
            $this->install === null ? [] : $this->install->troubles()
        );
    }

    public function name(): string
    {
        return $this->name;
    }

    public function title(): string
    {
        return $this->text('title') ?: $this->name;
    }

    public function policy(): string
    {
        return Php::fit($this->text('policy'));
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
                $this->options['log']($request, $answer, $this->name);
            }, null);
        }
    }

    /** The version as the beacon tells it. */
    public function version(): string
    {
        return Php::fit($this->text('version')) ?: 'unknown';
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
                'source' => Php::fit(strtolower($this->text('source')), Php::LOWER, 64) ?: 'unknown',
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
            $body['platform'][$name] = \is_scalar($value) ? Php::fit((string) $value) : '';
        }
        $body['platform'] = array_filter($body['platform'] + ($seen['php'] ?? []));
        $body['server'] = ['os' => $seen['os'], 'virtualization' => $seen['virtualization']];
        return $body;
    }

    private function misuse(): ?string
    {
        if (Machine::missing() !== null) {
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
