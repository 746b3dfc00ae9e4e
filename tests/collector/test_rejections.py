"""Counts of what the collector rejected: in memory, in the spool, and told to ClickHouse."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from collector.rejections import Counting, field_of
from collector.spool import Spool, Unavailable
from collector.validate import Reason, Rejected
from tests.collector.live import KEY, Collector
from tests.collector.sample import beacon
from tests.collector.test_loader import FakeEngine, loader
from tests.end_to_end.system import wait_for

TODAY = datetime.now(UTC).date().isoformat()


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("", ""),
        ("email", ""),
        ("module.name", "module.name"),
        ("platform.my_email", "platform"),
        ("server.os.name", "server.os.name"),
        ("server.os.owner", "server.os"),
        ("features.somebody", "features"),
    ],
)
def test_a_name_that_is_made_up_is_not_kept(path: str, field: str) -> None:
    """It may be a value, and there is no end of them."""
    assert field_of(path) == field


def test_counts_are_added_up_in_the_spool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of several processes, also after a time in which the spool could not be written."""
    path = tmp_path / "spool.sqlite"
    with monkeypatch.context() as patch:
        patch.setattr(Spool, "add_rejections", lambda *_: (_ for _ in ()).throw(Unavailable("full")))
        first = Counting(path)
        first.note(Rejected(Reason.UNKNOWN_FIELD, "email"), 2)
        first.close()
    first, second = Counting(path), Counting(path)
    first.note(Rejected(Reason.UNKNOWN_FIELD, "email"))
    for counting in (first, second):
        counting.note(Rejected(Reason.BAD_FORMAT, "module.name"), 3)
        counting.close()
    spool = Spool(path)
    assert spool.rejections() == {(TODAY, "unknown_field", ""): 1, (TODAY, "bad_format", "module.name"): 6}
    spool.forget_rejections(TODAY)
    assert len(spool.rejections()) == 2
    spool.forget_rejections("9999-01-01")
    assert spool.rejections() == {}
    spool.close()


def test_a_failure_to_write_keeps_the_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """They are written once the spool can be. However long that takes, the log has a line when it begins and ends."""
    caplog.set_level("INFO", "pharos.rejections")
    monkeypatch.setattr("collector.rejections.SECONDS", 0.01)
    failures = [Unavailable("full"), Unavailable("full")]
    add = Spool.add_rejections

    def fails_twice(spool: Spool, counts: dict[tuple[str, str, str], int]) -> None:
        if failures:
            raise failures.pop()
        add(spool, counts)

    monkeypatch.setattr(Spool, "add_rejections", fails_twice)
    counting = Counting(tmp_path / "spool.sqlite")
    counting.note(Rejected(Reason.MALFORMED_JSON))
    spool = Spool(tmp_path / "spool.sqlite")
    wait_for(lambda: spool.rejections() == {(TODAY, "malformed_json", ""): 1}, "the count")
    spool.close()
    counting.close()
    begun, ended = (record.message for record in caplog.records)
    assert begun == "rejections cannot be stored, they are counted in memory until then: full"
    assert ended == "rejections are stored again"


def test_the_collector_counts_each_kind(tmp_path: Path) -> None:
    """A beacon of a batch, one alone, JSON that ends early, a wrong key; what is checked or accepted is none."""
    with Collector(tmp_path / "home", PHAROS_INGEST_KEY=KEY) as collector:
        good, bad = beacon(), beacon({"module.name": "Invoice Pro"})
        assert collector.post([good, bad, bad]).status == 202
        assert collector.post({**beacon(), "email": "a@example.com"}).status == 422
        assert collector.post(b"{").status == 400
        assert collector.post(beacon(), key="nobody's").status == 401
        assert collector.post(bad, path="/v1/beacons/check").status == 422
    spool = Spool(tmp_path / "home" / "spool.sqlite")
    assert spool.rejections() == {
        (TODAY, "bad_format", "module.name"): 2,
        (TODAY, "unknown_field", ""): 1,
        (TODAY, "malformed_json", ""): 1,
        (TODAY, "unauthorized", ""): 1,
    }
    spool.close()


def test_the_loader_tells_what_has_changed(tmp_path: Path) -> None:
    """Each time the whole of a day. A loader that starts anew tells all of it again."""
    engine, spool = FakeEngine(), Spool(tmp_path / "spool.sqlite")
    told = loader(spool, engine)
    spool.add_rejections({(TODAY, "bad_format", "sent_at"): 2, (TODAY, "unauthorized", ""): 1})

    def rows() -> list[tuple[str, int]]:
        found = [(row["reason"], row["times"]) for row in engine.told if "reason" in row]
        engine.told.clear()
        return sorted(found)

    told._tell_rejections()
    assert rows() == [("bad_format", 2), ("unauthorized", 1)]
    told._tell_rejections()
    assert rows() == []
    spool.add_rejections({(TODAY, "unauthorized", ""): 4})
    told._tell_rejections()
    assert rows() == [("unauthorized", 5)]
    loader(spool, engine)._tell_rejections()
    assert rows() == [("bad_format", 2), ("unauthorized", 5)]
    spool.close()
