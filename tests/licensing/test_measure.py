"""The rules find the guilty installs of a labelled fleet, and accuse none of the honest ones."""

from pathlib import Path

import pytest

from core.home import Home
from core.settings import Settings
from tests.licensing import labelled
from tests.licensing.measure import Measured, play
from warehouse.engine import Engine
from warehouse.licensing.rules import RULES

SEED, EACH = 5, 8


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Measured:
    """A fleet that the rules have judged, another one than that of docs/licensing.md."""
    folder = tmp_path_factory.mktemp("labelled")
    home = Home(Path(folder) / "home")
    engine = Engine(Settings(home=home.path), home)
    try:
        return play(labelled.fleet(SEED, labelled.today(), each=EACH), engine, folder)
    finally:
        engine.close()


def test_recall_and_precision(measured: Measured) -> None:
    assert measured.recall >= 0.95
    assert measured.precision >= 0.98


def test_each_kind_is_judged_well(measured: Measured) -> None:
    """Of each guilty kind nine of ten are flagged, of each honest kind not one in fifty."""
    for (kind, guilty), members in labelled.by_kind(measured.fleet.installs).items():
        share = measured.flagged(members) / len(members)
        assert share >= 0.9 if guilty else share <= 0.02, kind


def test_each_rule_is_tried(measured: Measured) -> None:
    """The fleet has somebody for each rule, so that a rule that finds nothing is noticed."""
    assert measured.by_rule().keys() == {rule.name for rule in RULES}
