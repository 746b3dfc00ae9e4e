"""Versions as installs report them: how they compare, and the series that they belong to. Pure.

A reported version is a vendor's text with whatever its distribution adds: `8.2.12-1ubuntu4.3`, `8.10.1-release.1`,
`5.5.5-10.6.12-MariaDB-log`. Only its numbers and its stage (alpha, beta, rc, release) count. Everything else is a
build, which never makes two releases of one.
"""

import re
from dataclasses import dataclass

# Stages before the release, in their order.
_STAGES = {
    "dev": 0, "snapshot": 0, "nightly": 0,
    "alpha": 1, "a": 1,
    "beta": 2, "b": 2, "pre": 2, "preview": 2,
    "rc": 3, "cr": 3,
}  # fmt: skip
_RELEASE = 4
_NUMBERS = re.compile(r"(?<![a-z0-9])v?(\d+(?:\.\d+)*)", re.ASCII)
# `a` and `b` are stages only with a number: `1.0.2b` is a patch level.
_STAGE = re.compile(
    r"[.~_-]?(?:(dev|snapshot|nightly|alpha|beta|preview|pre|rc|cr)(?![a-z])|([ab])(?=\d))[._-]?(\d*)", re.ASCII
)
# A MariaDB server puts this in front, so that old replicas of MySQL accept it.
_REPLICATION_PREFIX = re.compile(r"^5\.5\.5-(?=\d)")
_PRODUCT = re.compile(r"([a-z][a-z0-9_+.-]*?)(?:[/ _-]v?(\d.*))?", re.ASCII | re.DOTALL)
_WEB_SERVERS = {"httpd": "apache", "apache2": "apache", "lsws": "litespeed", "microsoft-iis": "iis"}
# Systems whose releases have one number; those of the others have two (ubuntu 24.04, alpine 3.20).
_ONE_NUMBER = frozenset({
    "almalinux", "amzn", "centos", "cloudlinux", "debian", "eurolinux", "fedora", "ol", "oracle", "raspbian", "rhel",
    "rocky", "scientific", "virtuozzo",
})  # fmt: skip


@dataclass(frozen=True)
class Version:
    """A version. `product` is empty where only a version is reported; no version is above that of another product.

    `stage` and `step` mark a prerelease (`rc.2`: stage 3, step 2). `build` is what else is there, and does not count.
    """

    product: str
    numbers: tuple[str, ...]  # as written: ubuntu is 24.04
    stage: int = _RELEASE
    step: int = 0
    build: str = ""

    @property
    def prerelease(self) -> bool:
        """Whether the release is still to come."""
        return self.stage < _RELEASE

    @property
    def order(self) -> tuple[str, tuple[int, ...], int, int]:
        """What versions sort by: 8.9 before 8.10, 8.2rc1 before 8.2, and 8.2 is 8.2.0."""
        numbers = tuple(map(int, self.numbers))
        while numbers and numbers[-1] == 0:
            numbers = numbers[:-1]
        return self.product, numbers, self.stage, self.step

    def series(self, numbers: int = 2) -> str:
        """The first numbers: 8.2 of 8.2.12."""
        return ".".join(self.numbers[:numbers])


def read(text: str) -> Version | None:
    """The version of a module, WHMCS or PHP; None for a text without one."""
    return _read("", text.lower())


def read_database(text: str) -> Version | None:
    """The version of a database server. A bare version is MySQL's up to 9, and MariaDB's from 10 on."""
    text = _REPLICATION_PREFIX.sub("", text.lower())
    named = _PRODUCT.fullmatch(text)
    if named:
        return _of_product(named[1], _REPLICATION_PREFIX.sub("", named[2] or ""))
    version = _read("", text)
    if version is None:
        return None
    known = (name for name in ("mariadb", "percona", "aurora", "tidb") if name in text)
    product = next(known, "mysql" if int(version.numbers[0]) < 10 else "mariadb")
    return Version(product, version.numbers, version.stage, version.step, version.build)


def read_web_server(text: str) -> Version | None:
    """The version of a web server, such as `LiteSpeed/6.1` or `apache-2.4`."""
    named = _PRODUCT.fullmatch(text.lower())
    return _of_product(_WEB_SERVERS.get(named[1], named[1]), named[2] or "") if named else None


def read_os(text: str) -> Version | None:
    """The release of an operating system: its name, a space, its version."""
    name, _, version = text.lower().partition(" ")
    return _of_product(name, version) if name else None


def series(text: str) -> str:
    """8.2 of `8.2.12-1ubuntu4.3`; a text without a version is its own series."""
    version = read(text)
    return version.series() if version else text


def database_series(text: str) -> str:
    """mariadb-10.6 of `5.5.5-10.6.12-MariaDB-log`."""
    return _with_product(read_database(text), "-", text)


def web_server_series(text: str) -> str:
    """litespeed-6.1 of `LiteSpeed/6.1`."""
    return _with_product(read_web_server(text), "-", text)


def os_release(text: str) -> str:
    """`debian 12` of `debian 12.5`; empty without a name."""
    version = read_os(text)
    if version is None:
        return ""
    return _with_product(version, " ", text, 1 if version.product in _ONE_NUMBER else 2)


def _with_product(version: Version | None, between: str, text: str, numbers: int = 2) -> str:
    if version is None:
        return text
    return between.join(filter(None, (version.product, version.series(numbers))))


def _of_product(product: str, text: str) -> Version:
    """A product with the version in `text`, or with none."""
    return _read(product, text) or Version(product, ())


def _read(product: str, text: str) -> Version | None:
    found = _NUMBERS.search(text)
    if not found:
        return None
    numbers = tuple(found[1].split("."))
    rest = text[found.end() :]
    stage = _STAGE.match(rest)
    if not stage:
        return Version(product, numbers, build=rest)
    return Version(product, numbers, _STAGES[stage[1] or stage[2]], int(stage[3] or 0), rest[stage.end() :])
