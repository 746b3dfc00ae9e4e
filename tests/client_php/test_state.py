"""The state: written by the cron alone, never a silent new id, nothing lost to a full disk, a copy asks."""

import contextlib
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from pharos import sdk
from tests.client_php.paper import DAY, KEY, Collector, Host, misfits, refusal
from tests.client_php.test_counting import uses


def test_the_files_are_for_their_owner_only(host: Host) -> None:
    """Every file has mode 0600 whatever the umask, and the folders 0700."""
    previous = os.umask(0)
    try:
        host.count(export=1)
        host.tick()
        host.run("echo json_encode($client->choose('full'));")
    finally:
        os.umask(previous)
    modes = {path.name: path.stat().st_mode & 0o777 for path in [host.state, *host.state.rglob("*")]}
    assert {mode for name, mode in modes.items() if name in ("state", "counts")} == {0o700}
    assert {mode for name, mode in modes.items() if name not in ("state", "counts")} == {0o600}
    assert {"state.json", "state.json.bak", "id.json", "choice.json", "cron.lock"} <= modes.keys()


@pytest.mark.parametrize("text", ["", "{", "[]", '"x"', '{"install_id": 5}'])
@pytest.mark.parametrize("names", [["state.json"], ["state.json", "state.json.bak"]], ids=["state", "both"])
def test_a_damaged_state_keeps_the_identity_and_the_counts(
    host: Host, collector: Collector, text: str, names: list[str]
) -> None:
    """A truncated or emptied state is the same install: from the copy, then from the file of the id. No count twice."""
    host.count(export=2)
    host.tick()
    for name in names:
        (host.state / name).write_text(text)
    host.count(export=5)
    host.sleep(DAY)
    host.tick()
    host.sleep(DAY)
    host.tick()
    assert len({beacon["install_id"] for beacon in collector.beacons}) == 1
    assert uses(collector) == 7
    troubles = host.run("echo json_encode($client->troubles());")
    assert troubles == ([] if len(names) == 1 else ["lost_state"])


def test_a_state_without_any_id_is_no_new_install(host: Host, collector: Collector) -> None:
    """Where state, copy and id are all unreadable nothing is sent, and the page says so."""
    host.tick()
    for name in ("state.json", "state.json.bak", "id.json"):
        (host.state / name).write_text("")
    host.sleep(DAY)
    assert host.tick()["reason"] == "state_unavailable"
    assert host.run("echo json_encode($client->troubles());") == ["state_unavailable"]
    assert len(collector.requests) == 1


def test_parts_of_a_state_that_make_no_sense_are_as_good_as_none(host: Host, collector: Collector) -> None:
    """Whatever is in the state, the next beacon fits the contract."""
    host.tick()
    host.change(lambda state: state.update(
        queue=[1, {"id": 5}], modules={"a": 1, "b": {"counts": 5}, "c": {"counts": {"x": 5, "y": {"z": "3"}}}},
        flight="x", failures=[], log=5, web={"php": ["x"], "path": "/home/x"}, due_at="soon", machine={"os": {}},
    ))  # fmt: skip
    host.sleep(DAY)
    assert host.tick()["status"] == "sent"
    assert misfits(collector.beacons[1]) == []


def test_a_crash_amid_writing_leaves_the_old_state(host: Host, collector: Collector) -> None:
    """What a killed process left beside the state is swept aside by the next one."""
    host.tick()
    (host.state / "state.json.tmp").write_text('{"half')
    host.count(export=3)
    host.sleep(DAY)
    assert host.tick()["status"] == "sent"
    assert uses(collector) == 3
    assert not (host.state / "state.json.tmp").exists()


@pytest.mark.parametrize("folder", ["missing/deeper", "a-file"])
def test_an_unwritable_folder_is_a_failure_that_the_page_tells(host: Host, collector: Collector, folder: str) -> None:
    """Where nothing can be kept nothing is sent, since each beacon would be a new install."""
    (host.folder / "a-file").write_text("")
    option = f"'state' => {str(host.folder / folder)!r}"
    answer = host.tick(option)
    assert (answer["status"], answer["reason"]) == ("failed", "state_unavailable")
    page = host.run("echo json_encode($client->page());", option)
    assert "cannot write the folder" in page
    assert collector.requests == []


@pytest.fixture
def small_disk(host: Host) -> Iterator[Path]:
    """A file system of 512 KiB as the folder of the state."""
    host.state.mkdir()
    if subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", str(host.state)], capture_output=True
    ).returncode:
        pytest.skip("no file system can be mounted here")
    try:
        yield host.state
    finally:
        subprocess.run(["umount", str(host.state)], check=True)


