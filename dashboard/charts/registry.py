"""The registry of charts: the title of each, the metric it queries, and the function that draws it."""

from collections.abc import Callable
from dataclasses import dataclass

from dashboard.charts.over_time import adoption_per_bucket, beacons_per_hour, installs_per_bucket
from dashboard.charts.releases import adoption_since_release, release_watch
from dashboard.charts.shares import share_by_version, share_to_drop
from dashboard.charts.stacked import counts_by_week
from dashboard.charts.style import Figure


@dataclass(frozen=True)
class Chart:
    """A chart. `args` are the parameters of its metric query, `term` is its entry in the glossary."""

    title: str
    metric: str
    args: dict[str, str]
    figure: Callable[..., Figure]
    term: str = ""


CHARTS: dict[str, Chart] = {
    "installs_per_bucket": Chart("Active installs", "installs", {}, installs_per_bucket, "active_installs"),
    "beacons_per_hour": Chart("Beacons per hour (sent time, UTC)", "beacons", {}, beacons_per_hour, "beacons_per_hour"),
    "adoption_per_bucket": Chart(
        "Adoption over time", "feature_installs", {"by": "none"}, adoption_per_bucket, "adoption"
    ),
    "share_to_drop": Chart("Share by week", "installs", {}, share_to_drop, "share"),
    "share_by_version": Chart("Versions by week", "installs", {}, share_by_version, "latest_value"),
    "adoption_since_release": Chart(
        "Adoption since the release", "adoption", {}, adoption_since_release, "adoption_since_release"
    ),
    "counts_by_week_of_status": Chart("Installs by license status", "installs", {}, counts_by_week, "license_status"),
    "counts_by_week_of_source": Chart("Installs by license source", "installs", {}, counts_by_week, "license_source"),
    "counts_by_week_of_rule": Chart("Flags raised, by rule", "trends", {}, counts_by_week, "flags_raised"),
    "release_watch": Chart("Release watch", "adoption", {}, release_watch, "release_watch"),
}
