<?php

declare(strict_types=1);

namespace Pharos;

/** @internal What the vendor's modules on one server share: counts in memory, the cron's run, the owner's choice. */
final class Install
{
    private const BUDGET = 2.7;  // seconds for a whole run: three are promised, and a disk may be slow
    private const LEVELS = ['off', 'license', 'full'];
    private const FLUSHED = 60;  // seconds after which a process that runs on writes its counts

    /** @var array<string, self> */
    private static $all = [];

    /** @var Store */
    private $store;
    /** @var array<string, Client> */
    private $clients = [];
    /** @var array<string, Client> */
    private $ticked = [];
    /** @var array<string, array<string, int>> */
    private $counts = [];
    /** @var array<string, true> */
    private $names = [];
    /** @var int */
    private $process = 0;
    /** @var int */
    private $since = 0;
    /** @var bool */
    private $deferred = false;
    /** @var bool */
    private $watching = false;

    private function __construct(Store $store)
    {
        $this->store = $store;
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
        if (!isset($this->names[$feature])) {
            if (!preg_match('/^[a-z][a-z0-9_.]{0,63}$/D', $feature) || self::forbidden()) {
                return false;
            }
            $this->names[$feature] = true;
        }
        if (PHP_SAPI === 'cli') {
            $process = self::process();
            if ($this->process !== $process) {
                $this->counts = [];  // a fork's counts up to the fork are its parent's
                $this->process = $process;
            }
            if ($this->counts !== [] && time() - $this->since > self::FLUSHED) {
                $this->flush();
            }
        }
        $this->watch();
        if ($this->counts === []) {
            $this->since = time();
        }
        $have = $this->counts[$module][$feature] ?? 0;
        if ($have === 0 && \count($this->counts[$module] ?? []) >= Counts::FEATURES_MOST) {
            return false;
        }
        $this->counts[$module][$feature] = min(Counts::USES_MOST, $have + $uses);
        return true;
    }

    public function flush(): bool
    {
        $counts = $this->counts;
        $this->counts = [];
        if ($counts === [] || (PHP_SAPI === 'cli' && $this->process !== self::process())) {
            return true;
        }
        return Quiet::run(function () use ($counts): bool {
            $day = Clock::date(Clock::now());
            $stored = true;
            foreach ($counts as $module => $features) {
                foreach (array_chunk($features, 50, true) as $part) {  // an append of 4 KiB is whole
                    $line = ['m' => $module, 'd' => $day, 'c' => $part];
                    if (PHP_SAPI !== 'cli') {
                        $line['p'] = Machine::php();  // the cron does not see the web server
                    }
                    $text = json_encode($line, JSON_THROW_ON_ERROR);
                    $stored = ($this->append($text) || ($this->begun() && $this->append($text))) && $stored;
                }
            }
            return $stored;
        }, false);
    }

    private function append(string $line): bool
    {
        return Quiet::run(function () use ($line): bool {
            return $this->store->append($line);
        }, false);
    }

    /** Returns whether a new install that counts without being asked could be set up. */
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

