"""The messages that a page shows in place of figures, and what a reader can do about each."""

from datetime import UTC, datetime
from typing import Any

from dash import dcc, html

from core.access_log import AccessLogError
from dashboard import mantine as dmc
from dashboard.data_source import DataSource
from dashboard.display_names import DIMENSIONS
from dashboard.filters import Filters
from dashboard.formatting import count, duration, fewer, moment
from warehouse.engine import EngineError, Trouble
from warehouse.licensing.state_codec import Unreadable
from warehouse.limited_engine import LimitExceeded
from warehouse.queries.metrics import QueryError

PARAMETERS = {
    "from": "The first day",
    "to": "The last day",
    "range": "The range",
    "today": "The choice of today",
    "grain": "The grain",
    "compare": "The comparison",
    "module": "The module",
    "status": "The status",
    "cursor": "The place in the list",
}


# For a card whose only value is `(other)`.
ALL_FOLDED = "All are in (other): what a small group reports must not be told apart."


def failure(error: QueryError | EngineError | AccessLogError) -> html.Div:
    """The message for an error that a query may raise."""
    if isinstance(error, AccessLogError):
        return _not_audited()
    if isinstance(error, LimitExceeded):
        return _too_expensive(error)
    if isinstance(error, Unreadable):
        return sealed(str(error))
    return _bad_address(error) if isinstance(error, QueryError) else _clickhouse_away(error.trouble)


def unreadable() -> html.Div:
    """The message for an error that nobody expects; the log has its traceback."""
    return warning("This could not be read", [html.P("An unexpected error occurred. The dashboard's log has details.")])


def sealed(why: str) -> html.Div:
    """The message in place of license reports that cannot be unsealed."""
    return warning(
        "The license reports cannot be read",
        [html.P(f"They are sealed, and {why}."), html.P("Flags, cases and metrics do not depend on it.")],
    )


def _start_again() -> dmc.Anchor:
    return dmc.Anchor("Show the last 28 days without filters", href="?", refresh=True)


def _try_again() -> html.Button:
    """Loads the page anew (`assets/links.js`). As a link to the same page, Mantine and Dash would open about:blank."""
    return html.Button("Try again", type="button", className="again", **{"data-again": "yes"})


def _bad_address(error: QueryError) -> html.Div:
    if error.param in DIMENSIONS and error.reason == "out_of_range":
        return warning(
            f"These figures cannot be filtered by {DIMENSIONS[error.param].lower()}",
            [html.P(f"{error.detail[:1].upper()}{error.detail[1:]}."), html.P("Remove the filter to see them.")],
        )
    return warning(
        "The address contains an invalid value",
        [
            html.P(f"{PARAMETERS.get(error.param, 'The parameter')} ({error.param}) {error.detail}."),
            _start_again(),
        ],
    )


def _too_expensive(error: LimitExceeded) -> html.Div:
    return warning(
        "This is too much to ask at once",
        [
            html.P(f"The question was ended: {error}. Choose fewer days or one module."),
            _start_again(),
        ],
    )


def _clickhouse_away(trouble: Trouble | None) -> html.Div:
    return warning(
        f"The figures cannot be read right now: ClickHouse {away(trouble, datetime.now(UTC))}",
        [
            html.P("Beacons are still accepted and stored. They are counted once ClickHouse is back."),
            _try_again(),
        ],
    )


def _not_audited() -> html.Div:
    return warning(
        "License data is not shown because the access log cannot be used",
        [
            html.P("Each access to the license plane must be logged first. The dashboard's log has details."),
            _try_again(),
        ],
    )


def away(trouble: Trouble | None, now: datetime) -> str:
    """How ClickHouse fails, and since when: a predicate for the subject "ClickHouse"."""
    if trouble is None:
        return "does not answer"
    since = "since" if trouble.exact else "at least since"
    return f"{trouble.message}, {since} {moment(trouble.since)} ({duration(now - trouble.since)})"


def warning(title: str, text: list[Any]) -> html.Div:
    """A notice above the figures, or in place of them."""
    return html.Div([html.Strong(title), *text], className="notice")


def no_beacons_yet() -> html.Div:
    """For a system that never received a beacon."""
    return _empty(
        "No beacons yet",
        "Post a first beacon: the README has the curl line. It counts within ten seconds. Beacons of a development key "
        "count in no figure: the page Data lists them under Latest beacons.",
    )


