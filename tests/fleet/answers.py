"""What each call of the read API that a card names must answer, counted by the tests' own means."""

from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.fleet import questions as counted
from tests.fleet import reference
from tests.fleet.questions import History
from tests.fleet.reference import Row

OWN = ("from", "to", "grain", "by", "count", "days", "feature", "module", "version", "version_series")


class Oracle:
    """All beacons that were accepted, and what follows from them. `k` is the smallest group that is told."""

    def __init__(self, beacons: Iterable[reference.Beacon], k: int) -> None:
        self.sent, self.k = reference.dated(beacons), k
        self._histories: dict[str | None, History] = {}

    def rows(self, metric: Any, args: Mapping[str, str]) -> list[Row]:
        """The rows of a metric."""
        given = {name: value for name, value in args.items() if name not in ("from", "to", "grain", "by", "count")}
        by = args.get("by", "none" if metric == "installs" else "feature")
        return reference.metric(
            self.sent, metric, date.fromisoformat(args["from"]), date.fromisoformat(args["to"]),
            args.get("grain", "day"), None if by == "none" else by, given, self.k,  # type: ignore[arg-type]
            count=args.get("count", "reported"),  # type: ignore[arg-type]
        )  # fmt: skip

    def check(self, call: str, answer: Mapping[str, Any]) -> None:
        """The answer to a call is what was counted; a question may hide a figure, and tells no other one."""
        address = urlsplit(call)
        args = {name: value for name, (value,) in parse_qs(address.query).items()}
        name = address.path.rpartition("/")[2]
        if name in ("installs", "feature_installs", "feature_uses"):
            assert answer["rows"] == self.rows(name, args), call
        else:
            getattr(self, f"_check_{name}")(args, answer)
            counted.check_coverage(self._history(args), answer, self.k)

    def _history(self, args: Mapping[str, str]) -> History:
        module = args.get("module")
        if module not in self._histories:
            self._histories[module] = History(self.sent, module, self.k)
        return self._histories[module]

    def _check_lifecycle(self, args: Mapping[str, str], answer: Mapping[str, Any]) -> None:
        rows = [
            counted.lifecycle(
                self._history(args),
                answer["grain"],
                date.fromisoformat(row["bucket"]),
                _conditions(args),
                answer["count"],
            )
            for row in answer["rows"]
        ]
        counted.compare(answer["rows"], rows, self.k)

    def _check_retention(self, args: Mapping[str, str], answer: Mapping[str, Any]) -> None:
        last, found = date.fromisoformat(answer["to"]), []
        for row in answer["rows"]:
            bucket = date.fromisoformat(row["bucket"])
            given = self._history(args), answer["grain"], bucket, last, _conditions(args), args.get("feature")
            found.append(counted.retention(*given))
        counted.compare(answer["rows"], found, self.k)

    def _check_first_use(self, args: Mapping[str, str], answer: Mapping[str, Any]) -> None:
        days = [row["within"] for row in answer["rows"]]
        if days:
            given = self._history(args), _span(answer), _conditions(args), args["feature"], days
            counted.compare(answer["rows"], counted.first_use(*given), self.k)

    def _check_adoption(self, args: Mapping[str, str], answer: Mapping[str, Any]) -> None:
        declared = date.fromisoformat(answer["released"]) if answer["released_by"] == "catalog" else None
        version = next((name, args[name]) for name in ("version", "version_series") if name in args)
        end = date.fromisoformat(args["to"])
        released, rows = counted.adoption(
            self._history(args), _conditions(args), version, end, int(args["days"]), declared, self.k
        )
        assert answer["released"] == (str(released) if released else None)
        counted.compare(answer["rows"], rows, self.k)

    def _check_upgrades(self, args: Mapping[str, str], answer: Mapping[str, Any]) -> None:
        paths = counted.upgrades(self._history(args), _span(answer), _conditions(args), "version")
        for row in answer["rows"]:
            if row["from"] != reference.OTHER:
                days = paths[row["from"], row["to"]]
                assert (row["installs"], row["median_days"]) == (len(days), counted.median(days))

    def _check_together(self, args: Mapping[str, str], answer: Mapping[str, Any]) -> None:
        asked = self._history(args), _span(answer), _conditions(args)
        reporting, rows = counted.together(*asked)
        active = len(counted.active(*asked))
        pairs = {tuple(row["features"]): row for row in rows}
        # The others are told with those that report features where they are fewer than k.
        counted.compare(answer["of"], active if 0 < active - reporting < self.k else reporting, self.k)
        for row in answer["rows"]:
            same = pairs[tuple(row["features"])]
            assert row["installs"] == same["installs"]
            assert abs(row["expected"] - same["expected"]) <= 0.05 * same["expected"]

    def _check_drop(self, args: Mapping[str, str], answer: Mapping[str, Any]) -> None:
        found = counted.drop(self._history(args), _span(answer), _conditions(args))
        whole = counted.part(found.hit, found.answered)
        counted.compare({name: answer[name] for name in whole}, whole, self.k)
        counted.check_bounds(answer, found, self.k)
        counted.compare(answer["still_upgrading"], counted.part(found.hit, found.upgrading), self.k)
        if answer["rows"]:
            assert sum(row["of"] for row in answer["rows"]) == len(found.answered)
        for row in answer["rows"]:
            if row["version"] == reference.OTHER:
                continue
            expected = counted.part(found.hit, found.versions[row["version"]])
            counted.compare({name: row[name] for name in expected}, expected, self.k)


def _conditions(args: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in args.items() if name not in OWN}


def _span(answer: Mapping[str, Any]) -> tuple[date, date]:
    return date.fromisoformat(answer["from"]), date.fromisoformat(answer["to"])