def filled(folder: Path) -> Path:
    """Fill the disk; return the file that does it."""
    filler = folder / "filler"
    with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while file.write(b"x" * 4096):
            pass
    return filler


def test_a_full_disk_loses_no_count(host: Host, collector: Collector, small_disk: Path) -> None:
    """Counts on a full disk go into a reserve, the cron keeps its state, and the page says what is wrong."""
    host.count(export=1)
    host.tick()
    filler = filled(small_disk)
    many = {f"feature_with_a_long_name_{number:03}": 1 for number in range(120)}
    host.count(export=2, **many)
    host.count(export=3, **many)
    assert "disk_full" in host.run("echo json_encode($client->troubles());")
    host.sleep(DAY)
    host.tick()
    filler.unlink()
    for _ in range(2):
        host.sleep(DAY)
        host.tick()
    assert uses(collector) == 6
    assert uses(collector, "feature_with_a_long_name_119") == 2
    assert host.run("echo json_encode($client->troubles());") == []
    assert len({beacon["install_id"] for beacon in collector.beacons}) == 1


def test_a_disk_without_room_for_a_file_loses_no_count(host: Host, collector: Collector, small_disk: Path) -> None:
    """Where no file can be made any more the first counts of a day have the place of the reserve."""
    host.count(export=1)
    host.tick()
    host.sleep(DAY)
    if subprocess.run(["mount", "-o", "remount,nr_inodes=20", str(small_disk)], capture_output=True).returncode:
        pytest.skip("the number of files cannot be bounded here")
    others = []
    with contextlib.suppress(OSError):
        for number in range(20):
            others.append(small_disk / f"somebody-else-{number}")
            others[-1].touch()
    host.count(export=2)
    for other in others:
        other.unlink(missing_ok=True)
    host.tick()
    assert uses(collector) == 3


def test_files_of_counts_that_begin_on_a_full_disk_are_read_apart(
    host: Host, collector: Collector, small_disk: Path
) -> None:
    """Each day's file is read whole and once, also if the disk is full when the day begins."""
    host.tick()
    for uses_of_the_day in (1, 10, 100, 1000):
        host.sleep(DAY)
        filler = filled(small_disk)
        host.count(export=uses_of_the_day)
        filler.unlink()
        host.tick()
    host.sleep(DAY)
    host.tick()
    assert uses(collector) == 1111
    assert host.run("echo json_encode($client->troubles());") == []


def test_a_line_whose_last_byte_finds_no_room_counts_once(host: Host, collector: Collector, small_disk: Path) -> None:
    """A full disk that takes all of a line but its end costs no count, and doubles none."""
    host.tick()
    sizes = [0]
    for _ in range(3):
        host.count(export=1)
        [log] = (small_disk / "counts").glob("*.log")
        sizes.append(log.stat().st_size)
    line = sizes[3] - sizes[2]
    with log.open("a") as file:
        file.write("\n" * ((1 - line - sizes[3]) % 4096))
    filler = filled(small_disk)
    host.count(export=1)
    assert log.stat().st_size % 4096 == 1
    assert not (small_disk / "counts" / "reserve").exists()
    filler.unlink()
    host.sleep(DAY)
    host.tick()
    assert uses(collector) == 4


def test_a_restored_backup_repeats_only_what_was_in_no_beacon_yet(host: Host, collector: Collector) -> None:
    """After the return of an older state its beacons are duplicates; the counts that waited in it count once more."""
    host.count(export=1)
    host.tick()
    collector.will_answer(500)
    host.sleep(DAY)
    host.count(export=10)
    host.tick()
    host.count(export=100)
    shutil.copytree(host.state, host.folder / "backup")
    host.sleep(DAY)
    host.tick()
    host.count(export=1000)
    host.sleep(DAY)
    host.tick()
    assert uses(collector) == 1111
    shutil.rmtree(host.state)
    (host.folder / "backup").rename(host.state)
    host.tick()
    host.count(export=10000)
    host.sleep(DAY)
    host.tick()
    assert uses(collector) == 11111 + 100
    assert len({beacon["install_id"] for beacon in collector.beacons}) == 1


def test_the_install_can_name_itself(host: Host, collector: Collector) -> None:
    """The install id that proves the install's rights is the one in its beacons, and null before the first."""
    said = host.run(
        "$before = $client->installId(); $client->tick(); echo json_encode([$before, $client->installId()]);"
    )
    assert said == [None, collector.beacons[0]["install_id"]]


