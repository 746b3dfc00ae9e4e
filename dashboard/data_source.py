"""The query layer of the pages. It runs each query once, however many charts of a page need it."""

import math
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import replace
from datetime import date, datetime
from typing import Any
from urllib.parse import urlencode

from flask import g, has_request_context
from flask_login import current_user

from core.access_log import AccessLog
from core.catalog import Catalog
from core.credentials import Credentials, Role
from core.home import Home
from core.kept_results import KeptResults
from core.license_keys import LicenseKeys
from core.releases import Release
from core.settings import Settings
from core.visits import Visits
from dashboard.audited_licensing import AuditedLicensing
from dashboard.casework import Casework, Person
from dashboard.charts.release_marks import released
from dashboard.filters import Filters, read, today
from dashboard.gaps import Received
from dashboard.largest import MOST_ROWS, largest
from dashboard.narrow_questions import NarrowQuestions
from dashboard.question_terms import question_terms
from dashboard.webhook import Webhook
from warehouse import install_data
from warehouse.engine import Engine
from warehouse.queries import development, dimensions, disclosure, health, metrics, module_names, side_by_side
from warehouse.queries.dimensions import dimension_of
from warehouse.queries.questions import Terms, adoption_of_each_version, ask, drop_of_each_module
from warehouse.queries.rejections import Rejections, rejections
from warehouse.shared_statements import SharedStatements

# The cards of a page ask at the same moment, and most of them need statements of the others. Who comes to an address
# gets a moment that others have had for at most `SHARED_SECONDS`, and keeps it for `KEPT_SECONDS`: all cards are
# answered of one moment. Together they are below the ten seconds within which a beacon must be counted.
SHARED_SECONDS = 2.0
KEPT_SECONDS = 4.0
# Counting the beacons of three days reads a whole month of a column, and the page refreshes every few seconds.
HOURS_KEPT_SECONDS = 30.0
# For the cards of a page that shows most of them.
EVERY_DIMENSION = side_by_side.DIMENSIONS

Answer = dict[str, Any]
# A metric or a question with its arguments, and who asks.
Key = tuple[str, frozenset[tuple[str, str]], Role]


class Moment:
    """The answers and the rows of all that is asked at a moment, so that the figures of a page agree."""

    def __init__(self, engine: Engine) -> None:
        """Raises `EngineError`."""
        self.engine = SharedStatements(engine)
        self.answers: KeptResults[Key, Answer] = KeptResults(math.inf)
        metrics.fresh_to(self.engine)  # first: no figure is older than the time that it states


# Set while a report is made for a role in place of a user.
_as_role: ContextVar[Role | None] = ContextVar("as_role", default=None)


@contextmanager
def asking_as(role: Role) -> Iterator[None]:
    """Answer this thread's questions as for a user with this role."""
    token = _as_role.set(role)
    try:
        yield
    finally:
        _as_role.reset(token)


def _role() -> Role:
    role: Role = _as_role.get() or current_user.role
    return role


def asker() -> Person:
    """Who asks: the user of the request, or a report for a role."""
    return Person(current_user.name if _as_role.get() is None else "report", _role())


def api_call(name: str, args: Mapping[str, str]) -> str:
    """The path of the read API that answers a metric or a question."""
    return f"/api/v1/metrics/{name}?{urlencode(counted(name, args), safe=',')}"


def counted(name: str, args: Mapping[str, str]) -> Mapping[str, str]:
    """The arguments with `count=latest` where filters would otherwise hold for whatever an install ever reported.

    Without it, the installs with PHP below 8.0 would include those that have upgraded within the range.
    """
    names = {dimension_of(each) for each in args}
    filtered = names & set(dimensions.ALL) - {"module"}
    of_features = "feature" in names or "feature" in args.get("by", "")
    if name not in ("installs", "lifecycle") or not filtered or of_features or "count" in args:
        return args
    return {**args, "count": "latest"}