    /** The end of the request. */
    public function end(): void
    {
        $this->flush();
        if ($this->deferred && $this->process === self::process()) {
            $this->deferred = false;
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
        $this->process = self::process();
        $this->ticked[$client->name()] = $client;
        $state = $this->state();
        foreach ($state['modules'] as $module => $known) {
            if (!isset($this->ticked[$module]) && ($known['seen'] ?? 0) === ($state['ran'] ?? 1)) {
                $this->watch();
                $this->deferred = true;
                return new Result(Result::QUEUED);
            }
        }
        $this->deferred = false;
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
            $body = $client->body($level, $this->seen($state), $client->policy(), false);
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
        $state = $this->state();
        $level = $this->level();
        $body = $state['modules'][$client->name()]['body'] ?? null;
        if ($level === 'off' || $state['install_id'] === '' || !\is_array($body)) {
            return new Result(Result::OFF);
        }
        $beacon = [
            'schema' => 1, 'beacon_id' => State::uuid(), 'install_id' => $state['install_id'],
            'sent_at' => gmdate('Y-m-d\TH:i:s\Z', Clock::now()), 'reason' => 'deactivate',
        ] + $body;
        if ($level === 'license') {
            unset($beacon['server'], $beacon['platform']);
            $beacon['consent']['level'] = 'license';
        }
        $flight = [['id' => $beacon['beacon_id'], 'module' => $client->name(), 'due' => Clock::now(), 'beacon' => $beacon]];
        $answer = Transport::request('/v1/beacons', Queue::body($flight), true, self::BUDGET);
        return Verdict::settle($state, $flight, $answer, Clock::now());  // of a state that is not stored
    }

    public function request(string $action): Result
    {
        if (!\in_array($action, ['access', 'erase', 'object', 'restrict', 'lift'], true)) {
            return new Result(Result::FAILED, 'bad_action');
        }
        $id = $this->id();
        if ($id === null) {
            return new Result(Result::NOT_DUE, 'nothing_held');
        }
        $body = json_encode(['install_id' => $id, 'action' => $action], JSON_THROW_ON_ERROR);
        $answer = Transport::request('/v1/rights', $body, false, self::BUDGET);
        $status = $answer['json']['status'] ?? null;
        if ($answer['status'] !== 202 || !\is_string($status)) {
            $reason = $answer['reason'] ?? $answer['json']['reason'] ?? 'http_' . $answer['status'];
            return new Result(Result::FAILED, \is_string($reason) ? $reason : 'bad_answer');
        }
        $requests = $this->store->get('requests');
        array_unshift($requests, ['action' => $action, 'at' => Clock::now(), 'status' => $status]);
        $this->store->put('requests', \array_slice($requests, 0, 10));
        if ($action === 'object') {
            $this->choose('off', '');
        }
        return new Result(Result::SENT);
    }

    /** @return array<int, array<string, mixed>> */
    public function requests(): array
    {
        $until = microtime(true) + self::BUDGET;
        $requests = array_values(array_filter($this->store->get('requests'), 'is_array'));
        foreach ($requests as $turn => $request) {
            $path = $request['status'] ?? '';
            $left = $until - microtime(true);
            if ($left > 0.2 && \is_string($path) && preg_match('~^/v1/rights/[\w-]+$~D', $path)) {
                $answer = Transport::request($path, null, false, $left);
                $requests[$turn]['state'] = $answer['json']['state'] ?? $answer['reason'] ?? 'unknown';
                $requests[$turn]['result'] = $answer['json']['result'] ?? null;
            }
        }
        return $requests;
    }

    public function forget(): Result
    {
        if (!$this->store->lock()) {
            return new Result(Result::BUSY);
        }
        try {
            $this->counts = [];
            $this->choose('off', '');
            $result = $this->request('erase');
            if ($result->status() === Result::FAILED) {
                $this->store->put('choice', ['forget' => true] + $this->store->get('choice'));
                return $result;
            }
            $choice = $this->store->get('choice');
            $requests = $this->store->get('requests');
            $this->store->clear();
            $this->store->put('choice', $choice);
            $this->store->put('requests', $requests);
            return $result;
        } finally {
            $this->store->unlock();
        }
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
        if ($state['lost'] !== '') {
            $troubles[] = 'lost_' . $state['lost'];
        }
        return array_values(array_unique($troubles));
    }

    private function run(): Result
    {
        $deadline = microtime(true) + self::BUDGET;
        if (!empty($this->store->get('choice')['forget'])) {
            return $this->forget();
        }
        $level = $this->level();
        $now = Clock::now();
        $state = $this->state();
        $bodies = [];
        $seen = $state['machine'];
        if ($level === 'full' && (!isset($seen['os']) || abs($now - (int) ($seen['at'] ?? 0)) > Clock::DAY)) {
            $seen = ['at' => $now] + Machine::look();  // outside the lock: it may take its time
        }
        $policy = $this->store->get('choice')['policy'] ?? '';
        foreach ($level === 'off' ? [] : $this->ticked as $module => $client) {
            $known = $state['modules'][$module] ?? [];
            if (
                empty($known['sent']) || ($known['version'] ?? '') !== $client->version()
                || State::dueIn($state, $now) === 0
            ) {
                $told = \is_string($policy) && $policy !== '' ? $policy : $client->policy();
                $bodies[$module] = $client->body($level, $this->seen(['machine' => $seen] + $state), $told);
            }
        }
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
        if ($state['objected'] > 0 && ($choice['at'] ?? 0) > $state['objected'] && $level !== 'off') {
            $state['objected'] = 0;
        }
        if ($level === 'off' || $state['objected'] > 0) {
            $this->store->counting(false);
            $state['modules'] = $state['queue'] = $state['flight'] = $state['log'] = $state['web'] = [];
            if ($loaded !== [] && $state != $loaded) {
                $this->store->save($state);  // the id stays, for the owner's rights
            }
            return new Result($level === 'off' ? Result::OFF : Result::OBJECTED);
        }
        $this->store->counting($level === 'full');
        $lines = $this->store->lines($state);
        $first = $state['install_id'] === '';
        if ($first) {
            $state['install_id'] = State::uuid();
        }
        if (!$this->placed($state, $choice, $lines)) {
            Counts::ingest($state, $lines);
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
        $php = $this->seen($state)['php'];  // the lines may have told it just now
        foreach ($bodies as $module => $body) {
            if (isset($body['platform'])) {
                $bodies[$module]['platform'] = array_merge($body['platform'], $php);
            }
        }
        Queue::make($state, $bodies, $now);
        foreach ($this->ticked as $module => $client) {
            $state['modules'][$module]['seen'] = $now;
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
        if ($state['queue'] === []) {
            return new Result(Result::NOT_DUE, null, ['next_in' => State::dueIn($state, $now)]);
        }
        if ($wait > 0 || !$open) {
            $reason = $open ? ($state['error'] ?: 'waiting') : 'clock';
            return new Result(Result::NOT_DUE, $reason, ['next_in' => $wait]);
        }
        $result = null;
        while ($state['queue'] !== [] && $deadline - microtime(true) > 0.3) {
            $flight = Queue::batch($state);
            $body = Queue::body($flight);
            if (!$this->store->save($state)) {  // a process that is killed now leaves word of what it sent
                return new Result(Result::FAILED, 'state_unavailable');
            }
            $answer = Transport::request('/v1/beacons', $body, true, $deadline - microtime(true));
            $last = Verdict::settle($state, $flight, $answer, Clock::now());
            $stored = $this->store->save($state);
            foreach ($this->ticked as $client) {
                $client->logged(str_replace($state['install_id'], '(secret)', $body), $answer);
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
     * Returns whether the install is where it was. A copy's counts are the original's, and are dropped.
     *
     * @param array<string, mixed> $state
     * @param array<string, mixed> $choice
     * @param string[] $lines
     */
    private function placed(array &$state, array $choice, array &$lines): bool
    {
        $place = '';
        foreach ($this->ticked as $client) {
            $place = $place ?: $client->place();
        }
        $here = static function (string $id) use ($place): string {
            return hash_hmac('sha256', $place, $id);
        };
        if ($place === '' || $state['place'] === '' || hash_equals($state['place'], $here($state['install_id']))) {
            $state['place'] = $place === '' ? $state['place'] : $here($state['install_id']);
            $state['moved'] = '';
            return true;
        }
        $now = $here($state['install_id']);
        if ($state['moved'] !== $now) {
            $state['moved'] = $now;
            $lines = [];
            foreach ($state['modules'] as $module => $known) {
                $state['modules'][$module]['counts'] = [];
            }
            $state['queue'] = $state['flight'] = [];
        }
        $answer = ($choice['place'] ?? '') === $now ? $choice['moved'] ?? '' : '';
        if ($answer === 'copied') {
            $state['install_id'] = State::uuid();
            $state['log'] = [];
            $state['due_at'] = 0;
            foreach ($state['modules'] as $module => $known) {
                $state['modules'][$module]['sent'] = false;
            }
        }
        if ($answer === 'copied' || $answer === 'moved') {
            $state['place'] = $here($state['install_id']);
            $state['moved'] = '';
            return true;
        }
        return false;
    }

    /**
     * @param array<string, mixed> $state
     * @return array<string, mixed>
     */
    private function seen(array $state): array
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

    private function watch(): void
    {
        if (!$this->watching && Quiet::can('register_shutdown_function')) {
            $this->watching = true;
            register_shutdown_function([$this, 'end']);
        }
    }

    private static function process(): int
    {
        return Quiet::can('getmypid') ? (int) getmypid() : 1;
    }

    /** What the environment of a command forbids. */
    private static function forbidden(): bool
    {
        if (PHP_SAPI !== 'cli' || !Quiet::can('getenv')) {
            return false;
        }
        return \in_array(strtolower((string) getenv('PHAROS_TELEMETRY')), ['off', '0', 'false', 'no'], true)
            || !\in_array(strtolower((string) getenv('DO_NOT_TRACK')), ['', '0', 'false'], true);
    }
}
