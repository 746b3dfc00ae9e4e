<?php

declare(strict_types=1);

namespace Pharos;

/** @internal One request in a bounded time, by curl or by PHP's own streams. */
final class Transport
{
    private const CONNECT = 1.0;
    private const ANSWER_MOST = 65536;
    public const EXPORT_MOST = 4194304;  // bytes of an answer with all that is held of an install
    // The ingest key and the install id are secrets: never in the clear over a network.
    private const ADDRESS = '#^(https://[^/\s?\#@]+|http://(localhost|127\.[\d.]+|\[::1\])(:\d+)?)(/[^\s?\#]*)?$#Di';
    private const REASONS = [
        0 => null, 23 => 'bad_answer', 28 => 'timeout', 35 => 'tls', 51 => 'tls', 60 => 'tls', 77 => 'tls',
    ];

    /** Returns what makes every request impossible. */
    public static function misuse(): ?string
    {
        if (!preg_match(self::ADDRESS, Config::COLLECTOR)) {
            return 'bad_collector';
        }
        if (!preg_match('/^[\x21-\x7e]{1,512}$/D', Config::KEY)) {
            return 'bad_ingest_key';
        }
        $streams = Quiet::can('stream_socket_client') && Quiet::can('stream_select');
        return self::curl() || $streams ? null : 'no_transport';
    }

    /**
     * @param ?string $body JSON of a POST; null is a GET
     * @param bool $key whether the request carries the ingest key
     * @param int $most bytes of the answer
     * @return array<string, mixed> status, json, retry_after, and a reason when there was no answer
     */
    public static function request(
        string $path,
        ?string $body,
        bool $key,
        float $seconds,
        int $most = self::ANSWER_MOST
    ): array {
        $headers = ['User-Agent: pharos-php/' . Config::VERSION];
        if ($key) {
            $headers[] = 'Authorization: Bearer ' . Config::KEY;
        }
        if ($body !== null) {
            $headers[] = 'Content-Type: application/json';
        }
        $address = rtrim(Config::COLLECTOR, '/') . $path;
        $nothing = ['status' => 0, 'text' => '', 'headers' => '', 'reason' => 'unreachable'];
        $answer = Quiet::run(static function () use ($address, $body, $headers, $seconds, $most): array {
            // A silent name server holds the C library for 10 s: it is told to ask once, for a second. It keeps to that until
            // the process ends, so a process of the web server, which serves the host's next pages too, is left alone.
            $short = PHP_SAPI === 'cli' && Quiet::can('putenv') && Quiet::can('getenv')
                && !(self::curl() && \defined('CURLOPT_QUICK_EXIT'));
            $resolver = $short ? getenv('RES_OPTIONS') : false;
            $short && putenv('RES_OPTIONS=timeout:1 attempts:1');
            try {
                return self::curl()
                    ? self::byCurl($address, $body, $headers, $seconds, $most)
                    : self::byStream($address, $body, $headers, microtime(true) + $seconds, $most);
            } finally {
                $short && putenv($resolver === false ? 'RES_OPTIONS' : "RES_OPTIONS=$resolver");
            }
        }, $nothing);
        $json = json_decode($answer['text'], true, 512, JSON_BIGINT_AS_STRING);
        return [
            'status' => $answer['status'],
            'json' => $answer['reason'] === null && \is_array($json) ? $json : [],
            'retry_after' => self::retryAfter($answer['headers']),
            'reason' => $answer['reason'],
        ];
    }

    /** Reads `Retry-After`, in seconds or as a date. */
    public static function retryAfter(string $headers): int
    {
        if (!preg_match('/^retry-after:[ \t]*([^\r\n]+)/im', $headers, $match)) {
            return 0;
        }
        $value = trim($match[1]);
        if (preg_match('/^\d{1,9}$/D', $value)) {
            return (int) $value;
        }
        $time = strtotime($value);
        return $time === false ? 0 : max(0, $time - time());
    }

    private static function curl(): bool
    {
        foreach (['curl_init', 'curl_setopt_array', 'curl_exec', 'curl_getinfo', 'curl_errno'] as $function) {
            if (!Quiet::can($function)) {
                return false;
            }
        }
        return true;
    }

