<?php

declare(strict_types=1);

namespace Pharos;

/** @internal What the vendor's modules on one server share: the owner's choice, counts, the cron's run. */
final class Install
{
    private const LEVELS = ['off', 'license', 'full'];
    private const PATIENCE = 900;  // seconds after a choice in which nobody misses a run of the cron

    /** @var array<string, self> */
    private static $all = [];

    /** @var Counter */
    private $counter;
    /** @var Store */
    private $store;
    /** @var array<string, Module> */
    private $ticked = [];

    private function __construct(Counter $counter)
    {
        $this->counter = $counter;
        $this->store = $counter->inbox->store();
    }

    public static function of(Counter $counter): self
    {
        $name = $counter->inbox->name();
        return self::$all[$name] = self::$all[$name] ?? new self($counter);
    }

    /** Sets up a new install that counts without being asked. Returns whether it is one. */
    public function begun(): bool
    {
        return Quiet::run(function (): bool {
            if ($this->level() !== 'full' || $this->chosen() || $this->store->load() !== []) {
                return false;
            }
            $this->store->counting(true);
            return true;
        }, false);
    }

    /** Runs now if every module that took part in the last run is here; otherwise all together at the cron's end. */
    public function tick(Module $module): Result
    {
        if (Counter::forbidden()) {
            return new Result(Result::OFF, 'environment');
        }
        $this->counter->flush();
        $this->ticked[$module->name()] = $module;
        $state = $this->state();
        foreach ($state['modules'] as $name => $known) {
            if (!isset($this->ticked[$name]) && ($known['seen'] ?? 0) === ($state['ran'] ?? 1)) {
                $this->counter->atEnd(function (): void {
                    $this->run();
                });
                return new Result(Result::QUEUED);
            }
        }
        $this->counter->atEnd(null);
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
        foreach ($this->counter->modules as $options) {
            $level = $level ?? ($options['consent'] ?? null) ?: null;
        }
        return Counter::forbidden() || !\in_array($level, self::LEVELS, true) ? 'off' : $level;
    }

    /** The version of the privacy policy that the owner's choice is about; '' if there is none. */
    public function policy(): string
    {
        $policy = $this->store->get('choice')['policy'] ?? '';
        return \is_string($policy) ? $policy : '';
    }

    public function chosen(): bool
    {
        return isset($this->store->get('choice')['level']);
    }

    /**
     * @param mixed $level
     * @param array<string, mixed> $more what is kept with the choice
     */
    public function choose($level, string $policy, array $more = []): bool
    {
        if (!\in_array($level, self::LEVELS, true)) {
            return false;
        }
        if ($level === 'off') {
            $this->store->counting(false);  // first: on a full disk this makes the room for the choice
        }
        $choice = ['level' => $level, 'policy' => $policy, 'at' => Clock::now()] + $more
            + array_intersect_key($this->store->get('choice'), ['moved' => 1, 'place' => 1]);
        if ($level !== 'off') {
            $choice['objected'] = $this->state()['objected'];
        }
        $stored = $this->store->put('choice', $choice);
        if ($level !== 'off') {
            $this->store->counting($stored && $level === 'full');
        }
        return $stored;
    }

    /** Answers whether the install was `moved` or `copied`. */
    public function settle(string $answer): bool
    {
        $place = $this->place((string) $this->id());
        return $this->store->put('choice', ['moved' => $answer, 'place' => $place] + $this->store->get('choice'));
    }

    /** Returns what changes when the server is copied, as a hash that only this install id makes; '' if nothing tells. */
    public function place(string $id): string
    {
        foreach ($this->counter->modules as $name => $options) {
            $place = (new Module($this->counter, (string) $name, $options))->place();
            if ($place !== '') {
                return hash_hmac('sha256', $place, $id);
            }
        }
        return '';
    }

    /** Returns whether the owner has to say whether this install was moved or copied. */
    public function asks(): bool
    {
        $here = $this->place((string) $this->id());
        return $this->differs($here) && ($this->store->get('choice')['place'] ?? '') !== $here;
    }

    /** Returns whether this may be a copy, with the id of its original: it must decide nothing for that one. */
    public function elsewhere(): bool
    {
        $here = $this->place((string) $this->id());
        $choice = $this->store->get('choice');
        return $this->differs($here) && [$choice['place'] ?? '', $choice['moved'] ?? ''] !== [$here, 'moved'];
    }

    private function differs(string $here): bool
    {
        $known = $this->state()['place'];
        return $here !== '' && $known !== '' && !hash_equals($known, $here);
    }

