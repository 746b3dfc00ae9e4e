<?php

declare(strict_types=1);

namespace Pharos;

/** @internal The uses that this process has counted, in memory until the end of the request appends them to the inbox. */
final class Counter
{
    public const FEATURES_MOST = 200;
    public const USES_MOST = 4294967295;
    private const FLUSHED = 60;  // seconds after which a process that runs on writes its counts

    /** @var array<string, self> */
    private static $all = [];

    /** @var Inbox */
    public $inbox;
    /** @var array<string, array<mixed>> the options of each module */
    public $modules = [];
    /** @var array<string, array<string, int>> */
    private $counts = [];
    /** @var array<string, true> */
    private $names = [];
    /** @var int */
    private $process = 0;
    /** @var int */
    private $since = 0;
    /** @var bool */
    private $watching = false;
    /** @var ?callable */
    private $last = null;
    /** @var int the process whose end calls $last */
    private $caller = 0;

    private function __construct(Inbox $inbox)
    {
        $this->inbox = $inbox;
    }

    public static function of(Inbox $inbox): self
    {
        return self::$all[$inbox->name()] = self::$all[$inbox->name()] ?? new self($inbox);
    }

    public function count(string $module, string $feature, int $uses): bool
    {
        $this->watch();
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
            if ($this->counts !== [] && Clock::now() - $this->since > self::FLUSHED) {
                $this->flush();
            }
        }
        if ($this->counts === []) {
            $this->since = Clock::now();
        }
        $have = $this->counts[$module][$feature] ?? 0;
        if ($have === 0 && \count($this->counts[$module] ?? []) >= self::FEATURES_MOST) {
            return false;
        }
        $this->counts[$module][$feature] = min(self::USES_MOST, $have + $uses);
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
                        $line['p'] = Php::seen();  // the cron does not see the web server
                    }
                    $text = json_encode($line, JSON_THROW_ON_ERROR);
                    $stored = ($this->append($text) || ($this->begun() && $this->append($text))) && $stored;
                }
            }
            return $stored;
        }, false);
    }

    public function drop(): void
    {
        $this->counts = [];
    }

    /** Calls $last at the end of this process; null calls nothing. */
    public function atEnd(?callable $last): void
    {
        $this->last = $last;
        $this->caller = self::process();
        $this->watch();
    }

    /** The end of the request. */
    public function end(): void
    {
        $this->flush();
        $last = $this->last;
        if ($last !== null && $this->caller === self::process()) {
            $this->last = null;
            Quiet::run($last, null);
        }
    }

    public function __destruct()
    {
        $this->end();
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

    private function append(string $line): bool
    {
        return Quiet::run(function () use ($line): bool {
            return $this->inbox->append($line);
        }, false);
    }

    /** Sets up a new install that counts without being asked. Returns whether it is one. */
    private function begun(): bool
    {
        return \in_array('full', array_column($this->modules, 'consent'), true)
            && !Quiet::run([$this->inbox, 'chosen'], false)
            && Rest::load()
            && Install::of($this)->begun();
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
}
