<?php

declare(strict_types=1);

namespace Pharos;

/** @internal The owner's requests to the collector: made, kept with their tickets, and asked about. */
final class Rights
{
    /** @var Install */
    private $install;
    /** @var Store */
    private $store;

    public function __construct(Install $install, Store $store)
    {
        $this->install = $install;
        $this->store = $store;
    }

    public function request(string $action): Result
    {
        if (!\in_array($action, ['access', 'erase', 'object', 'restrict', 'lift'], true)) {
            return new Result(Result::FAILED, 'bad_action');
        }
        $id = $this->install->id();
        if ($id === null) {
            return new Result(Result::NOT_DUE, 'nothing_held');
        }
        $body = json_encode(['install_id' => $id, 'action' => $action], JSON_THROW_ON_ERROR);
        $answer = Transport::request('/v1/rights', $body, false, Cron::BUDGET);
        $status = $answer['json']['status'] ?? null;
        if ($answer['status'] !== 202 || !\is_string($status)) {
            $reason = $answer['reason'] ?? $answer['json']['reason'] ?? 'http_' . $answer['status'];
            return new Result(Result::FAILED, \is_string($reason) ? $reason : 'bad_answer');
        }
        $requests = $this->store->get('requests');
        array_unshift($requests, ['action' => $action, 'at' => Clock::now(), 'status' => $status]);
        $this->store->put('requests', \array_slice($requests, 0, 10));
        if ($action === 'object') {
            $this->install->choose('off', '');
        }
        return new Result(Result::SENT);
    }

    /** @return array<int, array<string, mixed>> */
    public function requests(): array
    {
        $until = microtime(true) + Cron::BUDGET;
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
            $this->install->choose('off', '');
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
}