class DataSource:
    """Runs the queries of the read API, and asks nothing twice for the figures of an address.

    Threads that need the same answer wait for one of them. `catalog` returns the catalog, for display names.
    """

    def __init__(
        self,
        engine: Engine,
        settings: Settings,
        home: Home,
        credentials: Credentials,
        catalog: Callable[[], Catalog],
        access_log: AccessLog,
        narrow_questions: NarrowQuestions,
        casework: Casework,
        webhook: Webhook | None = None,
    ) -> None:
        self._engine = engine
        self.k, self.rounded = settings.k, settings.rounded
        self.mails = bool(settings.smtp_url)
        self.administers = not settings.clickhouse_readers  # whether ClickHouse's own tables can be asked
        self.catalog = catalog
        self.access_log = access_log
        self.narrow_questions = narrow_questions
        self.casework, self.visits = casework, Visits(home.dashboard)
        self.webhook = webhook
        self.audited_licensing = AuditedLicensing(
            engine, access_log, settings.k, LicenseKeys(home.root_secret(settings))
        )
        self._home, self._credentials = home, credentials
        self._hours: tuple[float, tuple[datetime | None, dict[datetime, int]]] | None = None
        self._settings = settings
        self._first: date | None = None
        self._now: KeptResults[str, Moment] = KeptResults(SHARED_SECONDS)
        # By who looks, and at which address.
        self._looked_at: KeptResults[tuple[str, str], Moment] = KeptResults(KEPT_SECONDS)

    def chosen(self, search: str | None) -> Filters:
        """The filters of an address, to which the current request belongs. Raises `QueryError` and `EngineError`."""
        if has_request_context():
            g.address = search or ""
        return read(search, today(), self.first_day())

    def first_day(self) -> date | None:
        """The day of the first beacon ever. Raises `EngineError`."""
        if self._first is None or self._first >= today():
            self._first, _ = metrics.days_with_beacons(self._engine, today(), today())
        return self._first

    def releases(self, chosen: Filters) -> list[Release]:
        """The releases to mark on the time axis of a period."""
        return released(self.catalog(), chosen.module, chosen.start, chosen.end)

    def ask(self, metric: str, args: Mapping[str, str], *, side_by_side: Sequence[str] = ()) -> Answer:
        """The answer of a metric to the current user. Raises `QueryError` and `EngineError`.

        `side_by_side`: the page asks the same of these dimensions, and one statement counts them all.
        """
        args = counted(metric, args)
        query = replace(metrics.parse(metric, args, today()), side_by_side=tuple(side_by_side))
        return self._shared(
            metric,
            args,
            lambda engine: metrics.answer(
                engine,
                query,
                self.k,
                rounded=self.rounded,
                open_from=disclosure.open_from(_role(), self.k, today()),
                hide_open=disclosure.hides_open_days(_role()),
            ),
        )

    def question(self, name: str, args: Mapping[str, str]) -> Answer:
        """The answer of `lifecycle`, `retention`, … to the current user. Raises `QueryError` and `EngineError`."""
        args = counted(name, args)
        terms, last_day = self._terms()
        return self._shared(name, args, lambda engine: ask(engine, name, args, terms, today(), last_day))

    def drop_of_each_module(self, args: Mapping[str, str], modules: Sequence[str]) -> dict[str, Answer]:
        """The totals of the answers to `drop` for each module. Raises `QueryError` and `EngineError`."""
        return self._of_each("drop", drop_of_each_module, args, modules)

    def adoption_of_each_version(self, args: Mapping[str, str], versions: Sequence[str]) -> dict[str, Answer]:
        """The releases and rows of the answers to `adoption`. Raises `QueryError` and `EngineError`."""
        return self._of_each("adoption", adoption_of_each_version, args, versions)

    def _of_each(
        self, name: str, of_each: Callable[..., Answer], args: Mapping[str, str], names: Sequence[str]
    ) -> dict[str, Answer]:
        terms, last_day = self._terms()
        asked = {**args, "of each": ",".join(names)}
        return self._shared(name, asked, lambda engine: of_each(engine, args, names, terms, today(), last_day))

    def _terms(self) -> tuple[Terms, date]:
        """The terms of the current user's questions, and the last day that counts."""
        return question_terms(_role(), self._settings, self.catalog(), today())

    def _shared(self, name: str, args: Mapping[str, str], answer: Callable[[Engine], Answer]) -> Answer:
        """Ask once for all who have the same role and need the same answer."""
        moment = self._moment()
        return moment.answers.get((name, frozenset(args.items()), _role()), lambda: answer(moment.engine))

    def _moment(self) -> Moment:
        if not has_request_context() or "address" not in g:
            return self._begun()
        return self._looked_at.get((asker().name, g.address), self._begun)

    def _begun(self) -> Moment:
        return self._now.get("", lambda: Moment(self._engine))

    def largest(self, metric: str, args: Mapping[str, str]) -> Answer:
        """The answer with the largest `MOST_ROWS` rows of each bucket; `more` counts the others."""
        return largest(self.ask(metric, args), MOST_ROWS)

    def total(self, args: Mapping[str, str]) -> int | None:
        """The active installs of the whole period. None: fewer than k, or none; the two must not be told apart."""
        rows = self.ask("installs", {**args, "grain": "period"})["rows"]
        return int(rows[0]["value"]) if rows and rows[0]["value"] is not None else None

    def compared(self, chosen: Filters) -> tuple[Filters, Filters] | None:
        """The complete days of a period, and those to compare them with if their first week has figures.

        Installs that reported for the first time during the period of comparison would show as growth.
        """
        periods = chosen.compared(today())
        return periods if periods and self.total(periods[1].beginning.args()) else None

    def divisor(self, args: Mapping[str, str]) -> int | None:
        """n if one in n installs is counted because the period has so many install-days, None if all are."""
        sampled = self.ask("installs", {**args, "grain": "period"}).get("sampled")
        return round(1 / sampled) if sampled else None

    def estimates(self, args: Mapping[str, str]) -> bool:
        """Whether figures of the period are rounded or estimated, so that they do not add up."""
        return self.rounded or self.divisor(args) is not None

    @property
    def rounding(self) -> int:
        """By how much a count of installs may be rounded down."""
        return self.k - 1 if self.rounded else 0

    @property
    def question_rounding(self) -> int:
        """The same of the answers to questions, which mode strict rounds, too."""
        terms, _ = self._terms()
        return self.k - 1 if terms.rounded else 0

    @property
    def established(self) -> bool:
        """Whether questions of the current user count established installs alone, and are rounded: mode strict."""
        terms, _ = self._terms()
        return terms.established

    def received(self, chosen: Filters) -> Received:
        """The days with beacons of any module. Raises `EngineError`."""
        return Received(*metrics.days_with_beacons(self._moment().engine, chosen.start, chosen.end))

    def rejections(self, start: date, end: date) -> list[Rejections]:
        """What the collectors rejected, of all modules. Raises `EngineError`."""
        return rejections(self._engine, start, end)

    def tried(self, most: int) -> list[development.Tried]:
        """The latest beacons of development keys, newest first. Raises `EngineError`."""
        return development.latest(self._engine, most)

    def has_development_key(self) -> bool:
        """Whether the credentials of this home have a development key. A collector elsewhere may have another."""
        return any(key.development for key in self._credentials.keys())

    def fresh_to(self) -> str | None:
        """The time up to which all beacons are counted. Raises `EngineError`."""
        return metrics.fresh_to(self._engine)

    def loaders(self) -> list[health.Loader]:
        """The loaders, as they last reported. Raises `EngineError`."""
        return health.loaders(self._engine)

    def engine(self) -> str:
        """Kind and version of ClickHouse. Raises `EngineError`."""
        return f"{'embedded' if self._engine.embedded else 'server'}, version {self._engine.version()}"

    def beacons_per_hour(self, now: datetime) -> tuple[datetime | None, dict[datetime, int]]:
        """The time of the first beacon ever, and the beacons of each of the last hours. Raises `EngineError`."""
        kept = self._hours
        if kept is None or kept[0] < time.monotonic():
            found = health.beacons_per_hour(self._engine, now)
            kept = self._hours = time.monotonic() + HOURS_KEPT_SECONDS, found
        return kept[1]

    def tables(self) -> list[health.Table]:
        """The tables and their sizes. Raises `EngineError`."""
        return health.tables(self._engine)

    def rights_requests(self) -> list[install_data.Requested]:
        """Owners' requests, newest first. Raises `EngineError`."""
        return install_data.requests(self._engine)

    @property
    def synthetic(self) -> bool:
        """Whether all data is synthetic."""
        return self._home.synthetic.exists()

    def disk(self) -> tuple[int, int]:
        """Free bytes and size of the disk that the home is on."""
        usage = shutil.disk_usage(self._home.path)
        return usage.free, usage.total

    def modules(self) -> list[str]:
        """The names of the modules that are not a small group. Raises `EngineError`."""
        open_from = disclosure.open_from(_role(), self.k, today())
        hidden = disclosure.hides_open_days(_role())
        last_day = disclosure.last_day(today(), open_from, hidden=hidden)
        return module_names.names(self._moment().engine, self.k, last_day, open_from)
