"""The spool: what was answered for stays, exactly once, until it is loaded; then nothing of it stays."""

import sqlite3
import stat
from pathlib import Path

import pytest

import collector.spool.database
from collector.spool import PLANES, Batch, Group, Row, Spool, Unavailable
from collector.spool.batches import MOST_MONTHS
from tests.collector.rows import row, rows

NOON = 1_795_348_800.0  # 2026-11-22 12:00:00 UTC


def sealed(spool: Spool, most: int = 1000) -> Batch:
    batch = spool.seal(most)
    assert batch is not None
    return batch


def done(spool: Spool, batch: Batch) -> None:
    for plane in PLANES:
        batch = spool.loaded(batch, plane)
    assert (batch.usage, batch.license) == (None, None)
    spool.delete(batch)


def test_it_stores_each_beacon_once(spool: Spool) -> None:
    """A beacon that was seen before, in this call or an earlier one, is a duplicate and changes nothing."""
    assert spool.store(rows(1, 2), NOON) == [True, True]
    assert spool.store(rows(2, 3, 3, 1, 4), NOON) == [False, True, False, False, True]
    assert spool.stats().beacons == 4
    assert spool.known([row(n).seen for n in range(6)]) == {row(n).seen for n in (1, 2, 3, 4)}


def test_groups_of_one_commit_see_each_other(spool: Spool) -> None:
    """The same beacon in two requests of one commit is new to one of them only."""
    assert spool.store_groups([Group(rows(1, 2)), Group(rows(2, 3))], NOON) == [[True, True], [False, True]]
    assert spool.stats().beacons == 3


def test_what_is_stored_outlives_the_connection(spool: Spool, tmp_path: Path) -> None:
    """Another connection to the file finds the beacons, and knows them as duplicates."""
    spool.store(rows(1, 2), NOON)
    other = Spool(tmp_path / "spool.sqlite")
    assert other.store(rows(2, 3), NOON) == [False, True]
    assert other.stats().beacons == 3
    other.close()


def test_a_loaded_beacon_is_still_a_duplicate(spool: Spool) -> None:
    """A retry that comes after the beacon was loaded changes nothing either."""
    spool.store(rows(1), NOON)
    done(spool, sealed(spool))
    assert spool.store(rows(1), NOON) == [False]
    assert spool.stats().beacons == 0


def test_the_file_is_for_us_alone(spool: Spool, tmp_path: Path) -> None:
    """The spool and its side files are of mode 0600."""
    spool.store(rows(1), NOON)
    found = sorted(tmp_path.iterdir())
    assert [path.name for path in found] == ["spool.sqlite", "spool.sqlite-shm", "spool.sqlite-wal"]
    assert {stat.S_IMODE(path.stat().st_mode) for path in found} == {0o600}


def test_a_sealed_batch_is_fixed(spool: Spool, tmp_path: Path) -> None:
    """What is sealed comes again, the same rows under the same ids, after a crash and whatever came in since."""
    spool.store(rows(1, 2, 3), NOON)
    batch = sealed(spool, 2)
    before = {plane: spool.rows(batch, plane) for plane in PLANES}
    spool.store(rows(4, 5), NOON)
    reopened = Spool(tmp_path / "spool.sqlite")
    assert reopened.seal(1000) == batch
    assert {plane: reopened.rows(batch, plane) for plane in PLANES} == before
    assert [len(lines) for lines in before.values()] == [2, 2, 0]
    done(reopened, batch)
    following = sealed(reopened)
    assert len(reopened.rows(following, "usage")) == 3
    assert not {following.usage, following.license} & {batch.usage, batch.license}
    reopened.close()


def test_the_planes_name_a_batch_differently(spool: Spool) -> None:
    """A shared batch id would join the planes."""
    spool.store(rows(1), NOON)
    batch = sealed(spool)
    assert batch.id("usage") != batch.id("license")


def test_nothing_to_seal(spool: Spool) -> None:
    """An empty spool has no batch."""
    assert spool.seal(10) is None


