"""The catalog: what may be stored and until when, messages about invalid files, and reloading."""

import logging
import os
import signal
from datetime import date
from pathlib import Path

import pytest

from core import hang_up
from core.catalog import CHECK_SECONDS, Catalog, CatalogError, Kind, Watched, read, watch
from core.home import Home
from core.settings import Settings

WHOLE = """\
mode = "declared"

[[module]]
name = "invoice_pro"
title = "Invoice Pro"
releases = { "3.2.0" = 2026-08-01, "3.2.1" = 2026-09-15 }
purpose = "To know which versions are in use"
owner = "Invoice team"

[[feature]]
name = "invoice.pdf_export"
module = "invoice_pro"
purpose = "To decide about the old engine"
owner = "Invoice team"
expires = 2026-11-22

[[source]]
name = "shop"
purpose = "To find what was not bought from us"
owner = "Licensing team"
"""
ENTRY = '[[feature]]\nname = "x"\npurpose = "why"\nowner = "who"\n'
MODULE = ENTRY.replace("feature", "module")
TODAY = date(2026, 11, 22)


def written(path: Path, text: str | bytes) -> Path:
    """Return a catalog with this text."""
    file = path / "catalog.toml"
    file.write_bytes(text.encode() if isinstance(text, str) else text)
    return file


@pytest.mark.parametrize(
    ("kind", "name", "day", "declared", "open_"),
    [
        ("module", "invoice_pro", TODAY, True, True),
        ("module", "other", TODAY, False, True),
        ("feature", "invoice.pdf_export", TODAY, True, True),
        ("feature", "invoice.pdf_export", date(2026, 11, 23), False, False),
        ("feature", "invoice_pro", TODAY, False, True),
        ("source", "shop", date(2099, 1, 1), True, True),
        ("source", "elsewhere", TODAY, False, True),
    ],
)
def test_what_is_stored(tmp_path: Path, kind: Kind, name: str, day: date, declared: bool, open_: bool) -> None:
    """Mode declared stores only declared names of the right kind. Neither mode stores expired ones."""
    assert read(written(tmp_path, WHOLE)).stores(kind, name, day) is declared
    assert read(written(tmp_path, WHOLE.replace('"declared"', '"open"'))).stores(kind, name, day) is open_


@pytest.mark.parametrize("text", ['mode = "open"', '# nothing\nmode = "open"\n', '\ufeffmode = "open"\r\n'])
def test_a_catalog_of_nothing_takes_all(tmp_path: Path, text: str) -> None:
    """Without entries mode open stores everything. The file may begin with a byte order mark."""
    assert read(written(tmp_path, text)).takes_all
    assert not read(written(tmp_path, ENTRY)).takes_all, "it may have an expiry"
    assert not read(written(tmp_path, 'mode = "declared"')).takes_all