    /**
     * The next beacon. What is random and not made yet is a text in brackets.
     *
     * @return array<string, mixed>
     */
    public function preview(Module $module): array
    {
        $this->counter->flush();
        $state = $this->state();
        $level = $this->level() === 'license' ? 'license' : 'full';
        if ($level === 'full' && $state['machine'] === []) {
            $state['machine'] = Machine::look();  // before the first run of the cron, which is when the owner chooses
        }
        Counts::ingest($state, $this->store->lines($state));
        $known = $state['modules'][$module->name()] ?? [];
        $body = \is_array($known['body'] ?? null) ? $known['body'] : [];
        if (($body['consent']['level'] ?? '') !== $level) {
            $license = $body['license'] ?? null;
            $body = $module->body($level, self::seen($state), $module->policy(), false);
            $body['license'] = $license ?? $body['license'];
        }
        $body['module']['version'] = $module->version();
        $due = Clock::now() + State::dueIn($state, Clock::now());
        $past = Counts::days($state, $module->name(), Clock::date($due));
        $reason = ($known['version'] ?? '') === $module->version() ? 'heartbeat' : 'upgrade';
        $reason = empty($known['sent']) ? 'activate' : $reason;
        $features = Counts::take($state, $module->name(), (string) key($past));
        return [
            'schema' => 1, 'beacon_id' => '(made with the report)',
            'install_id' => $state['install_id'] ?: '(made with the first report)',
            'sent_at' => gmdate('Y-m-d\TH:i:s\Z', reset($past) ?: $due),
            'reason' => $past === [] ? $reason : 'heartbeat',
        ] + $body + ($level === 'full' && $features !== [] ? ['features' => $features] : []);
    }

    /** Returns whether the cron has asked the host for all that the preview shows. */
    public function asked(Module $module): bool
    {
        $body = $this->state()['modules'][$module->name()]['body'] ?? [];
        return isset($body['license']) && (isset($body['platform']) || $this->level() === 'license');
    }

    /** Returns whether the owner objected at the collector, and has not taken it back. */
    public function objects(): bool
    {
        return $this->holds('object') ?? $this->state()['objected'] > 0;
    }

    /** Returns whether the owner restricted what is held, and has not lifted that. */
    public function restricts(): bool
    {
        return $this->holds('restrict') ?? false;
    }

    /** Returns whether the newest request of an action and of its lifting is the action; null if there is none of them. */
    private function holds(string $action): ?bool
    {
        foreach ($this->store->get('requests') as $request) {
            if (\in_array($request['action'] ?? '', [$action, 'lift'], true) && ($request['status'] ?? '') !== 'refused') {
                return $request['action'] === $action;
            }
        }
        return null;
    }

    public function farewell(Module $module): Result
    {
        $this->counter->flush();
        return (new Cron($this, $this->store, []))->farewell($module->name());
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
        $chosen = $this->store->get('choice')['at'] ?? 0;
        $late = ($state['ran'] ?? 0) < $now - Clock::DAY && abs($now - (\is_int($chosen) ? $chosen : 0)) > self::PATIENCE;
        if ($this->level() !== 'off' && $late) {
            $troubles[] = isset($state['ran']) ? 'cron_rests' : 'cron_never_ran';
        }
        $error = $state['error'];
        $isFinal = preg_match('/^(rejected|undeclared)\b/', $error) === 1;
        $troubles = array_merge($troubles, array_keys(array_filter([
            'moved' => $this->asks(),
            'objected' => $state['objected'] > 0 && $this->level() !== 'off'
                && ($this->store->get('choice')['objected'] ?? 0) !== $state['objected'],
            ($isFinal ? $error : "error $error") => $error !== '',
            'unreadable' => !empty($state['unreadable']),
        ])));
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
        $php = PHP_SAPI === 'cli' && isset($state['web']['php']) ? $state['web'] : Php::seen();
        return [
            'os' => $state['machine']['os'] ?? ['family' => 'unknown'],
            'virtualization' => $state['machine']['virtualization'] ?? ['type' => 'unknown'],
            'php' => array_filter(array_map(static function ($value): string {
                return \is_string($value) ? Php::fit($value) : '';
            }, array_intersect_key($php, ['php' => 1, 'sapi' => 1, 'web_server' => 1]))),
        ];
    }

    private function run(): Result
    {
        return (new Cron($this, $this->store, $this->ticked))->run();
    }
}
