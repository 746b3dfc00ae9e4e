"""The glossary: the one definition of each figure, for cards, columns, the page and the read API."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Term:
    """A term as pages write it, and its definition in one or two sentences."""

    title: str
    text: str


TERMS: dict[str, Term] = {
    "install": Term(
        "Install",
        "One WHMCS system that sends beacons. The vendor's modules on one system are one install.",
    ),
    "beacon": Term(
        "Beacon",
        "A message that a module sends about once a day: its version, its platform and the uses of each feature.",
    ),
    "active_installs": Term(
        "Active installs",
        "Installs that sent at least one beacon in the days that are counted. Each counts once.",
    ),
    "change": Term(
        "Change",
        "The difference from the period of comparison, in percent. Both periods have the same number of complete days. "
        "Fewer than seven days are compared with the same days of the week before.",
    ),
    "share": Term(
        "Share", "A part of the installs that report a value. Installs that do not report it count neither way."
    ),
    "latest_value": Term(
        "Latest report",
        "An install counts once, under the value that it reported last in the range, so shares add up to 100% of the "
        "installs that report one.",
    ),
    "version": Term(
        "Module version",
        "The version of the module. With all modules, an install counts under each version of each of its modules, and "
        "shares are of all active installs.",
    ),
    "version_series": Term("Module version series", "The module version by its first two numbers."),
    "module": Term("Module", "A product of the vendor. One install may run several."),
    "feature": Term("Feature", "A function of a module whose uses it counts."),
    "license_status": Term("License status", "What the module reports about its license."),
    "flags_raised": Term(
        "Flags raised",
        "Flags that a rule raised in the week, also those that were cleared since. A flag about a key that several "
        "installs share counts once.",
    ),
    "conversion": Term(
        "Flagged, then licensed",
        "Installs by the month of their first flag, if they did not report licensed at that moment, and how many of "
        "them report licensed later. That a license was bought because of the flag is not known.",
    ),
    "unlicensed_share": Term(
        "Unlicensed share",
        "An estimate of the active installs that run without a license. An install counts whole if its flags hold and "
        "its case is resolved, and not if it is dismissed. While its case is not closed it counts as often as closed "
        "cases were resolved, not dismissed. The interval (Wilson, 95%) is that of this share.",
    ),
    "license_source": Term("License source", "Where the module looked up its license."),
    "os": Term("Operating system", "The name of the server's system, without its release."),
    "os_version": Term("System version", "The version of the operating system, with its patch level."),
    "os_release": Term("System release", "The operating system with its release, such as debian 12."),
    "arch": Term("Architecture", "The architecture of the server's processor."),
    "virtualization": Term(
        "Virtualization", "The kind of virtual machine or container that the server runs in. None is real hardware."
    ),
    "php_series": Term("PHP", "The PHP version by series: 8.2.12 counts under 8.2."),
    "whmcs_series": Term("WHMCS", "The WHMCS version by series: 8.13.1 counts under 8.13."),
    "php": Term("PHP patch version", "The PHP version with its patch level, such as 8.2.12."),
    "whmcs": Term("WHMCS patch version", "The WHMCS version with its patch level, such as 8.13.1."),
    "database": Term("Database version", "The database server and its version, as reported."),
    "database_series": Term("Database", "The database server and its series, such as mariadb-10.11."),
    "web_server": Term("Web server version", "The web server and its version, as reported."),
    "web_server_series": Term("Web server", "The web server and its series, such as apache-2.4."),
    "country": Term(
        "Country", "The country of the address that the beacon came from. It is stored in place of the address."
    ),
    "adoption_since_release": Term(
        "Adoption of a release",
        "The share of a module's active installs of a day that report the version, by days since its release. The day "
        "of the release is that of the catalog, or else the first day on which enough installs reported it. It ends on "
        "the day before a higher version came out.",
    ),
    "release_watch": Term(
        "Release watch",
        "The newest release beside earlier ones at the same age, as long as no higher version was out. It is called "
        "faster or slower only if the 95% interval of its share is beyond all of theirs.",
    ),
    "new": Term("New installs", "Installs whose first beacon ever arrived in the week."),
    "returning": Term("Active before, too", "Installs that were active in the week and in the week before."),
    "resurrected": Term("Came back", "Installs that were active in the week, not in the week before, and earlier."),
    "lost": Term("Lost installs", "Installs that were active in the week before, and not in the week."),
    "adoption": Term("Adoption", "Installs that used a feature at least once, as a share of the active installs."),
    "first_use": Term(
        "First use after install",
        "The days from an install's first beacon of the module to its first use of the feature. Installs that were "
        "there before the data begin are left out, and so are those that are too young to tell.",
    ),
    "feature_installs": Term("Installs of a feature", "Installs that used the feature at least once in the range."),
    "uses": Term("Uses", "How often a feature was used, summed over all installs."),
    "modules": Term("Modules", "Modules whose beacons arrived in the range."),
    "licensed": Term(
        "Licensed",
        "Installs whose latest report in the range says licensed, as a share of all. Of all modules, an install with "
        "several counts once, by the latest report of any of them: choose a module to see its own.",
    ),
    "beacons_per_hour": Term("Beacons per hour", "Beacons by the hour in which they were sent, in UTC."),
    "development_key": Term(
        "Development key",
        "A key for trying a module. Its beacons are shown on the page Data, each for itself, and count in no figure.",
    ),
    "coverage": Term(
        "Coverage", "How many of the active installs report a value. The others do not know it, or do not send it."
    ),
    "complete_day": Term(
        "Complete day",
        "A day that is over in UTC. Ranges end yesterday unless today is included. Only complete days are compared.",
    ),
    "other": Term(
        "(other)",
        "Groups that are too small to show, taken together. While they are still too few, the next smallest group "
        "joins them.",
    ),
    "rest": Term(
        "(rest)",
        "All values that a card does not list because they are not among the largest. It has those of (other), too.",
    ),
    "hidden": Term(
        "Not told, too few",
        "A figure of fewer installs than the smallest group is not shown, so that nobody can be recognized by it. Nor "
        "is a larger one that would tell such a group, as what is left of a total: what is not told may be large.",
    ),
    "strict": Term(
        "Mode strict",
        "With PHAROS_DISCLOSURE=strict some figures leave out installs whose beacons Pharos received on one day only, "
        "and are rounded down: new, returning and lost installs, adoption, upgrades, first use, retention, features "
        "used together, and what a drop would hurt in a module. Admins see them in full.",
    ),
}
