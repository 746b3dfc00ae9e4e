"""Counts the installs of several dimensions in one statement: for the cards of a page, each of which shows one.

The latest reports of all these dimensions are found in one pass over the installs. The groups are those that
`counts_sql` gives for each dimension.
"""

from collections.abc import Iterator, Sequence
from datetime import date

from warehouse.engine import Engine
from warehouse.queries import dimensions, shard_sums
from warehouse.queries.bucket_select import table
from warehouse.queries.group_counts import MOST_TEXTS, Counted, Statement
from warehouse.queries.latest_reports import LatestReports
from warehouse.queries.metric_query import MetricQuery
from warehouse.queries.reported_values import Texts

# A dimension of each reported text.
DIMENSIONS = (
    "version", "license_status", "os", "os_release", "arch", "virtualization", "whmcs", "php", "database", "web_server",
    "country",
)  # fmt: skip


def _asked(query: MetricQuery) -> list[str]:
    """A dimension of each text that is asked for."""
    sources = {dimensions.source(name) for name in query.side_by_side}
    return [name for name in DIMENSIONS if dimensions.source(name) in sources]


def _sources(query: MetricQuery) -> list[str]:
    return [dimensions.source(name) for name in _asked(query)]


def is_one_of_several(query: MetricQuery) -> bool:
    """Whether the query may be answered together with those of other dimensions, and whoever asks wants that."""
    return (
        (query.metric, query.count, query.grain) == ("installs", "latest", "period")
        and len(query.dimensions) == 1
        and not query.of_license_plane
        and dimensions.source(query.dimensions[0]) in _sources(query)
    )


def texts(engine: Engine, query: MetricQuery) -> dict[str, Sequence[str]]:
    """Return the different texts of each source in the span; a source with more than `MOST_TEXTS` is missing."""
    statement = _SideBySide(query, lambda source: ())
    sources = sorted({*_sources(query), "version"})  # which decides between the reports of a day
    columns = ", ".join(f"groupUniqArray({MOST_TEXTS + 1})({source}::String)" for source in sources)
    sql = f"SELECT {columns} FROM {table(query)} WHERE {statement.in_span('days')}"  # noqa: S608
    found = engine.query(sql, statement.parameters)
    return {
        source: sorted(text for text in texts if text)
        for row in found
        for source, texts in zip(sources, row, strict=True)
        if len(texts) <= MOST_TEXTS
    }


def counts(engine: Engine, query: MetricQuery, texts: Texts, open_from: date | None) -> Iterator[Counted]:
    """Return the groups of the query's dimension. Raises `EngineError`."""
    (name,) = query.dimensions
    statement = _SideBySide(query, texts, open_from)
    sql, parameters = statement.counts(engine)
    keys, place = statement.keys(name), _sources(query).index(dimensions.source(name))
    for number, rank, everybody, earlier in engine.query(sql, parameters):
        if number == place:
            yield query.start.isoformat(), keys[rank], everybody, earlier, 0


class _SideBySide(LatestReports):
    """Builds the SELECT of the groups of all dimensions."""

    def counts(self, engine: Engine) -> Statement:
        """Return a SELECT of (number of the source, rank, everybody, earlier)."""
        asked = _asked(self._query)
        rows, columns = self.latest_of(asked)
        ranks = ", ".join(columns[name] for name in asked)
        sql = (
            "SELECT each.1 AS number, each.2 AS rank, count() AS everybody, countIf(early) AS earlier "  # noqa: S608
            f"FROM (SELECT early, arrayJoin(arrayZip(range({len(asked)}), [{ranks}])) AS each FROM ({rows})) "
            "WHERE rank != 0 GROUP BY number, rank"
        )
        return shard_sums.added_up(engine, sql, ("number", "rank"), ("everybody", "earlier")), self.parameters
