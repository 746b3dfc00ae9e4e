"""Counting: in memory until the request ends, one append, no lock, and every count once."""

import os
import subprocess

import pytest

from tests.client_php.paper import DAY, LOUD, Collector, Host


def uses(collector: Collector, name: str = "export") -> int:
    """The sum of a feature's counts; a beacon that was sent twice counts once."""
    beacons = {beacon["beacon_id"]: beacon for beacon in collector.beacons}
    return sum(beacon.get("features", {}).get(name, 0) for beacon in beacons.values())


def test_fifty_processes_lose_nothing(host: Host, collector: Collector) -> None:
    """50 processes × 1,000 counts, with crons beside that send upgrades, are exactly 50,000."""
    host.tick()
    crons = host.folder / "crons"  # written once the cron has run twice beside the workers
    counting = (
        "for ($i = 0; $i < 1000; $i++) { $client->count('export');"
        " if ($i % 100 === 99) { $client->flush(); usleep(50000); }"
        f" while ($i === 500 && !file_exists({str(crons)!r})) {{ usleep(10000); clearstatcache(); }} }}"
    )
    worker = host.script(counting + "echo '1';").rename(host.folder / "worker.php")
    workers = [subprocess.Popen(["php", *LOUD, str(worker)], stdout=subprocess.PIPE) for _ in range(50)]
    turn = 0
    while any(one.poll() is None for one in workers):
        turn += 1
        host.tick(f"'version' => '1.0.{turn}'")
        if turn == 2:
            crons.touch()
    assert [one.communicate()[0] for one in workers] == [b"1"] * 50
    for _ in range(5):  # a busy machine may have opened the breaker
        host.sleep(14400)
        host.tick("'version' => '2.0.0'")
    assert turn > 1
    assert uses(collector) == 50_000


def test_counting_reads_nothing_locks_nothing_and_syncs_nothing(host: Host) -> None:
    """A page with 20 counts opens one file of the state to append, and does nothing else there."""
    host.tick()
    script = host.script("for ($i = 0; $i < 20; $i++) { $client->count('export'); } echo 1;")
    trace = host.folder / "trace"
    subprocess.run(["strace", "-f", "-y", "-o", str(trace), "php", str(script)], check=True, stdout=subprocess.DEVNULL)
    ours = [line for line in trace.read_text().splitlines() if str(host.state) in line]
    calls = [line.split(maxsplit=1)[1].split("(")[0] for line in ours]
    assert calls.count("openat") == 1
    assert calls.count("write") == 1
    assert set(calls) <= {"openat", "write", "close", "fstat", "newfstatat", "lseek", "lstat"}


