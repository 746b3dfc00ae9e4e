<?php

declare(strict_types=1);

namespace Pharos;

/** @internal One run of the cron for the modules that take part: beacons are made, and what waits is sent. */
final class Cron
{
    public const BUDGET = 2.7;  // seconds for a whole run: three are promised, and a disk may be slow

    /** @var Install */
    private $install;
    /** @var Store */
    private $store;
    /** @var array<string, Module> */
    private $modules;

    /** @param array<string, Module> $modules by module */
    public function __construct(Install $install, Store $store, array $modules)
    {
        $this->install = $install;
        $this->store = $store;
        $this->modules = $modules;
    }

    public function run(): Result
    {
        $deadline = microtime(true) + self::BUDGET;
        if (!empty($this->store->get('choice')['forget']) && !$this->install->elsewhere()) {
            return $this->install->forget();
        }
        $this->install->rights()->resend($deadline - 1);  // what is left is for the beacons
        $level = $this->install->level();
        $now = Clock::now();
        $state = $this->install->state();
        $bodies = [];
        $seen = $state['machine'];
        if ($level === 'full' && (!isset($seen['os']) || abs($now - (int) ($seen['at'] ?? 0)) > Clock::DAY)) {
            $seen = ['at' => $now] + Machine::look();  // outside the lock: it may take its time
        }
        $asked = microtime(true);
        foreach ($level === 'off' ? [] : $this->modules as $name => $module) {
            $known = $state['modules'][$name] ?? [];
            if (
                empty($known['sent']) || ($known['version'] ?? '') !== $module->version()
                || State::isDue($state, $name, $now)
            ) {
                $policy = $this->install->policy() ?: $module->policy();
                $bodies[$name] = $module->body($level, Install::seen(['machine' => $seen] + $state), $policy);
            }
        }
        $deadline += microtime(true) - $asked;  // what the host takes for its answers is the host's
        if (!$this->store->lock()) {
            return $this->store->troubles() === []
                ? new Result(Result::BUSY) : new Result(Result::FAILED, 'state_unavailable');
        }
        try {
            return $this->locked($level, $bodies, $seen, $now, $deadline);
        } finally {
            $this->store->unlock();
        }
    }

    /** Sends the module's last beacon, with what was counted until now, whatever the breaker says. */
    public function farewell(string $module): Result
    {
        $deadline = microtime(true) + self::BUDGET;
        for ($turn = 0; !$this->store->lock(); $turn++) {
            if ($turn === 5 || !Quiet::can('usleep')) {
                return new Result(Result::BUSY);
            }
            usleep(200000);
        }
        try {
            $state = State::healed($this->store->load() ?? []);
            $body = $state['modules'][$module]['body'] ?? null;
            $level = $this->install->level();
            if ($this->install->elsewhere()) {
                return new Result(Result::MOVED);
            }
            if ($level === 'off' || !\is_array($body) || $state['objected'] > 0) {
                return new Result(Result::OFF);
            }
            if ($level === 'license') {
                unset($body['server'], $body['platform']);
                $body['consent']['level'] = 'license';
            } else {
                Counts::ingest($state, $this->store->lines($state));
            }
            Queue::leave($state, $module, $body, Clock::now());
            $state['until'] = 0;
            $state['shut'] = [];
            $state['modules'][$module]['by'] = State::access();
            return $this->store->save($state)
                ? $this->send($state, true, $deadline) : new Result(Result::FAILED, 'state_unavailable');
        } finally {
            $this->store->unlock();
        }
    }