def test_modules_share_the_install_and_nothing_else(host: Host, collector: Collector) -> None:
    """Two modules on one server report the same install, each its own counts."""
    host.count(export=2)
    host.tick()
    host.run("echo json_encode($client->count('ticket', 3));", module="support_desk")
    host.run("echo json_encode($client->tick());", module="support_desk")
    first, second = collector.beacons
    assert first["install_id"] == second["install_id"]
    assert (first["module"]["name"], first["features"]) == ("invoice_pro", {"export": 2})
    assert (second["module"]["name"], second["features"]) == ("support_desk", {"ticket": 3})


@pytest.mark.parametrize("answer", ["moved", "copied"])
def test_another_place_asks_and_keeps_what_waits(host: Host, collector: Collector, answer: str) -> None:
    """At another place nothing is sent until the administrator answers. What waits is lost to a copy alone."""
    at_home = "'place' => 'billing.example.com /home/a'"
    elsewhere = "'place' => 'staging.example.com /home/b'"
    host.count(export=1)
    host.tick(at_home)
    collector.will_answer(500)
    host.sleep(DAY)
    host.count(export=10)
    host.tick(at_home)
    host.count(export=20)
    host.sleep(DAY)
    assert host.tick(elsewhere)["status"] == "moved"
    host.count(export=100)
    assert host.tick(elsewhere)["status"] == "moved"
    assert len(collector.requests) == 2
    page = host.run("echo json_encode($client->page());", elsewhere)
    assert "Was it moved, or is it a copy" in page
    post = (
        "$_SERVER['REQUEST_METHOD'] = 'POST'; preg_match('/pharos_token\" value=\"(\\w+)/', $client->page(), $m);"
        f"$_POST = ['pharos' => {answer!r}, 'pharos_token' => $m[1]]; echo json_encode($client->page());"
    )
    assert "Saved." in host.run(post, elsewhere)
    assert host.tick(elsewhere)["status"] == "sent"
    assert "Was it moved" not in host.run("echo json_encode($client->page());", elsewhere)
    first, _, *others = collector.beacons
    while host.tick(elsewhere)["status"] == "sent":
        others = collector.beacons[2:]
    assert {first["install_id"] == each["install_id"] for each in others} == {answer == "moved"}
    uses = sum(each.get("features", {}).get("export", 0) for each in others)
    assert uses == (130 if answer == "moved" else 100)
    for text in ("billing.example.com", "staging.example.com", "/home/b"):
        assert text not in json.dumps(host.kept())


def test_what_waits_is_kept_while_a_folder_is_away_for_a_while(host: Host, collector: Collector) -> None:
    """Back at its own place an install sends what it had."""
    host.count(export=1)
    host.tick("'place' => 'a'")
    host.count(export=10)
    host.sleep(DAY)
    assert host.tick("'place' => 'b'")["status"] == "moved"
    assert host.tick("'place' => 'a'")["status"] == "sent"
    assert sum(each.get("features", {}).get("export", 0) for each in collector.beacons) == 11


@pytest.mark.parametrize("action", ["erase", "object", "restrict", "lift", "rectify"])
def test_a_copy_decides_nothing_for_its_original(host: Host, collector: Collector, action: str) -> None:
    """Before the question of the place is answered, also before a cron noticed it, no request changes the original."""
    host.tick("'place' => 'a'")
    code = f"echo json_encode([$client->request({action!r}), $client->forget(), $client->deactivate()]);"
    said = host.run(code, "'place' => 'b'")
    assert {each["status"] for each in said} == {"moved"}
    assert len(collector.requests) == 1
    assert host.run("echo json_encode($client->level());") == "full"
    assert "Was it moved" in host.run("echo json_encode($client->page());", "'place' => 'b'")


@pytest.mark.parametrize("late", [False, True], ids=["both loaded", "one after the other"])
def test_modules_with_different_copies_report_each_day(
    host: Host, collector: Collector, tmp_path: Path, late: bool
) -> None:
    """Two modules with copies of different versions report every day, also where each cron loads its own copy late."""
    newer = tmp_path / "newer"
    newer.mkdir()
    for path in host.files:
        (newer / path.name).write_text(path.read_text().replace("1.0.0", "1.1.0").replace("V1_0_0", "V1_1_0"))
    load = f"require_once {str(newer / 'pharos.php')!r};"
    shift = "foreach (Acme\\Pharos\\Copies::$loaded as $each) { $each .= '\\Clock'; $each::$shift = $clock::$shift; }"
    first = "$client->count('a', 2); $client->tick();"
    second = "$other = Acme\\Pharos\\Client::module('support_desk', $options); $other->count('b', 3); $other->tick();"
    code = f"{first} {load} {shift} {second}" if late else f"{load} {shift} {first} {second}"
    for _ in range(4):
        host.run(f"{code} echo 1;")
        host.run(f"{code} echo 1;")
        host.sleep(DAY)
    sent = {name: {"a": 0, "b": 0} for name in ("invoice_pro", "support_desk")}
    beacons: dict[str, int] = {}
    for beacon in collector.beacons:
        name = beacon["module"]["name"]
        beacons[name] = beacons.get(name, 0) + 1
        for feature, number in beacon.get("features", {}).items():
            sent[name][feature] += number
    waiting = host.kept()["modules"]
    for name, feature, counted in (("invoice_pro", "a", 16), ("support_desk", "b", 24)):
        left = sum(counts.get(feature, 0) for counts in (waiting[name]["counts"] or {}).values())
        assert beacons[name] >= 4
        assert sent[name][feature] + left == counted
        assert left < counted / 2


