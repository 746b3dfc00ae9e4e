<?php

declare(strict_types=1);

namespace Pharos;

/** @internal What an answer of the collector means for the beacons that were sent. */
final class Verdict
{
    private const BREAKER_FIRST = 300;
    private const BREAKER_LONGEST = 14400;
    private const LOG = 20;
    private const OF_THE_KEY = ['unauthorized', 'module_not_allowed'];  // says nothing of a copy with another key

    /**
     * Settles a batch by the collector's answer.
     *
     * @param array<string, mixed> $state
     * @param array<int, array<string, mixed>> $flight
     * @param array<string, mixed> $answer of Transport
     */
    public static function settle(array &$state, array $flight, array $answer, int $now): Result
    {
        $json = $answer['json'];
        $status = $answer['status'];
        $given = $json['reason'] ?? null;
        $given = \is_string($given) && preg_match('/^[a-z_]{1,64}$/D', $given) ? $given : null;
        if ($status === 202 && \is_int($json['accepted'] ?? null)) {
            $result = self::stored($state, $flight, $json, $now);
        } elseif (\in_array($status, [413, 422], true) && $given !== null) {
            $listed = \is_array($json['rejected'] ?? null) ? $json['rejected'] : null;
            if ($listed === null && \count($flight) > 1) {
                $state['batch'] = max(1, intdiv(\count($flight), 2));  // the batch is the fault, not a beacon
                $state['flight'] = array_values(array_diff($state['flight'], array_column($flight, 'id')));
                $result = new Result(Result::QUEUED, $given);
            } else {
                $rejected = self::judge($state, $flight, $listed ?? [['index' => 0] + $json]);
                $result = new Result(Result::REJECTED, $given, ['rejected' => $rejected]);
            }
            $state['failures'] = 0;
        } else {
            $reason = $answer['reason'] ?? $given ?? ($status === 202 ? 'bad_answer' : "http_$status");
            $wait = min(self::BREAKER_LONGEST, self::BREAKER_FIRST << min($state['failures'], 12));
            $state['failures']++;
            $wait = max(random_int(intdiv($wait, 2), $wait), min(Clock::DAY, $answer['retry_after']));
            $wait = State::isTried() ? min($wait, State::SOON) : $wait;
            if (\in_array($reason, self::OF_THE_KEY, true)) {
                $state['shut'] = \array_slice([State::access() => $now + $wait] + $state['shut'], 0, 8, true);
            } else {
                $state['until'] = $now + $wait;
            }
            $result = new Result(Result::FAILED, $reason, ['next_in' => $wait]);
        }
        $state['error'] = self::trouble($result);
        array_unshift($state['log'], [
            'at' => $now, 'status' => $result->status(), 'reason' => $result->reason(),
            'beacons' => array_map(static function (array $beacon): array {
                return ['install_id' => '(secret)'] + $beacon;
            }, array_column(\array_slice($flight, 0, self::LOG), 'beacon')),
        ]);
        $kept = 0;
        foreach ($state['log'] as $turn => $entry) {
            $kept += max(1, \count($entry['beacons']));
            if ($turn > 0 && $kept > self::LOG) {
                $state['log'] = \array_slice($state['log'], 0, $turn);
                break;
            }
        }
        return $result;
    }

    /** What the page says of an answer: of a failure its reason, of an answer that is final the status first. */
    private static function trouble(Result $result): string
    {
        switch ($result->status()) {
            case Result::FAILED:
                return (string) $result->reason();
            case Result::REJECTED:
            case Result::UNDECLARED:
                return trim($result->status() . ' ' . $result->reason());
        }
        return '';
    }

    /**
     * @param array<string, mixed> $state
     * @param array<int, array<string, mixed>> $flight
     * @param array<string, mixed> $json
     */
    private static function stored(array &$state, array $flight, array $json, int $now): Result
    {
        $listed = \is_array($json['rejected'] ?? null) ? $json['rejected'] : [];
        $rejected = self::judge($state, $flight, $listed);
        $number = static function (string $name) use ($json): int {
            return \is_int($json[$name] ?? null) ? max(0, $json[$name]) : 0;
        };
        $nextIn = \is_int($json['next_in'] ?? null) ? max(60, min(State::AHEAD, $json['next_in'])) : Clock::DAY;
        // A tenth early: a daily cron that comes a minute sooner than yesterday would skip a day.
        if (Queue::mine($state) === []) {
            $state['due_at'] = ($state['last_due'] ?: $now) + intdiv($nextIn * 9, 10);
        }
        $state['failures'] = 0;
        $state['until'] = 0;
        unset($state['shut'][State::access()]);
        $status = Result::SENT;
        if ($rejected !== []) {
            $status = Result::REJECTED;
        } elseif ($number('objected') > 0) {
            $status = Result::OBJECTED;
            $state['objected'] = $now;
        } elseif ($number('undeclared') > 0) {
            $status = Result::UNDECLARED;
        }
        return new Result($status, $rejected[0]['reason'] ?? null, [
            'accepted' => $number('accepted'), 'duplicates' => $number('duplicates'), 'rejected' => $rejected,
            'objected' => $number('objected'), 'undeclared' => $number('undeclared'), 'next_in' => $nextIn,
        ]);
    }

    /**
     * Removes the batch from the queue. A rejected beacon is never sent again. Its counts go with it if they are the
     * fault; otherwise the next beacon has them.
     *
     * @param array<string, mixed> $state
     * @param array<int, array<string, mixed>> $flight
     * @param array<mixed> $listed
     * @return array<int, array<string, string>>
     */
    private static function judge(array &$state, array $flight, array $listed): array
    {
        $rejected = [];
        foreach ($listed as $each) {
            $index = \is_array($each) ? $each['index'] ?? null : null;
            if (!\is_int($index) || !isset($flight[$index])) {
                continue;
            }
            $beacon = $flight[$index]['beacon'];
            $told = ['module' => $flight[$index]['module']];
            foreach (['reason', 'path', 'detail'] as $name) {
                $told[$name] = \is_string($each[$name] ?? null) ? substr($each[$name], 0, 200) : '';
            }
            $rejected[] = $told;
            if (strpos($told['path'], 'features') !== 0) {
                $day = Clock::date($flight[$index]['due']);
                Counts::give($state, $flight[$index]['module'], $day, $beacon['features'] ?? []);
            }
        }
        $state['refused'] += \count($rejected);
        $ids = array_flip(array_column($flight, 'id'));
        Queue::drop($state, static function (array $each) use ($ids): bool {
            return isset($ids[$each['id']]);
        });
        return $rejected;
    }
}