def test_the_order_of_rows_joins_nothing(spool: Spool) -> None:
    """Each plane's rows are ordered by what that plane holds: arrival order would join the planes."""
    spool.store(rows(*range(50)), NOON)
    batch = sealed(spool)
    usage, license = spool.rows(batch, "usage"), spool.rows(batch, "license")
    assert usage == sorted(row(n).usage for n in range(50))
    assert license == sorted(row(n).license for n in range(50))
    assert usage != [row(n).usage for n in range(50)]


def test_a_loaded_plane_is_not_named_again(spool: Spool, tmp_path: Path) -> None:
    """After a crash between the planes only the other one is still to do, under the id that it had."""
    spool.store(rows(1), NOON)
    batch = sealed(spool)
    noted = spool.loaded(batch, "usage")
    assert (noted.usage, noted.license) == (None, batch.license)
    reopened = Spool(tmp_path / "spool.sqlite")
    assert reopened.seal(10) == noted
    reopened.close()


def test_a_batch_is_deleted_alone(spool: Spool) -> None:
    """Deleting a batch leaves what came after it, and its number is not given again."""
    spool.store(rows(1, 2), NOON)
    batch = sealed(spool)
    spool.store(rows(3), NOON)
    assert not spool.loaded_up_to(batch.last)
    done(spool, batch)
    assert spool.loaded_up_to(batch.last)
    assert not spool.loaded_up_to(spool.stats().last)
    assert sealed(spool).first > batch.last


def test_a_split_batch_is_two_that_hold_the_same(spool: Spool) -> None:
    """The halves hold every row once, under new ids, and name only the planes that the whole still named."""
    spool.store(rows(*range(5)), NOON)
    whole = spool.loaded(sealed(spool), "usage")
    before = spool.rows(whole, "license")
    spool.split(whole)
    assert spool.stats().sealed == 2
    first = sealed(spool)
    found = spool.rows(first, "license")
    done(spool, first)
    second = sealed(spool)
    assert sorted(found + spool.rows(second, "license")) == before
    assert len(found) in (2, 3)
    assert (first.usage, second.usage) == (None, None)
    assert len({whole.license, first.license, second.license, None}) == 4


def test_a_quarantined_row_is_kept_and_the_other_plane_gets_its_own(spool: Spool) -> None:
    """The row of one plane is put aside; the batch goes on with the other plane."""
    spool.store(rows(7), NOON)
    spool.quarantine(sealed(spool), "usage", "unreadable")
    batch = sealed(spool)
    assert batch.usage is None
    assert batch.license is not None
    assert spool.stats().quarantined == 1
    spool.delete(spool.loaded(batch, "license"))
    assert (spool.stats().beacons, spool.stats().quarantined) == (0, 1)


def test_the_limit_counts_the_beacons_of_a_key_and_minute(spool: Spool) -> None:
    """Up to the limit a key's beacons are stored; then it waits for the next minute, and other keys do not."""
    assert spool.store_groups([Group(rows(1, 2, 3), (("a", 4),))], NOON) == [[True, True, True]]
    assert spool.store_groups([Group(rows(4, 5), (("a", 4),)), Group(rows(6), (("a", 4),))], NOON + 18.5) == [
        42,
        [True],
    ]
    assert spool.store_groups([Group(rows(7), (("b", 4),)), Group(rows(8), (("a", 4),))], NOON + 59.9) == [[True], 1]
    assert spool.store_groups([Group(rows(8), (("a", 4),))], NOON + 60) == [[True]]
    assert spool.stats().beacons == 6


def test_the_limit_is_shared_by_all_who_write(spool: Spool, tmp_path: Path) -> None:
    """Two workers together take no more than the limit."""
    other = Spool(tmp_path / "spool.sqlite")
    taken = [
        each.store_groups([Group(rows(10 * n + k), (("a", 3),))], NOON)
        for k, each in enumerate((spool, other))
        for n in (1, 2)
    ]
    assert [isinstance(groups[0], list) for groups in taken] == [True, True, True, False]
    other.close()


