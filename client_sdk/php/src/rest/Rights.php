<?php

declare(strict_types=1);

namespace Pharos;

/** @internal The owner's requests to the collector: made, kept with their tickets, and asked about. */
final class Rights
{
    private const ACTIONS = ['access', 'rectify', 'erase', 'object', 'restrict', 'lift'];
    // What the cron sends again until the collector has received it, and what a later request makes pointless.
    private const KEPT = ['erase', 'object', 'restrict'];
    private const ENDS = ['lift' => ['object', 'restrict']];
    private const PATIENCE = 20;  // times 0.2 seconds for a run of the cron to end

    /** @var Install */
    private $install;
    /** @var Store */
    private $store;

    public function __construct(Install $install, Store $store)
    {
        $this->install = $install;
        $this->store = $store;
    }

    /** @param array<mixed> $rectify what is right, for the action `rectify` */
    public function request(string $action, array $rectify = []): Result
    {
        if (!\in_array($action, self::ACTIONS, true)) {
            return new Result(Result::FAILED, 'bad_action');
        }
        if ($action !== 'access' && $this->install->elsewhere()) {
            return new Result(Result::MOVED);
        }
        if ($action === 'object' && !$this->install->choose('off', '')) {
            return new Result(Result::FAILED, 'state_unavailable');
        }
        $id = $this->install->id();
        if ($id === null) {
            return new Result(Result::NOT_DUE, 'nothing_held');
        }
        $answer = $this->sent($id, $action, $rectify, Cron::BUDGET);
        $kept = $answer['ticket'] === '' && $answer['again'] && \in_array($action, self::KEPT, true);
        if ($answer['ticket'] === '' && !$kept) {
            return new Result(Result::FAILED, $answer['reason']);
        }
        $requests = array_filter($this->kept(), static function (array $each) use ($action): bool {
            $ended = $each['action'] === $action || \in_array($each['action'], self::ENDS[$action] ?? [], true);
            return $each['status'] !== '' || !$ended;
        });
        array_unshift($requests, ['action' => $action, 'at' => Clock::now(), 'status' => $answer['ticket']]);
        if (!$this->store->put('requests', \array_slice($requests, 0, 10)) && $kept) {
            return new Result(Result::FAILED, 'state_unavailable');
        }
        return $kept ? new Result(Result::FAILED, $answer['reason'], ['kept' => true]) : new Result(Result::SENT);
    }

    /** Sends what the collector has not received yet, the oldest first. */
    public function resend(float $deadline): void
    {
        $id = $this->install->id();
        foreach (array_reverse($this->kept()) as $request) {
            $left = $deadline - microtime(true);
            if ($request['status'] !== '' || $id === null || $left < 0.3 || $this->install->elsewhere()) {
                continue;
            }
            $answer = $this->sent($id, $request['action'], [], $left);
            if ($answer['ticket'] === '' && $answer['again']) {
                return;
            }
            $requests = $this->kept();  // as the page has left them meanwhile
            $place = array_search($request, $requests, true);
            if (\is_int($place)) {
                $requests[$place]['status'] = $answer['ticket'] ?: 'refused';
                $this->store->put('requests', $requests);
            }
        }
    }

    /** @return array<int, array<string, mixed>> */
    public function requests(): array
    {
        $until = microtime(true) + Cron::BUDGET;
        $requests = $this->kept();
        foreach ($requests as $turn => $request) {
            $path = $request['status'];
            $requests[$turn]['state'] = $path === '' ? 'waiting' : 'unknown';
            $left = $until - microtime(true);
            if ($left > 0.2 && preg_match('~^/v1/rights/[\w-]+$~D', $path)) {
                $answer = Transport::request($path, null, false, $left, Transport::EXPORT_MOST);
                $requests[$turn]['state'] = $answer['json']['state'] ?? $answer['reason'] ?? 'unknown';
                $requests[$turn]['result'] = $answer['json']['result'] ?? null;
            }
        }
        return $requests;
    }

    public function forget(): Result
    {
        if ($this->install->elsewhere()) {
            return new Result(Result::MOVED);
        }
        // First of all: whatever happens next, nothing more is sent, and the cron ends what is begun here.
        if (!$this->install->choose('off', '', ['forget' => true])) {
            return new Result(Result::FAILED, 'state_unavailable');
        }
        for ($turn = 0; !$this->store->lock(); $turn++) {
            if ($turn === self::PATIENCE || !Quiet::can('usleep')) {
                return new Result(Result::BUSY, null, ['kept' => true]);
            }
            usleep(200000);
        }
        try {
            $result = $this->request('erase');
            if ($result->status() === Result::FAILED) {
                return $result;
            }
            $requests = $this->store->get('requests');
            $this->store->clear();
            $this->store->put('requests', $requests);
            return $this->install->choose('off', '') ? $result : new Result(Result::FAILED, 'state_unavailable');
        } finally {
            $this->store->unlock();
        }
    }

    /** @return array<int, array<string, mixed>> the requests, newest first; `status` is '' until one is received */
    private function kept(): array
    {
        return array_values(array_filter($this->store->get('requests'), static function ($each): bool {
            return \is_array($each) && \is_string($each['action'] ?? null) && \is_string($each['status'] ?? null);
        }));
    }

    /**
     * @param array<mixed> $rectify
     * @return array{ticket: string, reason: string, again: bool} the ticket, or why there is none and whether to ask again
     */
    private function sent(string $id, string $action, array $rectify, float $seconds): array
    {
        $body = ['install_id' => $id, 'action' => $action] + ($rectify === [] ? [] : ['rectify' => $rectify]);
        $answer = Transport::request('/v1/rights', json_encode($body, JSON_THROW_ON_ERROR), false, $seconds);
        $ticket = $answer['json']['status'] ?? null;
        $reason = $answer['reason'] ?? $answer['json']['reason'] ?? "http_{$answer['status']}";
        return [
            'ticket' => $answer['status'] === 202 && \is_string($ticket) ? $ticket : '',
            'reason' => \is_string($reason) ? $reason : 'bad_answer',
            'again' => $answer['status'] < 400 || $answer['status'] === 429 || $answer['status'] >= 500,
        ];
    }
}
