"""`python -m tests.licensing [SEED]`: measure recall and precision, and write the tables into docs/licensing.md."""

import sys
import tempfile
from pathlib import Path

from core.home import Home
from core.settings import Settings
from tests.licensing import labelled
from tests.licensing.measure import Measured, play
from warehouse.engine import Engine
from warehouse.licensing.rules import RULES

PAGE = Path(__file__).parents[2] / "docs" / "licensing.md"
BEGIN, END = "<!-- measured -->\n", "<!-- end -->\n"


def report(measured: Measured) -> str:
    """Return the tables as Markdown."""
    installs = measured.fleet.installs
    guilty = sum(install.guilty for install in installs)
    lines = [
        f"{len(installs)} installs, {guilty} of them guilty: recall {measured.recall:.3f}, "
        f"precision {measured.precision:.3f}.",
        "",
        "| guilty kind | installs | flagged | rules |",
        "|---|---|---|---|",
    ]
    kinds = labelled.by_kind(installs)
    for (kind, is_guilty), members in kinds.items():
        if is_guilty:
            rules = sorted({f"`{rule}`" for install in members for rule in measured.rules.get(install.id, ())})
            lines.append(f"| {kind} | {len(members)} | {measured.flagged(members)} | {', '.join(rules)} |")
    lines += ["", "| honest kind | installs | flagged |", "|---|---|---|"]
    for (kind, is_guilty), members in kinds.items():
        if not is_guilty:
            name = f"{kind}: its owner" if kind in labelled.GUILTY else kind
            lines.append(f"| {name} | {len(members)} | {measured.flagged(members)} |")
    lines += ["", "| rule | installs flagged | guilty | precision |", "|---|---|---|---|"]
    by_rule = measured.by_rule()
    for rule in RULES:
        number, right = by_rule.get(rule.name, (0, 0))
        lines.append(f"| `{rule.name}` | {number} | {right} | {right / max(number, 1):.3f} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure, print, and write."""
    seed = int(sys.argv[1]) if len(sys.argv) > 1 else 1
    with tempfile.TemporaryDirectory() as folder:
        home = Home(Path(folder) / "home")
        engine = Engine(Settings(home=home.path), home)
        try:
            measured = play(labelled.fleet(seed, labelled.today()), engine, Path(folder), print)
        finally:
            engine.close()
    text = report(measured)
    print(text)
    page = PAGE.read_text(encoding="utf-8")
    before, _, rest = page.partition(BEGIN)
    PAGE.write_text(f"{before}{BEGIN}\n{text}\n{END}{rest.partition(END)[2]}", encoding="utf-8")


if __name__ == "__main__":
    main()
