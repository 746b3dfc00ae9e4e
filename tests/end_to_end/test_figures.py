"""Every figure of the read API against a count that was made in another way."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import partial
from itertools import product
from typing import Any, Literal

import msgspec
import pytest

from tests.end_to_end.system import ENGINES, System, running, wait_for
from tests.fleet import reference
from tests.fleet.stream import stream
from tests.fleet.versions import SERIES
from tests.fleet.wire import is_beacon

DAYS = 30
LINES = 20_000
Metric = Literal["installs", "feature_installs", "feature_uses"]
GRAINS: tuple[Literal["day", "week", "month", "period"], ...] = ("day", "week", "month", "period")
DIMENSIONS = [*reference.PATHS, "feature", *SERIES]
FILTERS: list[dict[str, str]] = [
    {"module": "invoice_pro"},
    {"os": "debian", "license_status": "licensed"},
    {"arch": "x86_64", "module": "bulk_mailer"},
    {"feature": "invoice.pdf_export"},
    {"php": "no-such-version"},
    {"php_series": "8.2"},
    {"php_series.lt": "8.1"},
    {"php.ge": "8.2", "php.lt": "8.3"},
    {"whmcs_series.in": "8.13,9.0,8.6"},
    {"version.le": "3.1.2", "module": "invoice_pro"},
    {"database_series.ge": "mariadb-10.6"},
    {"os_release": "debian 12", "whmcs.lt": "8.10"},
]
LATEST = [filters for filters in FILTERS if "feature" not in filters]
PAIRS = ("php_series,whmcs_series", "module,version_series", "os_release,license_status", "php,whmcs")


@dataclass
class Fleet:
    """A system that holds the stream, and what was sent."""

    system: System
    beacons: reference.Sent
    start: date
    end: date

    def check(self, metric: Metric, grain: Any = "day", by: str | None = None, **filters: str) -> None:
        """The API's rows of one question are the reference's."""
        arguments = {"from": str(self.start), "to": str(self.end), "grain": grain, "by": by or "none", **filters}
        told = self.system.rows(metric, **arguments)
        counted = reference.metric(self.beacons, metric, self.start, self.end, grain, by, filters, k=5)
        assert told == counted, arguments

    def check_latest(self, grain: Any, by: str | None, filters: dict[str, str]) -> list[dict[str, Any]]:
        """As `check`, with each install counted once; returns the rows."""
        arguments = {"from": str(self.start), "to": str(self.end), "grain": grain, "by": by or "none", **filters}
        told = self.system.rows("installs", **arguments, count="latest")
        span = self.start, self.end
        counted = reference.metric(self.beacons, "installs", *span, grain, by, filters, k=5, count="latest")
        assert told == counted, arguments
        return told


@pytest.fixture(scope="module", params=ENGINES)
def fleet(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """20,000 lines in random order, a tenth sent twice, some invalid: the last days by HTTP, the rest imported."""
    end = datetime.now(UTC).date() - timedelta(days=1)
    sent = stream(7, LINES, end=end, days=DAYS)
    posted: list[bytes] = []
    imported: list[bytes] = []
    for line in sent.lines:
        (posted if _recent(line) else imported).append(line)
    with running(tmp_path_factory.mktemp("figures") / "home", request.param) as system:
        counts = _post(system, posted)
        done = system.run("import", "-", stdin=b"\n".join(imported))
        assert done.returncode == 0
        for part in done.stdout.decode().splitlines()[-1].split():
            name, _, number = part.partition("=")
            counts["accepted" if name == "imported" else name] += int(number)
        assert len(done.stderr.splitlines()) == len(imported) - sum(is_beacon(line) for line in imported)
        assert counts == {"accepted": len(sent.accepted), "duplicates": sent.duplicates, "rejected": sent.invalid}
        system.drain()
        yield Fleet(system, reference.dated(sent.accepted), end - timedelta(days=DAYS - 1), end)


def _parsed(line: bytes) -> Any:
    """What a line holds; None where it is no JSON, and would spoil a batch."""
    try:
        return msgspec.json.decode(line)
    except (ValueError, RecursionError):
        return None


def _recent(line: bytes) -> bool:
    """Whether a line's own date would be believed over HTTP; a line that has none goes there too."""
    try:
        return datetime.fromisoformat(_parsed(line)["sent_at"]) > datetime.now(UTC) - timedelta(days=5)
    except (ValueError, KeyError, TypeError):
        return True


def _post(system: System, lines: list[bytes]) -> Counter[str]:
    """Post lines in batches; those that are no JSON alone."""
    counts: Counter[str] = Counter()
    batched = [line for line in lines if _parsed(line) is not None]
    for line in lines:
        if _parsed(line) is None:
            assert system.post(line)[0] == 400
            counts["rejected"] += 1
    for first in range(0, len(batched), 250):
        status, answer = system.post(b"[" + b",".join(batched[first : first + 250]) + b"]")
        assert status == 202, answer
        counts += Counter(
            accepted=answer["accepted"], duplicates=answer["duplicates"], rejected=len(answer["rejected"])
        )
    return counts


@pytest.mark.parametrize("grain", GRAINS)
@pytest.mark.parametrize("metric", ["installs", "feature_installs", "feature_uses"])
def test_every_dimension_and_grain_equals_the_reference(fleet: Fleet, metric: Metric, grain: Any) -> None:
    """Each metric by each dimension at each grain is what was counted from the beacons sent."""
    for by in [None, *DIMENSIONS]:
        if by == "license_source" and metric != "installs":
            continue  # the planes' separation
        fleet.check(metric, grain, by)


