"""Access to the rows of the license plane. Each access is logged before any row is returned."""

from collections.abc import Mapping
from typing import Any

from flask_login import current_user

from core.access_log import AccessLog
from core.credentials import Role, Token
from warehouse.engine import Engine
from warehouse.queries import licensing

MOST_ROWS = 5000
Row = dict[str, Any]


class AuditedLicensing:
    """Queries of the license plane. They raise `QueryError`, `EngineError`, and `AccessLogError` when logging fails."""

    def __init__(self, engine: Engine, log: AccessLog) -> None:
        self._engine, self._log = engine, log

    def page(self, args: Mapping[str, str]) -> tuple[list[Row], bool]:
        """The rows for a page and its user, and whether there are more than `MOST_ROWS`."""
        rows: list[Row] = []
        cursor: str | None = ""
        while cursor is not None and len(rows) < MOST_ROWS:
            more = {"cursor": cursor} if cursor else {}
            found = licensing.installs(self._engine, {**args, **more, "limit": "1000"})
            rows += found["rows"]
            cursor = found["next_cursor"]
        self._note_user("page", args, len(rows))
        return rows, cursor is not None

    def csv(self, args: Mapping[str, str], rows: int) -> None:
        """Log that the page's user exports rows to a file. The browser makes the file from rows that it already has."""
        self._note_user("csv", args, rows)

    def any_sighting(self) -> bool:
        """Whether any install has ever reported a license. No row is returned, so this is not logged."""
        return bool(licensing.installs(self._engine, {"limit": "1"})["rows"])

    def installs(self, token: Token, args: Mapping[str, str]) -> dict[str, Any]:
        """The read API's answer."""
        answer = licensing.installs(self._engine, args)
        # A cursor contains a pseudonym, so the log only says that this was a later page.
        question = {name: value for name, value in args.items() if name != "cursor"}
        later = {"page": "later"} if args.get("cursor") else {}
        self._note(f"token {token.id}", token.role, "api installs", {**question, **later}, len(answer["rows"]))
        return answer

    def flags(self, token: Token) -> dict[str, Any]:
        """The read API's answer."""
        answer = licensing.flags(self._engine)
        self._note(f"token {token.id}", token.role, "api flags", {}, len(answer["rows"]))
        return answer

    def _note_user(self, what: str, args: Mapping[str, str], rows: int) -> None:
        self._note(current_user.name, current_user.role, what, args, rows)

    def _note(self, who: str, role: Role, what: str, question: Mapping[str, str], rows: int) -> None:
        self._log.record(who, str(role), what, {name: value for name, value in question.items() if value}, rows)