def test_an_entry_says_all_about_itself(tmp_path: Path) -> None:
    """An entry has its purpose and owner, and title and expiry if they are given."""
    entries = read(written(tmp_path, WHOLE)).entries
    module, feature = entries["module", "invoice_pro"], entries["feature", "invoice.pdf_export"]
    assert (module.title, module.owner, module.expires) == ("Invoice Pro", "Invoice team", None)
    assert module.releases == {"3.2.0": date(2026, 8, 1), "3.2.1": date(2026, 9, 15)}
    assert (feature.title, feature.purpose, feature.expires) == ("", "To decide about the old engine", TODAY)
    assert (feature.module, module.module) == ("invoice_pro", "")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("mode = \n", "line 1: Invalid value"),
        ('mode = "open"\n\n[[feature\n', "line 3: Expected"),
        ('mode = "open"\nmode = "open"\n', "line 2: Cannot overwrite a value"),
        ("[[feature]]\nexpires = 2026-02-30\n", "line 2: Invalid date or datetime"),
        ("x = " + "[" * 100_000, "is nested too deep"),
        (b"# \xff\n", "is not UTF-8"),
        ('mode = "closed"\n', "mode must be open or declared"),
        ("mode = 1\n", "mode must be open or declared"),
        ("mode = []\n", "mode must be open or declared"),
        ('[[features]]\nname = "x"\n', "features is neither mode nor module, feature, source"),
        ('[feature]\nname = "x"\n', "an entry begins with [[feature]]"),
        ('feature = ["x"]\n', "an entry begins with [[feature]]"),
        ('[[feature]]\npurpose = "why"\nowner = "who"\n', "line 1: feature number 1: has no name"),
        ("\n" + ENTRY.replace('owner = "who"\n', ""), "line 2: feature x: has no owner"),
        (ENTRY.replace('purpose = "why"\n', ""), "line 1: feature x: has no purpose"),
        (ENTRY.replace('"why"', '" "'), "line 1: feature x: purpose must be a line of text"),
        (ENTRY.replace('"why"', '"a\\nb"'), "line 1: feature x: purpose must be a line of text"),
        (ENTRY.replace('"who"', "7"), "line 1: feature x: owner must be a line of text"),
        (ENTRY + "title = true\n", "line 1: feature x: title must be a line of text"),
        (ENTRY + 'color = "red"\n', "line 1: feature x: has an unknown key color; known are name, purpose, owner"),
        (ENTRY + 'mode = "open"\n', "line 1: feature x: has an unknown key mode"),
        (ENTRY.replace("feature", "source") + 'title = "X"\n', "line 1: source x: has an unknown key title"),
        (ENTRY.replace('"x"', '"X"'), "line 1: feature X: its name must match [a-z][a-z0-9_.]{0,63}"),
        (ENTRY.replace('"x"', f'"{"x" * 65}"'), "line 1: feature x"),
        (ENTRY.replace("feature", "module").replace('"x"', '"x.y"'), "line 1: module x.y: its name must match"),
        (ENTRY.replace("feature", "source").replace('"x"', '"(undeclared)"'), "line 1: source (undeclared): its name"),
        (ENTRY + 'expires = "2026-11-22"\n', "line 1: feature x: expires must be a date, as 2027-06-30, without"),
        (ENTRY + "expires = 2026-11-22T00:00:00Z\n", "line 1: feature x: expires must be a date"),
        (ENTRY + "expires = 2026\n", "line 1: feature x: expires must be a date"),
        (ENTRY + "releases = {}\n", "line 1: feature x: has an unknown key releases; known are name, purpose, owner"),
        (ENTRY + "module = 7\n", "line 1: feature x: module must be a line of text"),
        (ENTRY + 'module = "x.y"\n', "line 1: feature x: its module must match [a-z][a-z0-9_]{0,63}"),
        (MODULE + 'module = "y"\n', "line 1: module x: has an unknown key module"),
        (MODULE + 'releases = ["3.2"]\n', "line 1: module x: releases must be versions with dates"),
        (MODULE + 'releases = { "3.2" = "2026-08-01" }\n', "line 1: module x: releases must be versions with dates"),
        (MODULE + "releases = { 3.2 = 2026-08-01 }\n", "line 1: module x: releases must be versions with dates"),
        (MODULE + 'releases = { "not one" = 2026-08-01 }\n', "line 1: module x: releases must be versions with dates"),
        (ENTRY + "\n" + ENTRY, "line 6: feature x: is declared twice"),
        ('feature = [{name = "x"}]\n', "feature x: has no purpose"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, text: str | bytes, said: str) -> None:
    """An error names its line where there is one."""
    file = written(tmp_path, text)
    with pytest.raises(CatalogError) as error:
        read(file)
    assert error.value.problems[0].startswith(said)
    assert str(error.value).startswith(f"{file}: {said}")


def test_all_that_is_wrong_is_told_at_once(tmp_path: Path) -> None:
    """All errors are listed by line. The summary has the first error and the number of errors."""
    bad = ENTRY.replace('owner = "who"\n', "")
    with pytest.raises(CatalogError) as error:
        read(written(tmp_path, 'color = "red"\n' + bad.replace("feature", "source") + bad.replace('"x"', '"y"')))
    assert error.value.problems == (
        "color is neither mode nor module, feature, source",
        "line 2: source x: has no owner",
        "line 5: feature y: has no owner",
    )
    assert str(error.value).endswith("(and 2 more: pharos catalog check)")


def test_the_same_name_may_be_of_two_kinds(tmp_path: Path) -> None:
    """A module and a feature may have the same name."""
    assert len(read(written(tmp_path, ENTRY + ENTRY.replace("feature", "module"))).entries) == 2


def test_what_expires_is_listed_in_time(tmp_path: Path) -> None:
    """Entries that expire within 30 days are listed by date."""
    dates = ["2026-12-22", "2026-12-23", "2026-11-21"]
    text = ENTRY + "".join(
        ENTRY.replace('"x"', f'"x{number}"') + f"expires = {when}\n" for number, when in enumerate(dates)
    )
    found = read(written(tmp_path, text)).expiring(TODAY)
    assert [(each.name, each.expired(TODAY)) for each in found] == [("x2", True), ("x0", False)]