def none_in_range() -> html.Div:
    """For a range in which no module sent a beacon."""
    return _empty("No beacons in this range", "Choose other days or another module, or remove a filter.")


def unknown_module(module: str, k: int) -> html.Div:
    """For a module without figures. Whether it is small or does not exist must not be told apart."""
    few = f", or {fewer(k)} installs report it" if k > 1 else ""
    return _empty(f'No figures for the module "{module}"', f"The module is unknown{few}. Choose another module.")


def too_few(k: int) -> html.Div:
    """For figures of fewer than k installs; also for none, which must not be told apart. With k = 1 there are none."""
    if k == 1:
        return _empty(
            "Nothing to show", "No install reported it. Choose other days or another module, or remove a filter."
        )
    return _empty(
        "Too few installs to show",
        f"Groups of {fewer(k)} installs are hidden, and so is the smallest group next to one. Choose other days "
        "or another module, or remove a filter.",
    )


def not_told(k: int, *, condition: bool) -> html.Div:
    """For what is about installs of which it is not told how many they are. A `condition` may cover several values."""
    if k == 1:
        return too_few(k)
    narrower = " A narrower question, such as PHP 7.4 in place of PHP up to 7.4, may be answered." if condition else ""
    return _empty(
        "Not told",
        f"How many installs meet the filters is not told: none, or it would tell a group of {fewer(k)} installs."
        f"{narrower}",
    )


def nothing_dropped() -> html.Div:
    """For the page of what would be dropped, without a filter."""
    return _empty("Nothing chosen yet", "Choose a suggestion, or add a filter such as PHP below 8.0.")


def nothing_to_suggest() -> html.Div:
    """For a range in which no platform is reported, or none that can be shown."""
    return _empty("Nothing to suggest", "No install of this range reports a platform that can be shown.")


def no_filter_by_feature() -> html.Div:
    """For the page of what would be dropped, with a filter that it cannot apply."""
    return _empty(
        "What if we drop… takes no filter by feature",
        "Remove it. The page Feature says who uses a feature, by version and platform.",
    )


def choose_module() -> html.Div:
    """For a question about one module."""
    return _empty("Choose a module", "Versions and features are those of one module.")


def no_upgrades(k: int) -> html.Div:
    """For a module without upgrades in the range."""
    few = f", or {fewer(k)} took each path" if k > 1 else ""
    return _empty("No upgrades to show", f"No install changed its version in the range{few}.")


def nothing_to_compare() -> html.Div:
    """For changes without a period of comparison."""
    return _empty("Nothing to compare with", "Choose a comparison, or a range whose days before have beacons.")


def nothing_changed(data: DataSource) -> html.Div:
    """For changes that are no more than chance."""
    return _empty("Nothing changed clearly", f"No share changed by more than {explained(data)}.")


def explained(data: DataSource) -> str:
    """What is no clear change: the end of "more than …"."""
    return "chance or rounding explains" if data.rounded else "chance explains"


def no_countries(k: int) -> html.Div:
    """For a range in which no install has a country, or too few have one."""
    few = f", or {fewer(k)} do" if k > 1 else ""
    return _empty(
        "No countries to show",
        f"No install of the range has a country{few}. Give Pharos a country database: set PHAROS_COUNTRY_DATABASE to "
        "an MMDB file, or with Debian's package tor-geoipdb to /usr/share/tor, and restart the collector. It stores "
        "the country, not the address.",
    )


def too_young(days: int, k: int) -> html.Div:
    """For a module of which no installs, or too few, are old enough."""
    few = f" Fewer than {k} are not shown." if k > 1 else ""
    return _empty(
        "Too early to show",
        f"It counts installs that were first seen at least {days} days ago, after the first week of the data.{few}",
    )


def no_first_users(weeks: int, least: int) -> html.Div:
    """For a feature without a week that tells whether it keeps its users."""
    some = f"at least {least} installs" if least > 1 else "an install"
    return _empty(
        "No week to show",
        f"A week is shown if {some} first used the feature in it. The first {weeks} weeks of the data are left out: "
        "most of their installs had used it before.",
    )


