"""Releases of build servers: what is accepted, who may report them, and where they are marked."""

from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from core.catalog import Catalog, Entry
from core.credentials import Credentials, Role
from core.home import Home
from core.releases import Release, Releases
from dashboard.charts.release_marks import MOST_MARKS, in_words, labels, lines, released
from dashboard.permissions import RELEASES

Visit = Callable[[str | None], FlaskClient]
RELEASE = {"module": "invoice_pro", "version": "4.0.0", "released": "2026-11-20"}


def post(client: FlaskClient, token: str, body: Any) -> Any:
    return client.post(RELEASES, json=body, headers={"Authorization": f"Bearer {token}"})


def test_a_build_server_reports_releases_and_reads_no_figure(visit: Visit, credentials: Credentials) -> None:
    """Its token stores releases, again with another date, and is refused everything else."""
    client, token = visit(None), credentials.add_token(None)
    assert post(client, token, [RELEASE, {**RELEASE, "version": "4.0.1"}]).json == {"stored": 2}
    assert post(client, token, {**RELEASE, "released": "2026-11-21"}).json == {"stored": 1}
    headers = {"Authorization": f"Bearer {token}"}
    rows = client.get(RELEASES, headers=headers).json
    assert rows == {"rows": [{**RELEASE, "released": "2026-11-21"}, {**RELEASE, "version": "4.0.1"}]}
    for path in ("/api/v1/metrics/installs", "/api/v1/licensing/installs", "/api/v1/licensing/flags"):
        assert client.get(path, headers=headers).status_code == 403
    assert [each.may for each in credentials.tokens()] == ["build"]


@pytest.mark.parametrize(("role", "status"), [(Role.ADMIN, 200), (Role.PRODUCT, 403), (Role.LICENSING, 403)])
def test_of_the_roles_only_an_admin_reports_releases(
    visit: Visit, credentials: Credentials, role: Role, status: int
) -> None:
    """Tokens of the other roles only read."""
    assert post(visit(None), credentials.add_token(role), RELEASE).status_code == status


@pytest.mark.parametrize(
    ("body", "reason", "path"),
    [
        ([], "out_of_range", "body"),
        (5, "wrong_type", "body"),
        ([RELEASE] * 501, "too_many_items", "body"),
        ({**RELEASE, "more": 1}, "unknown_field", "body"),
        ({"module": "a"}, "missing_field", "version"),
        ({**RELEASE, "version": 4}, "wrong_type", "version"),
        ({**RELEASE, "module": "Invoice Pro"}, "bad_format", "module"),
        ({**RELEASE, "released": "2026-02-30"}, "bad_format", "released"),
    ],
)
def test_a_bad_release_is_refused_by_name(
    visit: Visit, credentials: Credentials, body: Any, reason: str, path: str
) -> None:
    """Nothing of a request with a bad release is stored."""
    client, token = visit(None), credentials.add_token(Role.ADMIN)
    answer = post(client, token, body)
    assert (answer.status_code, answer.json["reason"], answer.json["path"]) == (422, reason, path)
    assert client.get(RELEASES, headers={"Authorization": f"Bearer {token}"}).json == {"rows": []}


def test_the_catalog_goes_before_what_is_reported(home: Home) -> None:
    """A declared date is not changed by a report."""
    entry = Entry("module", "a", "purpose", "owner", releases={"1.0": date(2026, 1, 1)})
    reported = {"a": {"1.0": date(2026, 2, 2), "1.1": date(2026, 3, 3)}, "b": {"7": date(2026, 3, 4)}}
    catalog = Catalog("declared", {("module", "a"): entry}, reported)
    assert catalog.releases("a") == {"1.0": date(2026, 1, 1), "1.1": date(2026, 3, 3)}
    assert catalog.released_modules() == {"a", "b"}
    assert not catalog.stores("module", "b", date(2026, 4, 4)), "a release declares no module"


def test_marks_are_those_of_the_period_and_the_newest(tmp_path: Path) -> None:
    """One module's marks show versions; those of several modules, which are named in the text, show how many."""
    releases = Releases(tmp_path / "dashboard.sqlite")
    releases.report(Release("a", f"1.{number}", date(2026, 11, 1 + number)) for number in range(20))
    releases.report([Release("b", "9", date(2026, 11, 15))])
    catalog = Catalog(reported=releases.reported())
    marked = released(catalog, "a", date(2026, 11, 3), date(2026, 11, 5))
    assert [each["text"] for each in labels(marked, 2)] == ["1.2", "1.3", "1.4"]
    assert [each["x0"] for each in lines(marked)] == ["2026-11-03", "2026-11-04", "2026-11-05"]
    both = released(catalog, "", date(2026, 11, 1), date(2026, 11, 30))
    assert len(both) == MOST_MARKS
    assert "2 releases" in [each["text"] for each in labels(both, 9)]
    assert "b 9 on 15 Nov 2026" in in_words(both)
    assert in_words(marked).startswith("Dotted marks: releases of a (1.2 on 3 Nov 2026, ")
    assert released(Catalog(), "", date(2026, 11, 1), date(2026, 11, 30)) == []
    assert (lines([]), labels([], 29), in_words([])) == ([], [], "")


@pytest.mark.parametrize(
    ("days", "shown"), [(28, ["1.0.0", "1.0.1", "1.1.0"]), (200, ["1.0.0", "1.1.0"]), (365, ["1.0.0", "1.1.0"])]
)
def test_labels_that_would_overlap_are_left_out(days: int, shown: list[str]) -> None:
    """On a long axis the newest of them is there. The line of each stays."""
    marked = [
        Release("a", version, date(2026, *day))
        for version, day in (("1.0.0", (8, 1)), ("1.0.1", (11, 1)), ("1.1.0", (11, 8)))
    ]
    assert [each["text"] for each in labels(marked, days)] == shown
    assert len(lines(marked)) == 3
