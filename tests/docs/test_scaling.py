"""docs/scaling.md against the script that computes it, and the script against the pages that it takes figures from."""

from tests.bench.scaling import MEASURED, tables
from tests.docs.markdown import page


def test_the_tables_are_those_of_the_script() -> None:
    """Each computed table is on the page as it is printed."""
    for table in tables().split("\n\n"):
        assert table.strip() in page("docs/scaling.md")


def test_the_figures_are_in_their_sources() -> None:
    """What is taken from another page is written there."""
    architecture = page("docs/architecture.md")
    assert f"take {MEASURED['aggregates'].value}\nbytes an install-day" in architecture
    assert f"with a filter of about {MEASURED['filter'].value} bytes an id" in architecture
    assert f"The files take {MEASURED['id'].value} bytes an id" in page("docs/decisions/006-duplicate-ids.md")
    assert f"beacon {MEASURED['usage'].value}." in page("docs/decisions/009-aggregates-outlive-their-rows.md")
