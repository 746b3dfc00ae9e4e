"""What the PHP client costs a page: the median of pairs of requests, with and without it, on PHP's own web server.

Run alone: `python -m tests.bench.php_page`. It needs php-cli; nothing else of Pharos runs.
"""

import contextlib
import http.client
import json
import os
import socket
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from pharos import sdk

PAIRS = 400
COUNTS = 20


def pages(folder: Path, collector: str = "http://127.0.0.1:9") -> None:
    """Write a page, and the same page with the client and 20 counts."""
    first, rest = sdk.php_pair("Acme", collector, "k", "pharos-rest.php")
    (folder / "pharos.php").write_text(first)
    (folder / "pharos-rest.php").write_text(rest)
    work = "for ($i = 0; $i < 2000; $i++) { $x = md5((string) $i); } echo 'done';"
    (folder / "plain.php").write_text(f"<?php {work}")
    client = f"Acme\\Pharos\\Client::module('m', ['state' => {str(folder / 'state')!r}, 'consent' => 'full'])"
    loaded = "require __DIR__ . '/pharos.php';"
    count = f"for ($i = 0; $i < {COUNTS}; $i++) {{ {client}->count('export'); }}"
    (folder / "loading.php").write_text(f"<?php {loaded} {work}")
    (folder / "counting.php").write_text(f"<?php {loaded} {count} {work}")
    (folder / "tick.php").write_text(f"<?php {loaded} {client}->choose('full'); {client}->tick(); echo 'done';")
    (folder / "hold.php").write_text(
        "<?php foreach (array_merge(glob($argv[1] . '/*'), glob($argv[1] . '/counts/*')) as $name) {"
        " if (is_file($name)) { $held[] = $f = fopen($name, 'r'); flock($f, LOCK_EX); } } echo 'held'; fgets(STDIN);"
    )


@contextlib.contextmanager
def served(folder: Path, opcache: bool) -> Iterator[http.client.HTTPConnection]:
    """Serve the folder by `php -S`."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    on = int(opcache)
    command = ["php", "-d", f"opcache.enable={on}", "-d", f"opcache.enable_cli={on}"]
    command += ["-d", "opcache.file_update_protection=0"]  # or files of the last two seconds are not cached
    server = subprocess.Popen(
        [*command, "-S", f"127.0.0.1:{port}", "-t", str(folder)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        until = time.monotonic() + 30
        while True:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
            with contextlib.suppress(OSError):
                connection.connect()
                break
            if time.monotonic() > until:
                raise RuntimeError("php -S does not answer")
            time.sleep(0.05)
        connection.close()
        yield connection
    finally:
        server.terminate()
        server.wait(10)


def seconds(connection: http.client.HTTPConnection, page: str) -> float:
    """Return how long a request takes."""
    started = time.perf_counter()
    connection.request("GET", f"/{page}.php")
    assert connection.getresponse().read() == b"done", page
    took = time.perf_counter() - started
    connection.close()
    return took


def difference(connection: http.client.HTTPConnection, page: str) -> float:
    """Return the median of `page` less `plain`, of pairs in turn, in milliseconds."""
    for warm in ("plain", page):
        seconds(connection, warm)
    return 1000 * statistics.median(seconds(connection, page) - seconds(connection, "plain") for _ in range(PAIRS))


LOADING = """<?php
$took = [];
foreach (array_slice($argv, 1) as $file) {
    $before = getrusage();
    require $file;
    $after = getrusage();
    $spent = 0;
    foreach (['ru_utime', 'ru_stime'] as $of) {
        $spent += ($after["$of.tv_sec"] - $before["$of.tv_sec"]) * 1000;
        $spent += ($after["$of.tv_usec"] - $before["$of.tv_usec"]) / 1000;
    }
    $took[] = $spent;
}
echo json_encode($took);
"""


def compiling(folder: Path) -> tuple[float, float, int]:
    """Return the CPU time in ms that PHP takes to load the first file and an empty class, and the file's bytes.

    The least of 40 loads each, in turn: a busy machine adds to a load, and takes nothing away.
    """
    (folder / "load.php").write_text(LOADING)
    names = []
    for turn in range(40):
        whole, empty = folder / f"whole{turn}.php", folder / f"empty{turn}.php"
        whole.write_text(sdk.php_pair(f"V{turn}", "http://127.0.0.1:9", "k", "rest.php")[0])
        empty.write_text(f"<?php\n\nnamespace V{turn};\n\nfinal class Nothing\n{{\n}}\n")
        names += [str(whole), str(empty)]
    command = ["php", "-d", "opcache.enable_cli=0", str(folder / "load.php"), *names]
    took = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    return min(took[::2]), min(took[1::2]), whole.stat().st_size


def main() -> None:
    """Print what loading and counting cost a page, with and without opcache, and with every file locked."""
    with tempfile.TemporaryDirectory() as name:
        whole, empty, size = compiling(Path(name))
        kilobytes = size / 1000
        print(f"compiling: {kilobytes:.0f} kB in {whole:.2f} ms of CPU, {whole / kilobytes:.3f} ms a kB", end="; ")
        print(f"a file with an empty class {empty:.3f} ms")
    for opcache in (True, False):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            pages(folder)
            with served(folder, opcache) as connection:
                seconds(connection, "tick")
                words = "with opcache" if opcache else "without opcache"
                print(f"{words}: loading {difference(connection, 'loading'):.2f} ms", end=", ")
                print(f"loading and {COUNTS} counts {difference(connection, 'counting'):.2f} ms", end=", ")
                command = ["php", str(folder / "hold.php"), str(folder / "state")]
                with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
                    assert holder.stdout is not None
                    assert holder.stdin is not None
                    os.read(holder.stdout.fileno(), 4)
                    print(f"with every file locked {difference(connection, 'counting'):.2f} ms")
                    holder.stdin.close()


if __name__ == "__main__":
    main()
