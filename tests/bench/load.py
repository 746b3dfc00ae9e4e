"""An HTTP load with one connection per request, over raw sockets to keep the client cheap."""

import multiprocessing
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.queues import SimpleQueue


@dataclass(frozen=True)
class Load:
    """The result: requests per second, responses by status, 50th and 99th percentile of the time in ms."""

    rate: float
    statuses: dict[int, int]
    p50: float
    p99: float


def request(method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None) -> bytes:
    """The bytes of one request that closes its connection."""
    lines = [f"{method} {path} HTTP/1.1", "Host: localhost", "Connection: close", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    return "\r\n".join([*lines, "", ""]).encode() + body


@contextmanager
def slow(port: int, sockets: int, key: str) -> Iterator[None]:
    """Keep slow connections open that send a byte per second, half of them in headers and half in a body."""
    head = f"POST /v1/beacons HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\nContent-Type: application/json\r\n"
    begun = (f"{head}X-Slow: ".encode(), f"{head}Content-Length: 1000\r\n\r\n{{".encode())
    over = threading.Event()

    def connect(number: int) -> socket.socket:
        connection = socket.create_connection(("127.0.0.1", port), timeout=30)
        connection.sendall(begun[number % 2])
        return connection

    def dribble() -> None:
        while not over.wait(1):
            for number, connection in enumerate(connections):
                try:
                    connection.sendall(b" ")
                except OSError:  # its time is over: the next one comes
                    connection.close()
                    connections[number] = connect(number)

    connections = [connect(number) for number in range(sockets)]
    dribbling = threading.Thread(target=dribble)
    dribbling.start()
    try:
        yield
    finally:
        over.set()
        dribbling.join()
        for connection in connections:
            connection.close()


def run(port: int, requests: Sequence[bytes], clients: int = 32, processes: int = 2) -> Load:
    """Send each request once, from `clients` threads over `processes` processes."""
    context = multiprocessing.get_context("fork")
    results: SimpleQueue[tuple[Counter[int], list[float]]] = context.SimpleQueue()
    parts = [requests[i::processes] for i in range(processes)]
    began = time.perf_counter()
    workers = [context.Process(target=_client, args=(port, part, clients // processes, results)) for part in parts]
    for worker in workers:
        worker.start()
    statuses: Counter[int] = Counter()
    times: list[float] = []
    for _ in workers:
        counted, took = results.get()
        statuses += counted
        times += took
    elapsed = time.perf_counter() - began
    for worker in workers:
        worker.join()
    times.sort()
    return Load(len(requests) / elapsed, dict(statuses), times[len(times) // 2], times[len(times) * 99 // 100])


def _client(port: int, requests: Sequence[bytes], threads: int, results: "SimpleQueue[object]") -> None:
    statuses: Counter[int] = Counter()
    times: list[float] = []
    lock = threading.Lock()
    work = iter(requests)

    def loop() -> None:
        while True:
            with lock:
                message = next(work, None)
            if message is None:
                return
            began = time.perf_counter()
            try:
                with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
                    connection.sendall(message)
                    answer = connection.recv(65536)
                    while connection.recv(65536):
                        pass
                status = int(answer[9:12])
            except (OSError, ValueError):
                status = 0
            took = (time.perf_counter() - began) * 1000
            with lock:
                statuses[status] += 1
                times.append(took)

    workers = [threading.Thread(target=loop) for _ in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    results.put((statuses, times))
