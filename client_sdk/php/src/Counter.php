<?php

declare(strict_types=1);

namespace Pharos;

/** @internal The uses that this process has counted, in memory until they are appended to the store. */
final class Counter
{
    private const FLUSHED = 60;  // seconds after which a process that runs on writes its counts

    /** @var Store */
    private $store;
    /** @var callable */
    private $begin;
    /** @var array<string, array<string, int>> */
    private $counts = [];
    /** @var array<string, true> */
    private $names = [];
    /** @var int */
    private $process = 0;
    /** @var int */
    private $since = 0;

    /** @param callable $begin tells whether a store that took nothing may be set up to take counts, and does so */
    public function __construct(Store $store, callable $begin)
    {
        $this->store = $store;
        $this->begin = $begin;
    }

    public function count(string $module, string $feature, int $uses): bool
    {
        if (!isset($this->names[$feature])) {
            if (!preg_match('/^[a-z][a-z0-9_.]{0,63}$/D', $feature) || Install::forbidden()) {
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
                    $stored = ($this->append($text) || (($this->begin)() && $this->append($text))) && $stored;
                }
            }
            return $stored;
        }, false);
    }

    public function drop(): void
    {
        $this->counts = [];
    }

    private function append(string $line): bool
    {
        return Quiet::run(function () use ($line): bool {
            return $this->store->append($line);
        }, false);
    }

    public static function process(): int
    {
        return Quiet::can('getmypid') ? (int) getmypid() : 1;
    }
}