def test_a_lock_that_is_held_is_not_waited_for_without_end(
    spool: Spool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While another process holds the lock for too long nothing is stored, and the caller is told."""
    monkeypatch.setattr(collector.spool.database, "LOCK_SECONDS", 0.05)
    holder = sqlite3.connect(tmp_path / "spool.sqlite", isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    with pytest.raises(Unavailable, match="locked"):
        spool.store(rows(1), NOON)
    with pytest.raises(Unavailable, match="locked"):
        spool.store_groups([Group(rows(1), (("a", 9),))], NOON)
    holder.execute("ROLLBACK")
    holder.close()
    assert spool.store(rows(1), NOON) == [True]


def test_a_full_disk_stores_nothing(spool: Spool) -> None:
    """When SQLite cannot grow the file the beacons are not half stored, and a retry after that is no duplicate."""
    spool.store(rows(1), NOON)
    pages = spool.db.execute("PRAGMA page_count").fetchone()[0]
    spool.db.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(Unavailable, match="full"):
        spool.store(rows(*range(2, 400)), NOON)
    assert spool.stats().beacons == 1
    spool.db.execute("PRAGMA max_page_count = 1000000")
    assert all(spool.store(rows(*range(2, 400)), NOON))


def test_a_nearly_full_disk_is_told_before_it_is_full(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Below the watermark of free space the spool says that it is unavailable."""
    spool.check_space()
    monkeypatch.setattr(collector.spool.database, "WATERMARK_BYTES", 1 << 62)
    monkeypatch.setattr(collector.spool.database, "WATERMARK_SHARE", 1.0)
    with pytest.raises(Unavailable, match="nearly full"):
        spool.check_space()


def test_nothing_remains_of_a_loaded_beacon(spool: Spool, tmp_path: Path) -> None:
    """After delete and checkpoint no byte of the beacons is in the file or in its log."""
    spool.store(rows(*range(200)), NOON)

    def bytes_on_disk() -> bytes:
        return b"".join(path.read_bytes() for path in sorted(tmp_path.iterdir()))

    marks = [row(n).usage for n in (0, 77, 199)] + [row(n).license for n in (0, 77, 199)]
    assert all(mark in bytes_on_disk() for mark in marks)
    done(spool, sealed(spool))
    spool.checkpoint()
    assert not any(mark in bytes_on_disk() for mark in marks)


def test_a_copy_sends_what_was_sealed_under_other_ids(spool: Spool) -> None:
    """After `renumber` a sealed batch holds the same beacons, has new ids, and still wants only what it wanted."""
    spool.store(rows(*range(9)), NOON)
    first = spool.loaded(sealed(spool), "usage")
    spool.renumber()
    again = sealed(spool)
    assert (again.first, again.last, again.usage) == (first.first, first.last, None)
    assert again.license not in (None, first.license)


def test_a_batch_spans_a_bounded_number_of_months(spool: Spool) -> None:
    """It ends before the first beacon that would make it too many, whichever row of a beacon has the date."""
    months = [f"{2000 + month // 12}-{month % 12 + 1:02}" for month in range(MOST_MONTHS + 1)]
    dated = [b'{"install":1,"day":"%s-01"}' % month.encode() for month in months]
    timed = [b'{"install":1,"time":"%s-01 00:00:00.000"}' % month.encode() for month in months]
    rows = [Row(bytes([1, n]), dated[n], b"") for n in range(0, MOST_MONTHS, 2)]
    rows += [Row(bytes([2, n]), b"", timed[n]) for n in range(1, MOST_MONTHS, 2)]
    rows += [Row(bytes([3, n]), b"", b"", dated[n]) for n in range(MOST_MONTHS + 1)]
    spool.store(rows, 1e9)
    batch = spool.seal(10_000)
    assert batch is not None
    assert batch.last == len(rows) - 1
    spool.delete(batch)
    rest = spool.seal(10_000)
    assert rest is not None
    assert (rest.first, rest.last) == (len(rows), len(rows))