@pytest.mark.parametrize(("status", "reason"), [(401, "unauthorized"), (403, "module_not_allowed")])
def test_a_refused_key_holds_its_own_modules_only(
    host: Host, collector: Collector, tmp_path: Path, status: int, reason: str
) -> None:
    """Of two copies with different keys each sends its own modules' beacons, also while one key is refused."""
    newer = tmp_path / "newer"
    newer.mkdir()
    for path, text in zip(host.files, sdk.php_pair("Acme", host.url, "key-two", "pharos-rest.php"), strict=True):
        (newer / path.name).write_text(text.replace("1.0.0", "1.1.0").replace("V1_0_0", "V1_1_0"))
    code = (
        f"echo 1; $client->count('a', 2); $client->tick(); require_once {str(newer / 'pharos.php')!r};"
        "foreach (Acme\\Pharos\\Copies::$loaded as $each) { $each .= '\\Clock'; $each::$shift = $clock::$shift; }"
        "$other = Acme\\Pharos\\Client::module('support_desk', $options); $other->count('b', 3); $other->tick();"
    )
    collector.refused[KEY] = (status, refusal(status, reason), {})
    for _ in range(3):
        host.run(code)
        host.sleep(DAY)
    sent: dict[str, set[str]] = {}  # a run that a busy machine holds up may send a beacon once more
    for request in collector.requests:
        sent.setdefault(request.headers["authorization"], set()).update(
            each["module"]["name"] for each in request.beacons
        )
    assert sent == {f"Bearer {KEY}": {"invoice_pro"}, "Bearer key-two": {"support_desk"}}
    del collector.requests[:]
    for path in host.files:
        path.write_text(path.read_text().replace(f"'{KEY}'", "'key-three'"))
    host.run(code)
    waited = [each.get("features", {}).get("a", 0) for each in collector.beacons]
    assert sum(waited) == 8


def test_a_run_takes_no_more_memory_than_there_are_counts(host: Host, collector: Collector) -> None:
    """Beside a host that has nearly used up its memory, a run of the cron and the page do their work."""
    host.count(export=2)
    said = host.run(
        "echo json_encode([$client->tick()->status(), strlen($client->page()) > 1000]);", ini=("-d", "memory_limit=16M")
    )
    assert said == ["sent", True]
    assert collector.beacons[0]["features"] == {"export": 2}


@pytest.mark.parametrize("ini", [(), ("-d", "opcache.enable_cli=1")], ids=["plain", "opcache"])
def test_copies_of_the_file_get_along(host: Host, collector: Collector, tmp_path: Path, ini: tuple[str, ...]) -> None:
    """Two copies of one version, an older version and another vendor run in one request; the newest copy serves."""
    texts = [path.read_text() for path in host.files]
    copies = {
        "same": texts,
        "older": [text.replace("1.0.0", "0.9.9").replace("V1_0_0", "V0_9_9") for text in texts],
        "other": [text.replace("Acme\\Pharos", "Zenith\\Pharos") for text in texts],
    }
    code = ""
    for name, copy in copies.items():
        (tmp_path / name).mkdir()
        for path, text in zip(host.files, copy, strict=True):
            (tmp_path / name / path.name).write_text(text)
        code += f"require_once {str(tmp_path / name)!r} . '/pharos.php';"
    code += (
        "$mine = Acme\\Pharos\\Client::module('invoice_pro', $options);"
        "$theirs = Zenith\\Pharos\\Client::module('other', ['state' => $state . '2'] + $options);"
        "echo json_encode([$mine->tick()->status(), $theirs->tick()->status(), get_class($mine)]);"
    )
    said = host.run(code, ini=ini)
    assert said[:2] == ["sent", "sent"]
    assert said[2].startswith("Acme\\Pharos\\V1_0_0_")
    assert len({beacon["install_id"] for beacon in collector.beacons}) == 2
