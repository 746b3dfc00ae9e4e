"""A minimal Markdown parser: tables, fenced blocks, code spans and links."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = (
    "README.md",
    "CHANGELOG.md",
    "docs/reference.md",
    "docs/architecture.md",
    "docs/reliability.md",
    "docs/privacy.md",
    "docs/upgrade.md",
    "docs/scaling.md",
    "client_sdk/php/README.md",
    "client_sdk/whmcs/README.md",
)


def page(name: str) -> str:
    """The text of a page."""
    return (ROOT / name).read_text(encoding="utf-8")


def tables(text: str) -> dict[str, list[list[str]]]:
    """The rows of each table, by the heads of its columns (`name | default | meaning`)."""
    found = {}
    for match in re.finditer(r"^\|(.+)\|\n\|[-|]+\|\n((?:\|.*\|\n)*)", text, re.MULTILINE):
        head = " | ".join(cell.strip() for cell in match[1].split("|"))
        found[head] = [[cell.strip() for cell in row.strip("|").split("|")] for row in match[2].splitlines()]
    return found


def blocks(text: str, language: str) -> list[str]:
    """The fenced blocks of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def without_blocks(text: str) -> str:
    """The text without its fenced blocks."""
    return re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)


def spans(text: str) -> list[str]:
    """Return the code spans of a text."""
    return re.findall(r"`([^`\n]+)`", without_blocks(text))


def links(text: str) -> list[str]:
    """Return the targets of links and pictures."""
    return re.findall(r"\]\(([^)\s]+)\)", without_blocks(text))


def code(cell: str) -> str:
    """Return the only code span of a cell, or the text of a cell without one."""
    return cell.strip("`")