    /**
     * @param string[] $headers
     * @return array<string, mixed>
     */
    private static function byCurl(string $address, ?string $body, array $headers, float $seconds, int $most): array
    {
        $text = '';
        $received = '';
        $options = [
            CURLOPT_HTTPHEADER => array_merge($headers, ['Expect:', 'Accept: */*']),
            CURLOPT_FOLLOWLOCATION => false,
            CURLOPT_SSL_VERIFYPEER => true,
            CURLOPT_SSL_VERIFYHOST => 2,
            CURLOPT_CONNECTTIMEOUT_MS => (int) (self::CONNECT * 1000),
            CURLOPT_TIMEOUT_MS => max(1, (int) ($seconds * 1000)),
            CURLOPT_NOSIGNAL => true,
            CURLOPT_HEADERFUNCTION => static function ($curl, string $line) use (&$received): int {
                $received .= \strlen($received) < self::ANSWER_MOST ? $line : '';
                return \strlen($line);
            },
            CURLOPT_WRITEFUNCTION => static function ($curl, string $part) use (&$text, $most): int {
                $text .= $part;
                return \strlen($text) > $most ? 0 : \strlen($part);
            },
        ];
        if ($body !== null) {
            $options[CURLOPT_POSTFIELDS] = $body;
        }
        // Past its deadline curl still waits for its resolver thread. PHP 8.3 and newer can tell it not to.
        if (\defined('CURLOPT_QUICK_EXIT')) {
            $options[\constant('CURLOPT_QUICK_EXIT')] = true;
        }
        $curl = curl_init($address);
        curl_setopt_array($curl, $options);
        curl_exec($curl);
        $error = curl_errno($curl);
        return [
            'status' => (int) curl_getinfo($curl, CURLINFO_RESPONSE_CODE),
            'text' => $text,
            'headers' => $received,
            'reason' => \array_key_exists($error, self::REASONS) ? self::REASONS[$error] : 'unreachable',
        ];
    }

    /**
     * HTTP/1.0, so that the answer ends where the connection ends.
     *
     * @param string[] $headers
     * @return array<string, mixed>
     */
    private static function byStream(
        string $address,
        ?string $body,
        array $headers,
        float $deadline,
        int $most
    ): array {
        $failed = static function (string $reason): array {
            return ['status' => 0, 'text' => '', 'headers' => '', 'reason' => $reason];
        };
        $parts = parse_url($address);
        if (!\is_array($parts) || !isset($parts['host'], $parts['scheme'])) {
            return $failed('bad_collector');
        }
        $secure = strtolower($parts['scheme']) === 'https';
        $port = $parts['port'] ?? ($secure ? 443 : 80);
        $host = $parts['host'];
        $context = stream_context_create(['ssl' => [
            'verify_peer' => true, 'verify_peer_name' => true, 'peer_name' => trim($host, '[]'), 'SNI_enabled' => true,
        ]]);
        $stream = stream_socket_client("tcp://$host:$port", $code, $text, self::CONNECT, STREAM_CLIENT_CONNECT, $context);
        if ($stream === false) {
            return $failed($code === 110 || stripos((string) $text, 'timed out') !== false ? 'timeout' : 'unreachable');
        }
        stream_set_blocking($stream, false);
        while ($secure) {
            $done = stream_socket_enable_crypto($stream, true, STREAM_CRYPTO_METHOD_TLS_CLIENT);
            if ($done === true) {
                break;
            }
            if ($done === false) {
                return $failed('tls');
            }
            if (!self::ready($stream, false, $deadline)) {
                return $failed('timeout');
            }
        }
        $headers[] = "Host: $host" . (isset($parts['port']) ? ":$port" : '');
        $headers[] = 'Connection: close';
        if ($body !== null) {
            $headers[] = 'Content-Length: ' . \strlen($body);
        }
        $request = ($body === null ? 'GET ' : 'POST ') . ($parts['path'] ?? '/') . " HTTP/1.0\r\n"
            . implode("\r\n", $headers) . "\r\n\r\n" . $body;
        while ($request !== '') {
            if (!self::ready($stream, true, $deadline)) {
                return $failed('timeout');
            }
            $written = fwrite($stream, $request);
            if ($written === false || ($written === 0 && feof($stream))) {
                return $failed('unreachable');
            }
            $request = (string) substr($request, $written);
        }
        $answer = '';
        while (!feof($stream)) {
            if (!self::ready($stream, false, $deadline)) {
                return $failed('timeout');
            }
            $answer .= fread($stream, 8192);
            if (\strlen($answer) > $most + self::ANSWER_MOST) {
                return $failed('bad_answer');
            }
            // Some servers keep the connection open all the same.
            $whole = explode("\r\n\r\n", $answer, 2);
            if (preg_match('/^content-length:\s*(\d+)/im', $whole[0], $length) && isset($whole[1])) {
                if (\strlen($whole[1]) >= (int) $length[1]) {
                    break;
                }
            }
        }
        fclose($stream);
        $whole = explode("\r\n\r\n", $answer, 2);
        if (!isset($whole[1]) || !preg_match('~^HTTP/1\.\d (\d{3})~', $whole[0], $line)) {
            return $failed('bad_answer');
        }
        return ['status' => (int) $line[1], 'text' => $whole[1], 'headers' => $whole[0], 'reason' => null];
    }

    /** @param resource $stream */
    private static function ready($stream, bool $write, float $deadline): bool
    {
        $left = $deadline - microtime(true);
        if ($left <= 0) {
            return false;
        }
        $one = [$stream];
        $none = null;
        $micro = (int) min(200000, $left * 1000000);
        $write ? stream_select($none, $one, $none, 0, $micro) : stream_select($one, $none, $none, 0, $micro);
        return microtime(true) < $deadline;
    }
}