def test_a_page_waits_for_no_lock(host: Host, collector: Collector) -> None:
    """While another process holds a lock on every file of the state, a page counts without waiting."""
    host.tick()
    holder = host.script(
        'foreach (array_merge(glob("$state/*"), glob("$state/counts/*")) as $file) {'
        " if (is_file($file)) { $held[] = $f = fopen($file, 'r'); flock($f, LOCK_EX); } }"
        "echo 'held'; flush(); fgets(STDIN);"
    ).rename(host.folder / "holder.php")
    with subprocess.Popen(["php", str(holder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        assert process.stdout.read(4) == b"held"
        took = host.run("$t = hrtime(true); $client->count('export'); $ok = $client->flush();"
                        "echo json_encode([$ok, (hrtime(true) - $t) / 1e6]);")  # fmt: skip
        assert host.tick()["status"] == "busy"
        process.stdin.close()
    assert took[0] is True
    assert took[1] < 1000  # well under one millisecond in quiet; a wait would last until the holder ends
    host.sleep(DAY)
    host.tick()
    assert uses(collector) == 1


def test_each_user_has_a_file_of_its_own(host: Host, collector: Collector) -> None:
    """A cron that runs as root and a web user that is not, in turn: every count of both arrives."""
    if os.geteuid() != 0:
        pytest.skip("only root can be two users")
    os.chmod(host.folder, 0o755)
    for parent in host.folder.parents:
        if not parent.stat().st_mode & 0o001:
            os.chmod(parent, parent.stat().st_mode | 0o011)
    host.state.mkdir(mode=0o700)
    os.chown(host.state, 65534, 65534)

    def page(number: int) -> bytes:
        script = host.script(f"$client->count('export', {number}); echo json_encode($client->flush());")
        done = subprocess.run(["php", *LOUD, str(script)], capture_output=True, user=65534, group=65534, check=True)
        return done.stdout

    host.tick()
    for number in (1, 10, 100):
        assert page(number) == b"true"
        host.count(export=1000)  # root itself counts in the cron
        host.sleep(DAY)
        assert host.tick()["status"] == "sent"
    assert uses(collector) == 3111
    owners = {path.name: path.stat().st_uid for path in host.state.rglob("*") if "lock" not in path.name}
    assert set(owners.values()) == {65534}
    modes = {path.stat().st_mode & 0o777 for path in host.state.rglob("*") if path.is_file()}
    assert modes == {0o600}


def test_a_line_that_was_cut_spoils_no_other(host: Host, collector: Collector) -> None:
    """Half a line, as a full disk leaves it, costs itself alone, and the page says so."""
    host.count(export=2)
    [log] = (host.state / "counts").glob("*.log")
    with log.open("a") as file:
        file.write('\n{"m":"invoice_pro","d":"2026')
    host.count(export=5)
    host.tick()
    assert uses(collector) == 7
    assert host.run("echo json_encode($client->troubles());") == ["lost_line"]


def test_a_file_of_counts_that_was_cut_short_is_told(host: Host, collector: Collector) -> None:
    """Where a file is shorter than what was read of it, what comes later counts once, and the page says so."""
    host.count(export=2)
    host.tick()
    [log] = (host.state / "counts").glob("*.log")
    log.write_text(log.read_text().splitlines()[0] + "\n")
    host.sleep(300)
    host.tick()
    host.count(export=5)
    for _ in range(2):
        host.sleep(DAY)
        host.tick()
    assert uses(collector) == 7
    assert host.run("echo json_encode($client->troubles());") == ["lost_counts"]
    host.sleep(8 * DAY)
    host.tick()
    assert host.run("echo json_encode($client->troubles());") == []  # a week is enough


def test_a_line_that_is_being_written_is_read_later(host: Host, collector: Collector) -> None:
    """The cron leaves a line without an end for its next run."""
    host.count(export=2)
    [log] = (host.state / "counts").glob("*.log")
    whole = log.read_text()
    log.write_text(whole[:-20])
    host.tick()
    log.write_text(whole)
    host.sleep(DAY)
    host.tick()
    assert uses(collector) == 2


def test_a_file_of_counts_is_bounded(host: Host, collector: Collector) -> None:
    """At 4 MiB a file takes no more, and the page says that counts are lost; a read file makes room before that."""
    host.count(export=1)
    [log] = (host.state / "counts").glob("*.log")
    with log.open("a") as file:
        file.write("\n" * (4 << 20))
    lost = "$client->count('export'); echo json_encode([$client->flush(), $client->troubles()]);"
    kept, troubles = host.run(lost)
    assert kept is False
    assert "counts_lost" in troubles
    host.tick()
    host.count(export=5)
    host.sleep(DAY)
    host.tick()
    assert uses(collector) == 6
    host.sleep(3 * DAY)
    host.tick()
    assert not log.exists()


def test_old_files_of_counts_go_once_they_are_read(host: Host) -> None:
    """Two days after its day a file that was read is deleted."""
    host.count(export=1)
    host.tick()
    assert len(list((host.state / "counts").glob("*.log"))) == 1
    host.sleep(4 * DAY)
    host.tick()
    assert list((host.state / "counts").glob("*.log")) == []


def test_at_most_200_features(host: Host, collector: Collector) -> None:
    """The 201st feature of a request is not counted, and a beacon of 200 is whole; the rest waits for the next."""
    counted = 'for ($i = $n = 0; $i < 201; $i++) { $n += (int) $client->count("f$i"); } echo json_encode([$n]);'
    assert host.run(counted) == [200]
    host.count(other=1)
    host.tick()
    assert len(collector.requests[0].beacon["features"]) == 200
    host.sleep(DAY)
    host.tick()
    assert collector.requests[1].beacons[0]["features"] == {"other": 1}


def test_a_count_stops_at_the_contracts_limit(host: Host, collector: Collector) -> None:
    """A beacon's count never passes 4294967295; what is above comes with the next."""
    host.count(export=4294967295)
    host.count(export=5)
    host.tick()
    host.sleep(DAY)
    host.tick()
    assert [beacon.get("features") for beacon in collector.beacons] == [{"export": 4294967295}, {"export": 5}, None]


@pytest.mark.parametrize(
    "arguments",
    ["'Export'", "'a b'", "'1a'", "''", '"a\\n"', "str_repeat('a', 65)", "null", "[]", "'a', 0", "'a', -1", "'a', '1'"],
)
def test_a_slip_of_the_host_is_not_counted(host: Host, arguments: str) -> None:
    """A name or number that the contract does not allow gives false, and no error."""
    assert host.run(f"echo json_encode($client->count({arguments}));") is False


def test_a_fork_counts_once(host: Host, collector: Collector) -> None:
    """What was counted before a fork is written by the parent alone."""
    child = "if (pcntl_fork() === 0) { $client->count('export', 2); exit; }"
    host.run(f"$client->count('export', 5); {child} pcntl_wait($s); echo 1;")
    host.tick()
    assert uses(collector) == 7


def test_a_fatal_error_of_the_host_keeps_the_counts(host: Host, collector: Collector) -> None:
    """A page that ends in an error has used what it has used."""
    script = host.script("$client->count('export', 2); no_such_function();")
    subprocess.run(["php", str(script)], capture_output=True)
    host.tick()
    assert uses(collector) == 2


def test_a_process_that_runs_on_writes_each_minute(host: Host) -> None:
    """A worker that lives for days does not hold its counts until it ends."""
    written = host.run(
        "$client->count('export');"
        "$clock::$shift += 61; $client->count('export');"
        "echo json_encode(count(glob($state . '/counts/*.log')));"
    )
    assert written == 1