@pytest.mark.parametrize("filters", FILTERS, ids=str)
def test_filters_equal_the_reference(fleet: Fleet, filters: dict[str, str]) -> None:
    """A filter counts what a beacon says in one breath."""
    for metric, by in product(("installs", "feature_installs", "feature_uses"), (None, "version", "feature", "os")):
        fleet.check(metric, "week", by, **filters)  # type: ignore[arg-type]


@pytest.mark.parametrize("grain", GRAINS)
def test_the_latest_value_of_every_dimension_equals_the_reference(fleet: Fleet, grain: Any) -> None:
    """Each install counts once in a bucket, so that the shares of a value that all installs have add up to 100%."""
    for by in [None, *DIMENSIONS]:
        if by == "feature":
            continue
        rows = fleet.check_latest(grain, by, {})
        if grain == "period" and by in ("license_status", "license_source", "version"):
            assert sum(row["value"] for row in rows) == fleet.check_latest(grain, None, {})[0]["value"]


@pytest.mark.parametrize("filters", LATEST, ids=str)
def test_filters_of_latest_values_equal_the_reference(fleet: Fleet, filters: dict[str, str]) -> None:
    """`module` says whose reports count; the other filters are held against the latest values."""
    for grain, by in (("week", "php_series"), ("period", "module"), ("period", None)):
        fleet.check_latest(grain, by, filters)


def test_two_dimensions_equal_the_reference(fleet: Fleet) -> None:
    """Pairs are folded as pairs."""
    for grain, by in zip(("week", "period", "month", "period"), PAIRS, strict=True):
        fleet.check("installs", grain, by)
        fleet.check("feature_uses", grain, by, feature="invoice.pdf_export")
        fleet.check_latest(grain, by, {})
        fleet.check_latest(grain, by, {"module": "invoice_pro", "php_series.ge": "8.1"})
    for metric in ("feature_installs", "feature_uses", "installs"):
        fleet.check(metric, "period", "feature,version_series")
        fleet.check(metric, "period", "php_series,feature", module="invoice_pro")
    status, answer = fleet.system.read("/api/v1/metrics/installs", by="php_series,license_source")
    assert (status, answer["reason"]) == (422, "out_of_range")
    fleet.check("installs", "period", "license_source,license_status")
    fleet.check_latest("period", "version_series,license_source", {})


def test_a_license_source_crosses_what_the_license_plane_holds(fleet: Fleet) -> None:
    """Installs by license source, and filtered by it, equal the reference; what needs the other plane is 422."""
    fleet.check("installs", "period", "version", license_source="whmcs-addon-modules")
    fleet.check("installs", "month", "license_source", license_status="unlicensed")
    for by, filters in (("php", {"license_source": "x"}), ("license_source", {"os": "debian"})):
        status, answer = fleet.system.read("/api/v1/metrics/installs", by=by, **filters)
        assert (status, answer["reason"]) == (422, "out_of_range")
        assert "no key joins the two" in answer["detail"]


def test_part_of_the_range_equals_the_reference(fleet: Fleet) -> None:
    """`from` and `to` are both included, and cut weeks and months."""
    part = Fleet(fleet.system, fleet.beacons, fleet.start + timedelta(days=3), fleet.end - timedelta(days=9))
    for grain in GRAINS:
        part.check("installs", grain, "whmcs")
        part.check("feature_uses", grain, "feature")


def test_licensing_rows_equal_the_reference(fleet: Fleet) -> None:
    """One row for each install and module, with its latest license report and when it was seen, over all pages."""
    rows: list[dict[str, Any]] = []
    cursor = ""
    while True:
        status, page = fleet.system.read("/api/v1/licensing/installs", limit="300", cursor=cursor)
        assert status == 200
        rows += page["rows"]
        cursor = page.get("next_cursor", "")
        if not cursor:
            break
    counted = reference.licensing([beacon for _, beacon in fleet.beacons])
    names = ("module", "version", "status", "source", "first_seen", "last_seen")
    assert len({(row["id"], row["module"]) for row in rows}) == len(rows)
    assert Counter(tuple(_told(row, name) for name in names) for row in rows) == Counter(
        tuple(_told(row, name) for name in names) for row in counted
    )
    unlicensed = fleet.system.read("/api/v1/licensing/installs", status="!licensed", limit="1000")[1]["rows"]
    assert len(unlicensed) == sum(row["status"] != "licensed" for row in counted)
    rules = [row["rule"] for row in fleet.system.read("/api/v1/licensing/flags")[1]["rows"]]
    # The loader is still judging while it reads.
    for rule in rules:
        wait_for(partial(_agree, fleet, rule), f"the flags of {rule} in both answers")


def _agree(fleet: Fleet, rule: str) -> bool:
    """Whether both answers of the read API have the same flags of a rule."""
    told = {row["rule"]: row["installs"] for row in fleet.system.read("/api/v1/licensing/flags")[1]["rows"]}
    page = fleet.system.read("/api/v1/licensing/installs", flag=rule, limit="1000")[1]
    assert all(rule in [flag["rule"] for flag in row["flags"]] for row in page["rows"])
    return bool(len(page["rows"]) == told[rule])


def _told(row: dict[str, Any], name: str) -> Any:
    value = row[name]
    if name in ("first_seen", "last_seen"):
        return value if isinstance(value, str) else f"{value:%Y-%m-%d}"
    return value
