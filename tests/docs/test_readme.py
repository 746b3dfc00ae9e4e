"""The README and the other pages against the code. The README's first beacon is really posted."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import click
import pytest

from collector.problems import document
from collector.validate import Rejected, validate
from core.credentials import Role
from core.settings import documented
from pharos.cli import cli
from tests.docs.markdown import PAGES, ROOT, blocks, code, links, page, spans, tables, without_blocks
from tests.end_to_end.system import KEY, System, running, wait_for

README = page("README.md")
FIRST, SECOND = (
    next(block for block in blocks(README, "sh") if word in block) for word in ("/v1/beacons", "/api/v1/metrics")
)
SETTINGS = {f"PHAROS_{field.name.upper()}": field for field in documented()}


def commands(group: click.Group = cli, prefix: str = "pharos") -> Iterator[tuple[str, click.Command]]:
    """Return every command by its words."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group):
            yield from commands(command, f"{prefix} {name}")
        else:
            yield f"{prefix} {name}", command


COMMANDS = dict(commands())


def test_the_settings_table_is_that_of_the_code() -> None:
    """The table has exactly the settings, in the code's order, with default and meaning."""
    expected = [
        [f"`{name}`", f"`{field.default}`" if str(field.default) else "unset", field.metadata["doc"]]
        for name, field in SETTINGS.items()
    ]
    assert tables(README)["name | default | meaning"] == expected


@pytest.mark.parametrize("name", PAGES)
def test_no_page_names_a_setting_that_does_not_exist(name: str) -> None:
    """Each `PHAROS_...` in a page is a setting, or a setting and `_FILE`."""
    named = set(re.findall(r"PHAROS_[A-Z_]+\b", page(name))) - {"PHAROS_", "PHAROS_TELEMETRY", "PHAROS_SAMPLE"}
    assert {setting.removesuffix("_FILE") for setting in named} <= set(SETTINGS)


def test_the_commands_table_is_that_of_the_code() -> None:
    """The table has exactly the commands."""
    told = [code(row[0]).removesuffix(" FILE...") for row in tables(README)["command | what it does"]]
    assert sorted(told) == sorted(COMMANDS)


@pytest.mark.parametrize("name", PAGES)
def test_no_page_names_a_command_that_does_not_exist(name: str) -> None:
    """Each `pharos ...` in a page is a command or a group, and each option belongs to one."""
    words = re.findall(r"(?:`|bin/|\n)pharos ([a-z]+(?: (?:new|list|revoke|add|remove))?)", page(name))
    groups = {command.rpartition(" ")[0] for command in COMMANDS}
    assert {f"pharos {word}" for word in words} <= set(COMMANDS) | groups
    known = {option for command in COMMANDS.values() for parameter in command.params for option in parameter.opts}
    assert {span for span in spans(page(name)) if span.startswith("--")} <= known | {"--help"}


@pytest.mark.parametrize("name", PAGES)
def test_no_page_names_a_make_target_that_does_not_exist(name: str) -> None:
    """Each `make ...` in a page is a target of the Makefile."""
    targets = set(re.findall(r"^([a-z]+):", page("Makefile"), re.MULTILINE))
    assert set(re.findall(r"(?:`|^|\d )make ([a-z]+)", page(name), re.MULTILINE)) <= targets


@pytest.mark.parametrize("name", PAGES)
def test_links_lead_somewhere(name: str) -> None:
    """Each relative link and picture of a page is a file of the repository."""
    local = [link.partition("#")[0] for link in links(page(name)) if not re.match(r"[a-z]+:|#", link)]
    assert [link for link in local if not (ROOT / name).parent.joinpath(link).exists()] == []


def test_the_folders_are_there_and_all_of_them() -> None:
    """The table has exactly the folders of the repository that are not hidden."""
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("this is no git checkout")
    there = {path.partition("/")[0] + "/" for path in listed.stdout.splitlines() if "/" in path}
    told = {code(row[0]) for row in tables(README)["folder | what"]}
    assert all((ROOT / folder).is_dir() for folder in told)
    assert {folder for folder in there if not folder.startswith(".")} <= told


def test_the_roles_are_those_of_the_code() -> None:
    """The table has exactly the roles."""
    assert [code(row[0]) for row in tables(README)["role | sees"]] == [str(role) for role in Role]


def test_no_text_is_cut_off_by_a_forgotten_fence() -> None:
    """Every fenced block is closed."""
    for name in PAGES:
        assert "```" not in without_blocks(page(name)), name


def test_the_wrong_beacon_s_answer_is_the_collector_s() -> None:
    """The README's example of an error is the collector's real response."""
    beacon = json.loads(FIRST.partition("<<BEACON\n")[2].partition("\nBEACON")[0])
    beacon |= {"beacon_id": "0193577e-7e3e-7c1c-9d2f-3a4b5c6d7e8f", "sent_at": "2026-11-22T10:00:00Z"}
    beacon |= {"install_id": "5f0c1c0e-3b1e-4b7e-8f7a-6d5c4b3a2f1e"}
    assert validate(beacon) is beacon
    beacon["module"]["name"] = "Invoice Pro"
    with pytest.raises(Rejected) as refused:
        validate(beacon)
    assert json.loads(blocks(README, "json")[1]) == json.loads(document(refused.value)[1])


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    if not shutil.which("curl"):
        pytest.skip("there is no curl here")
    with running(tmp_path_factory.mktemp("readme") / "home", "embedded", PHAROS_K="1") as system:
        yield system


def bash(system: System, block: str) -> str:
    """Run a block of the README with changed addresses and command path; return its output."""
    for told, real in (
        ("http://127.0.0.1:8000", system.collector),
        ("http://127.0.0.1:8050", system.dashboard),
        (".venv/bin/pharos", f"{sys.executable} -m pharos"),
    ):
        block = block.replace(told, real)
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", block],
        env={**os.environ, **system.environ, "PHAROS_INGEST_KEY": KEY},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_first_beacon_is_taken_and_read_back(system: System) -> None:
    """The README's first block gets a 202, and its second block reads the beacon from the figures."""
    head, _, body = bash(system, FIRST).replace("\r", "").partition("\n\n")
    assert re.match(r"HTTP/1\.1 202 ", head)
    answer: dict[str, Any] = json.loads(body)
    shown = json.loads(blocks(README, "json")[0])
    assert answer.keys() == shown.keys()
    assert answer | {"next_in": 0} == shown | {"next_in": 0}
    wait_for(
        lambda: [row["value"] for row in json.loads(bash(system, SECOND))["rows"]] == [1], "the beacon in the figures"
    )


def test_each_first_beacon_is_another_install(system: System) -> None:
    """Running the first block twice sends two beacons of two installs."""
    for _ in range(2):
        assert '"accepted":1' in bash(system, FIRST)