def no_difference(k: int) -> html.Div:
    """For features that the installs hurt do not use more than the others."""
    few = f" Features that {fewer(k)} of them use are hidden." if k > 1 else ""
    return _empty("No such feature to show", f"These installs use no feature more than the others do.{few}")


def no_features() -> html.Div:
    """For active installs that used no feature."""
    return _empty("No feature use to show", "The installs of this range reported no feature use that can be shown.")


def no_use(feature: str, k: int) -> html.Div:
    """For a feature without figures. Whether few use it or it does not exist must not be told apart."""
    few = f", or {fewer(k)} installs," if k > 1 else ""
    return _empty(
        f'No figures for the feature "{feature}"',
        f"No install{few} reported it in this range. Choose other days, or another feature on the page Features.",
    )


def no_feature_selected() -> html.Div:
    """For the page of a feature without a name in its address."""
    return _empty("No feature chosen", "Choose a feature on the page Features.")


def none_to_review(module: str, key: str = "") -> html.Div:
    """For a license query without rows. `key` is the pseudonym of the key that it asked for."""
    where = (f' of the module "{module}"' if module else "") + (f" that has reported the key {key}" if key else "")
    text = f"No install{where} reports the selected license status. Flags are of installs with any status."
    return _empty("No install with this status", text)


def none_so_far(read: int, onward: str) -> html.Div:
    """For a part of the installs without rows, when there are others. `onward` is the address of the next part."""
    return _empty(
        "No install with this status so far",
        f"None of the {count(read)} installs that were read reports the selected license status. A page reads no more.",
        html.P(dcc.Link("Read the next", href=onward)),
    )


def no_cases() -> html.Div:
    """For a list without cases."""
    return _empty("No cases", "No case matches these filters. Cases come from flags; nobody has to open them.")


def page_after_the_last(first: str) -> html.Div:
    """For the address of a page of a list that has fewer. `first` is the address of its first page."""
    onward = html.P(dcc.Link("Go to the first", href=first))
    return _empty("No such page", "The list of these filters has fewer pages.", onward)


def no_such_case() -> html.Div:
    """For the address of a case that there is not."""
    text = "It never had a flag, it was erased with its install, or it was forgotten."
    back = html.P(dcc.Link("Back to the cases", href="/licensing"))
    return html.Div([html.H1("Case", className="visually-hidden"), _empty("There is no such case", text, back)])


def nothing_rejected() -> html.Div:
    """For days on which no collector rejected anything."""
    return _empty("Nothing was rejected", "The collectors rejected no beacon and no request on these days.")


def none_tried(*, has_key: bool) -> html.Div:
    """For a day without a beacon of a development key."""
    if has_key:
        return _empty("No beacons of a development key", "None was posted in the last 24 hours. New ones appear here.")
    return _empty(
        "No beacons of a development key",
        "While you try a module, give it a key of its own: pharos keys new --development. Its beacons appear here "
        "within seconds, each for itself, and count in no figure.",
    )


def no_requests() -> html.Div:
    """For a system without owners' requests."""
    return _empty("No requests yet", "Owners send requests to POST /v1/rights; operators use pharos rights request.")


def no_accesses() -> html.Div:
    """For an empty access log."""
    return _empty("No entries yet", "Each access to the license plane is logged here.")


def no_such_page() -> html.Div:
    """For an address without a page."""
    return _empty("Page not found", "The address may be mistyped.")


def no_access() -> html.Div:
    """For a page that the role may not open."""
    return html.Div(
        [
            dmc.Title("Access denied", order=1, size="h2"),
            dmc.Text("Your role cannot open this page. An administrator can change your role.", c="dimmed"),
            dmc.Anchor("Go to the overview", href="/"),
        ],
        className="empty",
    )


def _empty(title: str, text: str, *more: Any) -> html.Div:
    return html.Div(
        [html.P(title, className="empty-title"), html.P(text, className="empty-text"), *more], className="empty"
    )


def precision(data: DataSource, chosen: Filters) -> str:
    """The sentences that a page adds if its figures are rounded or estimated. Raises `EngineError`."""
    rounded = f"Installs are rounded down to multiples of {data.k}, uses to two digits. " if data.rounded else ""
    if divisor := data.divisor(chosen.args()):
        return f"{rounded}Figures are estimates: the range is long, so one in {divisor} installs is counted. "
    return rounded