class Clock:
    """A clock that the test sets."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def stores(catalog: Catalog, name: str = "invoice_pro") -> bool:
    """Return whether the catalog allows a module."""
    return catalog.stores("module", name, TODAY)


def test_a_change_is_seen_a_second_later(tmp_path: Path) -> None:
    """A changed file is read after a second, and not checked more often."""
    clock = Clock()
    file = written(tmp_path, WHOLE)
    watched = Watched(file, clock=clock)
    assert not stores(watched(), "new")
    written(tmp_path, WHOLE.replace("invoice_pro", "new"))
    clock.now += CHECK_SECONDS * 0.9
    assert not stores(watched(), "new")
    clock.now += CHECK_SECONDS * 0.2
    assert stores(watched(), "new")
    assert not stores(watched())


@pytest.mark.parametrize("wrong", ["mode = ", 'mode = "closed"', None])
def test_a_catalog_that_breaks_leaves_the_last_in_force(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, wrong: str | None
) -> None:
    """While the file is invalid or missing, the last valid catalog applies. The error is logged once."""
    caplog.set_level(logging.WARNING)
    clock = Clock()
    file = written(tmp_path, WHOLE)
    watched = Watched(file, clock=clock)
    assert stores(watched())
    if wrong is None:
        file.unlink()
    else:
        written(tmp_path, wrong)
    for _ in range(5):
        clock.now += CHECK_SECONDS
        assert stores(watched())
        assert not stores(watched(), "new")
    assert len(caplog.records) == 1
    assert "the last valid catalog stays in force" in caplog.text
    written(tmp_path, WHOLE.replace("invoice_pro", "new"))
    clock.now += CHECK_SECONDS
    assert stores(watched(), "new")


@pytest.mark.parametrize("text", ["", " \n\t\n", "# mode = declared\n", "\ufeff"])
def test_an_empty_file_is_a_broken_one(tmp_path: Path, text: str, caplog: pytest.LogCaptureFixture) -> None:
    """An empty file is invalid: the last catalog stays in force, and a start fails."""
    clock = Clock()
    watched = Watched(written(tmp_path, WHOLE), clock=clock)
    assert not stores(watched(), "new")
    written(tmp_path, text)
    clock.now += CHECK_SECONDS
    assert not stores(watched(), "new")
    assert "is empty" in caplog.text
    with pytest.raises(CatalogError, match="is empty"):
        watch(Settings(catalog=str(tmp_path / "catalog.toml")), Home(tmp_path / "home"))


def test_a_file_that_is_gone_leaves_in_force_what_was_read(tmp_path: Path) -> None:
    """While the file or its folder is missing, the last catalog applies."""
    clock = Clock()
    file = written(tmp_path, WHOLE)
    watched = Watched(file, clock=clock)
    assert not stores(watched(), "new")
    file.unlink()
    clock.now += CHECK_SECONDS
    assert not stores(watched(), "new")


def test_a_hang_up_has_the_file_read_at_once(tmp_path: Path) -> None:
    """SIGHUP reloads the file immediately."""
    watched = Watched(written(tmp_path, WHOLE), clock=Clock())
    assert not stores(watched(), "new")
    written(tmp_path, WHOLE.replace("invoice_pro", "new"))
    before = signal.getsignal(signal.SIGHUP)
    try:
        hang_up.listen()
        os.kill(os.getpid(), signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)
    assert stores(watched(), "new")


def test_a_file_that_is_replaced_with_the_same_size_and_time_is_seen(tmp_path: Path) -> None:
    """A replacement by rename is detected although size and time are the same."""
    clock = Clock()
    file = written(tmp_path, WHOLE)
    watched = Watched(file, clock=clock)
    assert stores(watched())
    aside = tmp_path / "aside"
    aside.write_text(WHOLE.replace("invoice_pro", "invoice_two"))
    os.utime(aside, ns=(file.stat().st_atime_ns, file.stat().st_mtime_ns))
    aside.rename(file)
    clock.now += CHECK_SECONDS
    assert stores(watched(), "invoice_two")


def test_without_a_file_all_is_taken_until_there_is_one(tmp_path: Path) -> None:
    """A catalog that is added to the home later is read."""
    home = Home(tmp_path / "home")
    watched = watch(Settings(), home)
    assert watched().takes_all
    watched = Watched(home.catalog, clock=(clock := Clock()))
    assert stores(watched(), "anything")
    written(home.path, WHOLE)
    clock.now += CHECK_SECONDS
    assert not stores(watched(), "anything")


def test_a_catalog_that_is_asked_for_must_be_there(tmp_path: Path) -> None:
    """A missing configured file and a dangling link in the home are errors. They must not open the catalog."""
    home = Home(tmp_path / "home")
    with pytest.raises(CatalogError, match=r"missing\.toml: cannot be read: No such file"):
        watch(Settings(catalog=str(tmp_path / "missing.toml")), home)
    home.catalog.symlink_to(tmp_path / "missing.toml")
    with pytest.raises(CatalogError, match=r"home/catalog\.toml: cannot be read: No such file"):
        watch(Settings(), home)
    written(tmp_path, WHOLE)
    assert not stores(watch(Settings(catalog=str(tmp_path / "catalog.toml")), home)(), "new")