    /**
     * @param array<string, array<string, mixed>> $bodies
     * @param array<mixed> $seen
     */
    private function locked(string $level, array $bodies, array $seen, int $now, float $deadline): Result
    {
        $loaded = $this->store->load();
        if ($loaded === null) {
            return new Result(Result::FAILED, 'state_unavailable');
        }
        $state = State::healed($loaded);
        $choice = $this->store->get('choice');
        if (($choice['objected'] ?? 0) === $state['objected'] && $level !== 'off') {
            $state['objected'] = 0;  // the choice was made in view of this objection, whatever the clock said
        }
        if ($level === 'off' || $state['objected'] > 0) {
            $this->store->counting(false);
            $state['modules'] = $state['queue'] = $state['flight'] = $state['log'] = $state['web'] = $state['aside'] = [];
            if ($loaded !== [] && $state != $loaded) {
                $this->store->save($state);  // the id stays, for the owner's rights
            }
            return new Result($level === 'off' ? Result::OFF : Result::OBJECTED);
        }
        $this->store->counting($level === 'full');
        $lost = $state['lost'];
        $state['lost'] = '';
        $lines = $this->store->lines($state);
        $first = $state['install_id'] === '';
        if ($first) {
            $state['install_id'] = State::uuid();
        }
        if (!$this->placed($state, $choice, $lines)) {
            Counts::ingest($state, $lines);
            State::remember($state, $lost, $now);
            return new Result($this->store->save($state) ? Result::MOVED : Result::FAILED);
        }
        Counts::ingest($state, $lines);
        if ($level !== 'full') {
            foreach ($state['modules'] as $module => $known) {
                $state['modules'][$module]['counts'] = [];
            }
            $state['web'] = [];
            Queue::drop($state, static function (array $each): bool {
                return isset($each['beacon']['server']);
            });
        } else {
            $state['machine'] = $seen;
        }
        $open = Queue::expire($state, $now);
        State::remember($state, $lost, $now);
        $php = Install::seen($state)['php'];  // the lines may have told it just now
        foreach ($bodies as $module => $body) {
            if (isset($body['platform'])) {
                $bodies[$module]['platform'] = array_merge($body['platform'], $php);
            }
        }
        Queue::make($state, $bodies, $now);
        foreach ($this->modules as $name => $module) {
            $state['modules'][$name]['seen'] = $now;
            $state['modules'][$name]['by'] = State::access();
        }
        $state['ran'] = $now;
        if (!$this->store->save($state)) {
            return new Result(Result::FAILED, 'state_unavailable');  // unsent, or it would be counted again and again
        }
        return $this->send($state, $open, $deadline);
    }

    /** @param array<string, mixed> $state */
    private function send(array $state, bool $open, float $deadline): Result
    {
        $now = Clock::now();
        $wait = State::closedIn($state, $now);
        if (Queue::mine($state) === []) {
            return new Result(Result::NOT_DUE, null, ['next_in' => State::dueIn($state, $now)]);
        }
        if ($wait > 0 || !$open) {
            $reason = $open ? ($state['error'] ?: 'waiting') : 'clock';
            return new Result(Result::NOT_DUE, $reason, ['next_in' => $wait]);
        }
        $result = null;
        while (Queue::mine($state) !== [] && $deadline - microtime(true) > 0.3) {
            $flight = Queue::batch($state);
            $body = Queue::body($flight);
            if (!$this->store->save($state)) {  // a process that is killed now leaves word of what it sent
                return new Result(Result::FAILED, 'state_unavailable');
            }
            $answer = Transport::request('/v1/beacons', $body, true, $deadline - microtime(true));
            $last = Verdict::settle($state, $flight, $answer, Clock::now());
            $stored = $this->store->save($state);
            foreach ($this->modules as $module) {
                $module->logged(str_replace($state['install_id'], '(secret)', $body), $answer);
                break;
            }
            if (!$stored) {
                return new Result(Result::FAILED, 'state_unavailable');
            }
            $result = $result === null || $result->status() === Result::QUEUED
                || $last->status() !== Result::SENT ? $last : $result->with($last);
            if ($last->status() === Result::FAILED || $last->status() === Result::OBJECTED) {
                break;
            }
        }
        return $result ?? new Result(Result::FAILED, 'timeout');
    }

    /**
     * Returns whether the install is where it was. While it is not known whether this is a copy, what waits is put aside:
     * a copy's is the original's.
     *
     * @param array<string, mixed> $state
     * @param array<string, mixed> $choice
     * @param string[] $lines
     */
    private function placed(array &$state, array $choice, array &$lines): bool
    {
        $here = $this->install->place($state['install_id']);
        if ($here === '' || $state['place'] === '' || hash_equals($state['place'], $here)) {
            $state['place'] = $here ?: $state['place'];
            $state['moved'] = '';
            Queue::bringBack($state);
            return true;
        }
        if ($state['moved'] !== $here) {
            $state['moved'] = $here;
            Counts::ingest($state, $lines);
            $lines = [];
            Queue::putAside($state);
        }
        $answer = ($choice['place'] ?? '') === $here ? $choice['moved'] ?? '' : '';
        if ($answer === 'copied') {
            $state['install_id'] = State::uuid();
            $state['log'] = $state['aside'] = [];
            $state['due_at'] = 0;
            foreach ($state['modules'] as $module => $known) {
                $state['modules'][$module]['sent'] = false;
            }
        } elseif ($answer === 'moved') {
            Queue::bringBack($state);
        } else {
            return false;
        }
        $state['place'] = $this->install->place($state['install_id']);
        $state['moved'] = '';
        return true;
    }
}
