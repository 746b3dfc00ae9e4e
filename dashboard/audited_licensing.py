"""Access to the rows of the license plane. Each access is logged before any row is returned."""

from collections.abc import Mapping
from typing import Any

from flask_login import current_user

from core.access_log import AccessLog
from core.credentials import Role, Token
from core.license_keys import LicenseKeys
from warehouse.engine import Engine
from warehouse.queries import license_flags, licensing

MOST_ROWS = 5000
# Requests for one page. Where few installs match, each of them finds few rows among many installs.
MOST_REQUESTS = 10
MOST_FLAGS = license_flags.MOST
Row = dict[str, Any]


class AuditedLicensing:
    """Queries of the license plane. They raise `QueryError`, `EngineError`, and `AccessLogError` when logging fails."""

    def __init__(self, engine: Engine, log: AccessLog, k: int, keys: LicenseKeys) -> None:
        self._engine, self._log, self._keys = engine, log, keys
        self._seconds = k == 1

    def page(self, args: Mapping[str, str]) -> tuple[list[Row], str | None]:
        """The rows for a page and its user, and the cursor of the next page, if there are others."""
        rows: list[Row] = []
        cursor: str | None = args.get("cursor", "")
        for _ in range(MOST_REQUESTS):
            if cursor is None or len(rows) == MOST_ROWS:
                break
            asked = {**args, "cursor": cursor, "limit": str(min(license_flags.MOST, MOST_ROWS - len(rows)))}
            found = licensing.installs(self._engine, asked, seconds=self._seconds)
            rows += found["rows"]
            cursor = found.get("next_cursor")
        self._note_user("page", _asked(args), len(rows))
        return rows, cursor

    def csv(self, args: Mapping[str, str], rows: int) -> None:
        """Log that the page's user exports rows to a file. The browser makes the file from rows that it already has."""
        self._note_user("csv", _asked(args), rows)

    def any_install(self) -> bool:
        """Whether any install has ever reported a license. No row is returned, so this is not logged."""
        return licensing.any_install(self._engine)

    def installs(self, token: Token, args: Mapping[str, str]) -> dict[str, Any]:
        """The read API's answer."""
        answer = licensing.installs(self._engine, args, seconds=self._seconds)
        self._note(f"token {token.id}", token.role, "api installs", _asked(args), len(answer["rows"]))
        return answer

    def flags(self, token: Token, args: Mapping[str, str]) -> dict[str, Any]:
        """The read API's answer."""
        answer = license_flags.flags(self._engine, args, seconds=self._seconds)
        self._note(f"token {token.id}", token.role, "api flags", _asked(args), len(answer["flags"]))
        return answer

    def flags_page(self, args: Mapping[str, str]) -> dict[str, Any]:
        """The flags for a page and its user, the first `MOST_FLAGS` of them."""
        answer = license_flags.flags(self._engine, {**args, "limit": str(MOST_FLAGS)}, seconds=self._seconds)
        self._note_user("page flags", args, len(answer["flags"]))
        return answer

    def key(self, token: Token, key_hash: str) -> dict[str, Any]:
        """The pseudonym of a license key, by which its rows are found. Nothing is stored."""
        key = f"{self._keys.pseudonym(key_hash):016x}"
        self._note(f"token {token.id}", token.role, "api keys", {"key": key}, 1)
        return {"key": key}

    def _note_user(self, what: str, args: Mapping[str, str], rows: int) -> None:
        self._note(current_user.name, current_user.role, what, args, rows)

    def _note(self, who: str, role: Role, what: str, question: Mapping[str, str], rows: int) -> None:
        self._log.record(who, str(role), what, {name: value for name, value in question.items() if value}, rows)


def _asked(args: Mapping[str, str]) -> dict[str, str]:
    """Return the question for the log. A cursor contains a pseudonym: the log only says that this was a later page."""
    question = {name: value for name, value in args.items() if name != "cursor"}
    return {**question, **({"page": "later"} if args.get("cursor") else {})}
