<?php

declare(strict_types=1);

namespace Pharos;

/** @internal What the vendor's modules on one server share: the owner's choice, counts, the cron's run. */
final class Install
{
    private const LEVELS = ['off', 'license', 'full'];

    /** @var array<string, self> */
    private static $all = [];

    /** @var Store */
    private $store;
    /** @var array<string, Client> */
    private $clients = [];
    /** @var array<string, Client> */
    private $ticked = [];
    /** @var Counter */
    private $counter;
    /** @var int the process whose end runs the cron's part, 0 for none */
    private $deferred = 0;
    /** @var bool */
    private $watching = false;

    private function __construct(Store $store)
    {
        $this->store = $store;
        $this->counter = new Counter($store, function (): bool {
            return $this->begun();
        });
    }

    public static function of(Store $store): self
    {
        return self::$all[$store->name()] = self::$all[$store->name()] ?? new self($store);
    }

    public function add(Client $client): void
    {
        $this->clients[$client->name()] = $client;
    }

    public function count(string $module, string $feature, int $uses): bool
    {
        $this->watch();
        return $this->counter->count($module, $feature, $uses);
    }

    public function flush(): bool
    {
        return $this->counter->flush();
    }

    /** The end of the request. */
    public function end(): void
    {
        $this->flush();
        if ($this->deferred === Counter::process()) {
            $this->deferred = 0;
            Quiet::run(function (): void {
                $this->run();
            }, null);
        }
    }

    public function __destruct()
    {
        $this->end();
    }

    /** Runs now if every module that took part in the last run is here; otherwise all together at the cron's end. */
    public function tick(Client $client): Result
    {
        if (self::forbidden()) {
            return new Result(Result::OFF, 'environment');
        }
        $this->flush();
        $this->ticked[$client->name()] = $client;
        $state = $this->state();
        foreach ($state['modules'] as $module => $known) {
            if (!isset($this->ticked[$module]) && ($known['seen'] ?? 0) === ($state['ran'] ?? 1)) {
                $this->watch();
                $this->deferred = Counter::process();
                return new Result(Result::QUEUED);
            }
        }
        $this->deferred = 0;
        return $this->run();
    }

    /** @return array<string, mixed> the state, for reading */
    public function state(): array
    {
        return State::healed($this->store->load() ?? []);
    }

    public function id(): ?string
    {
        return $this->state()['install_id'] ?: null;
    }

    public function level(): string
    {
        $level = $this->store->get('choice')['level'] ?? null;
        foreach ($this->clients as $client) {
            $level = $level ?? ($client->defaultLevel() ?: null);
        }
        return self::forbidden() || !\in_array($level, self::LEVELS, true) ? 'off' : $level;
    }

    public function chosen(): bool
    {
        return isset($this->store->get('choice')['level']);
    }

    /** @param mixed $level */
    public function choose($level, string $policy): bool
    {
        if (!\in_array($level, self::LEVELS, true)) {
            return false;
        }
        $choice = ['level' => $level, 'policy' => $policy, 'at' => Clock::now()];
        $stored = $this->store->put('choice', $choice);
        $this->store->counting($stored && $level === 'full');
        return $stored;
    }

    /** Answers whether the install was `moved` or `copied`. */
    public function settle(string $answer): bool
    {
        $choice = $this->store->get('choice');
        $state = $this->state();
        return $this->store->put('choice', ['moved' => $answer, 'place' => $state['moved']] + $choice);
    }

    /** @return array<string, mixed> */
    public function preview(Client $client): array
    {
        $this->flush();
        $state = $this->state();
        $level = $this->level() === 'license' ? 'license' : 'full';
        Counts::ingest($state, $this->store->lines($state));
        $body = $state['modules'][$client->name()]['body'] ?? null;
        if (!\is_array($body) || ($body['consent']['level'] ?? '') !== $level) {
            $body = $client->body($level, self::seen($state), $client->policy(), false);
        }
        $body['module']['version'] = $client->version();
        $due = Clock::now() + State::dueIn($state, Clock::now());
        $past = Counts::days($state, $client->name(), Clock::date($due));
        $features = Counts::take($state, $client->name(), (string) key($past));
        return [
            'schema' => 1, 'beacon_id' => State::uuid(), 'install_id' => $state['install_id'] ?: State::uuid(),
            'sent_at' => gmdate('Y-m-d\TH:i:s\Z', reset($past) ?: $due),
            'reason' => 'heartbeat',
        ] + $body + ($level === 'full' && $features !== [] ? ['features' => $features] : []);
    }

    public function farewell(Client $client): Result
    {
        $this->flush();
        return (new Cron($this, $this->store, []))->farewell($client->name());
    }

    public function rights(): Rights
    {
        return new Rights($this, $this->store);
    }

    public function forget(): Result
    {
        $this->counter->drop();
        return $this->rights()->forget();
    }

    /** @return string[] */
    public function troubles(): array
    {
        $state = $this->store->load();
        $troubles = $this->store->troubles();
        if ($state === null) {
            return array_merge($troubles, ['state_unavailable']);
        }
        $state = State::healed($state);
        $now = Clock::now();
        if ($this->level() !== 'off' && ($state['ran'] ?? 0) < $now - Clock::DAY) {
            $troubles[] = isset($state['ran']) ? 'cron_rests' : 'cron_never_ran';
        }
        foreach (['moved', 'objected', 'error', 'unreadable'] as $part) {
            if (!empty($state[$part])) {
                $troubles[] = $part === 'error' ? 'error ' . $state['error'] : $part;
            }
        }
        if (($state['lost_at'] ?? 0) > $now - 7 * Clock::DAY) {
            $troubles[] = 'counts_lost';
        }
        if ($state['lost'] !== '') {
            $troubles[] = 'lost_' . $state['lost'];
        }
        return array_values(array_unique($troubles));
    }

    /**
     * @param array<string, mixed> $state
     * @return array<string, mixed>
     */
    public static function seen(array $state): array
    {
        $php = PHP_SAPI === 'cli' && isset($state['web']['php']) ? $state['web'] : Machine::php();
        return [
            'os' => $state['machine']['os'] ?? ['family' => 'unknown'],
            'virtualization' => $state['machine']['virtualization'] ?? ['type' => 'unknown'],
            'php' => array_filter(array_map(static function ($value): string {
                return \is_string($value) ? Machine::fit($value) : '';
            }, array_intersect_key($php, ['php' => 1, 'sapi' => 1, 'web_server' => 1]))),
        ];
    }

    private function run(): Result
    {
        return (new Cron($this, $this->store, $this->ticked))->run();
    }

    /** Sets up a new install that counts without being asked. Returns whether it is one. */
    private function begun(): bool
    {
        return Quiet::run(function (): bool {
            if ($this->level() !== 'full' || $this->chosen() || $this->store->load() !== []) {
                return false;
            }
            $this->store->counting(true);
            return true;
        }, false);
    }

    private function watch(): void
    {
        if (!$this->watching && Quiet::can('register_shutdown_function')) {
            $this->watching = true;
            register_shutdown_function([$this, 'end']);
        }
    }

    /** What the environment of a command forbids. */
    public static function forbidden(): bool
    {
        if (PHP_SAPI !== 'cli' || !Quiet::can('getenv')) {
            return false;
        }
        return \in_array(strtolower((string) getenv('PHAROS_TELEMETRY')), ['off', '0', 'false', 'no'], true)
            || !\in_array(strtolower((string) getenv('DO_NOT_TRACK')), ['', '0', 'false'], true);
    }
}
