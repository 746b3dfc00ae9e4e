"""A fleet of labelled installs: what each of them does, and whether its owner has a license. It knows no rule.

Every kind is a function that plays installs of that kind, day by day, as beacons with the address of their connection.
Whoever measures compares the flags with the labels.
"""

import hashlib
import random
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

DAYS = 60
MODULES = ("invoice_pro", "ticket_ai", "domain_tools", "site_builder")
OUTAGE_MODULE, LONG_OUTAGE_MODULE, NO_REGISTRY = "backup_suite", "chat_desk", "free_theme"
# All of it loses its license, as local keys run out.
LOCAL_KEYS_MODULE = "tax_rates"
SOURCE = "whmcs-addon-modules"
VERSION = "3.2.1"
SAMPLE_KEY = hashlib.sha256(b"0000-0000").hexdigest()
# A version that does not send its key.
KEYLESS_VERSION = "1.0.4"

Beacon = dict[str, Any]


@dataclass
class Install:
    """An install: its kind, whether its owner is guilty, and the beacons with the address of each connection."""

    id: str
    kind: str
    guilty: bool
    module: str
    beacons: list[tuple[str, Beacon]] = field(default_factory=list)


@dataclass
class Fleet:
    """The installs, and the registry as the vendor keeps it: (time of the import, rows)."""

    installs: list[Install]
    registry: list[tuple[datetime, list[dict[str, Any]]]]
    sources: list[str]
    now: datetime


class World:
    """Makes installs, keys and addresses. `day(n)` is n days before now."""

    def __init__(self, seed: int, now: datetime) -> None:
        self.random = random.Random(seed)
        self.now = now
        self.rows: list[tuple[datetime, dict[str, Any]]] = []
        self.installs: list[Install] = []
        self._kind, self._guilty = "", False

    def play(self, kind: str, guilty: bool, function: "Kind", number: int) -> None:
        """Play installs of a kind until there are `number` of them."""
        before = len(self.installs)
        self._kind, self._guilty = kind, guilty
        while len(self.installs) < before + number:
            function(self)

    def install(self, module: str, *, guilty: bool | None = None) -> Install:
        """Return a new install of the present kind."""
        made = Install(
            str(uuid.UUID(int=self.random.getrandbits(128), version=4)),
            self._kind,
            self._guilty if guilty is None else guilty,
            module,
        )
        self.installs.append(made)
        return made

    def module(self) -> str:
        return self.random.choice(MODULES)

    def day(self, ago: float) -> datetime:
        return self.now - timedelta(days=ago)

    def key(self, module: str | None = None, **row: Any) -> str:
        """Return the hash of a new key, sold for a module (None: made up)."""
        hashed = hashlib.sha256(self.random.randbytes(16)).hexdigest()
        if module is not None:
            self.register(hashed, module, **row)
        return hashed

    def register(self, hashed: str, module: str, ago: float = 90, **row: Any) -> None:
        """Note a row of the registry, imported some days ago."""
        self.rows.append(
            (self.day(ago), {"key_hash": hashed, "module": module, "state": "active", "max_installs": 1, **row})
        )

    def address(self) -> str:
        """Return an address in a network of its own."""
        return ".".join(str(self.random.randrange(first, 224)) for first in (11, 0, 0, 1))

    def address6(self) -> str:
        return f"2a01:{self.random.randrange(1 << 16):x}::{self.random.randrange(1, 1 << 16):x}"

    def report(self, install: Install, ago: float, status: str, key: str | None, address: str, **more: Any) -> None:
        """Send a beacon some days ago. `more`: version, source, claim."""
        moment = self.day(ago) - timedelta(seconds=self.random.randrange(7200))
        license: dict[str, Any] = {"status": status, "source": more.get("source", SOURCE)}
        if key:
            license["key_hash"] = key
        beacon = {
            "schema": 1,
            "beacon_id": str(uuid.UUID(int=self.random.getrandbits(128), version=4)),
            "install_id": install.id,
            "sent_at": moment.isoformat(),
            "module": {"name": install.module, "version": more.get("version", VERSION)},
            "license": license,
            "server": {"public_ip": more["claim"]} if "claim" in more else {},
        }
        install.beacons.append((address, beacon))

    def daily(self, begin: float, end: float = 0, miss: float = 0.08) -> Iterator[float]:
        """Yield the days, as days ago, from `begin` to `end`, with some missing: not the first and the last."""
        ago = begin
        while ago >= end:
            if ago in (begin, end) or self.random.random() >= miss:
                yield ago
            ago -= 1

    def licensed(self, install: Install, key: str | None, begin: float = DAYS, end: float = 0, **more: Any) -> None:
        """Report `licensed` daily, from one address."""
        address = more.pop("address", None) or self.address()
        for ago in self.daily(begin, end):
            self.report(install, ago, "licensed", key, address, **more)


Kind = Callable[[World], None]


def _runs(*spans: tuple[float, float, str]) -> Callable[[World, Install, str | None], None]:
    """Return a function that reports each status from one day to another, as days ago."""

    def play(world: World, install: Install, key: str | None) -> None:
        address = world.address()
        for begin, end, status in spans:
            for ago in world.daily(begin, end):
                world.report(install, ago, status, key, address)

    return play


# The guilty.


def unlicensed(world: World) -> None:
    install = world.install(world.module())
    begin = world.random.randrange(5, DAYS)
    _runs((begin, 0, world.random.choice(("unlicensed", "invalid"))))(world, install, None)


def turned_unlicensed(world: World) -> None:
    module = world.module()
    install = world.install(module)
    at = world.random.randrange(6, 50)
    _runs((DAYS, at + 1, "licensed"), (at, 0, "unlicensed"))(world, install, world.key(module))


def unlicensed_with_unknown(world: World) -> None:
    install, address = world.install(world.module()), world.address()
    for ago in world.daily(world.random.randrange(12, 40)):
        status = "unknown" if world.random.random() < 0.3 else "unlicensed"
        world.report(install, ago, status, None, address)


def lapsed(world: World) -> None:
    module = world.module()
    at = world.random.randrange(18, 50)
    _runs((DAYS, at + 1, "licensed"), (at, 0, world.random.choice(("expired", "suspended"))))(
        world, world.install(module), world.key(module)
    )


def made_up_key(world: World) -> None:
    world.licensed(world.install(world.module()), world.key(), world.random.randrange(4, DAYS))


def no_key(world: World) -> None:
    world.licensed(world.install(world.module()), None, world.random.randrange(4, DAYS))


def new_key_each_time(world: World) -> None:
    install, address = world.install(world.module()), world.address()
    for ago in world.daily(world.random.randrange(5, DAYS)):
        world.report(install, ago, "licensed", world.key(), address)


def key_of_another_module(world: World) -> None:
    module = world.module()
    other = world.random.choice([one for one in MODULES if one != module])
    world.licensed(world.install(module), world.key(other), world.random.randrange(4, DAYS))


def _dead(state: str, ago: int, begin: int) -> Kind:
    def play(world: World) -> None:
        module = world.module()
        key = world.key(module)
        world.register(key, module, world.random.randrange(ago, ago + 10), state=state)
        world.licensed(world.install(module), key, begin)

    return play


def expired_key(world: World) -> None:
    module = world.module()
    until = world.day(world.random.randrange(24, 50)).date().isoformat()
    world.licensed(world.install(module), world.key(module, valid_until=until), DAYS)


def long_revoked_key(world: World) -> None:
    """A key that is dead since before the registry knew it."""
    module = world.module()
    world.licensed(world.install(module), world.key(module, state="revoked"), world.random.randrange(4, 30))


def cloned_install(world: World) -> None:
    module = world.module()
    install, key = world.install(module), world.key(module)
    servers = [world.address() for _ in range(world.random.randrange(3, 7))]
    for ago in world.daily(world.random.randrange(8, 40)):
        for server in servers:
            if world.random.random() < 0.93:
                world.report(install, ago, "licensed", key, server)


def foreign_source(world: World) -> None:
    module = world.module()
    key = world.key(module)
    world.licensed(world.install(module), key, world.random.randrange(3, DAYS), source="nulled-modules-club")


def endless_trial(world: World) -> None:
    _runs((world.random.randrange(50, DAYS), 0, "trial"))(world, world.install(world.module()), None)


def flapping(world: World) -> None:
    module = world.module()
    install, key, address = world.install(module), world.key(module), world.address()
    for ago in world.daily(30, miss=0):
        world.report(install, ago, "licensed" if int(ago) // 2 % 2 else "unlicensed", key, address)


def shared_key(world: World) -> None:
    """One owner, and a few others who use the key at the same time on servers of their own."""
    module = world.module()
    key = world.key(module)
    world.licensed(world.install(module, guilty=False), key, DAYS)
    for _ in range(world.random.randrange(4, 9)):
        world.licensed(world.install(module), key, world.random.randrange(8, 40))


# The honest.


def plain(world: World) -> None:
    module = world.module()
    world.licensed(world.install(module), world.key(module), world.random.randrange(3, DAYS))


def no_registry(world: World) -> None:
    world.licensed(world.install(NO_REGISTRY), world.key(), world.random.randrange(3, DAYS))


def keyless_version(world: World) -> None:
    world.licensed(world.install(world.module()), None, version=KEYLESS_VERSION)


def reinstalled(world: World) -> None:
    module = world.module()
    key, address, at = world.key(module), world.address(), world.random.randrange(10, 50)
    moves = [DAYS, at, at // 2, 0]
    for begin, end in pairwise(moves):
        world.licensed(world.install(module), key, begin, end + (1 if end else 0), address=address)


def moved(world: World) -> None:
    """The old server runs for two more days."""
    module = world.module()
    key, at = world.key(module), world.random.randrange(10, 40)
    world.licensed(world.install(module), key, DAYS, at - 2)
    world.licensed(world.install(module), key, at)


def staging_copy(world: World) -> None:
    module = world.module()
    key = world.key(module)
    world.licensed(world.install(module), key)
    world.licensed(world.install(module), key, world.random.randrange(10, DAYS))


def many_installs(world: World) -> None:
    module = world.module()
    key = world.key(module, max_installs=10)
    for _ in range(world.random.randrange(5, 11)):
        world.licensed(world.install(module), key, world.random.randrange(20, DAYS))


def unlimited(world: World) -> None:
    module = world.module()
    key = world.key(module, max_installs=None)
    for _ in range(12):
        world.licensed(world.install(module), key, world.random.randrange(20, DAYS))


def container(world: World) -> None:
    """A new id at each start; a new version starts before the old one ends."""
    module = world.module()
    key = world.key(module)
    ago = 40.0
    while ago > 0:
        length = world.random.choice((1, 2, 3, 5))
        world.licensed(world.install(module), key, ago, max(ago - length, 0))
        ago -= length


def scaled_behind_nat(world: World) -> None:
    """Replicas of one customer, each with an id, behind one address."""
    module = world.module()
    key, address = world.key(module), world.address()
    for _ in range(5):
        world.licensed(world.install(module), key, 30, address=address)


def vendor_outage(world: World) -> None:
    """The license server is down for a day; half of the installs report it."""
    install, key, address = world.install(OUTAGE_MODULE), world.key(OUTAGE_MODULE), world.address()
    hit = world.random.random() < 0.5
    for ago in world.daily(DAYS):
        world.report(install, ago, "unlicensed" if hit and 19 < ago <= 20 else "licensed", key, address)


def long_outage(world: World) -> None:
    """It is down for six days, until yesterday."""
    module = LONG_OUTAGE_MODULE
    install, key, address = world.install(module), world.key(module), world.address()
    hit = world.random.random() < 0.5
    for ago in world.daily(DAYS, miss=0.02):
        world.report(install, ago, "unlicensed" if hit and 1 < ago <= 7 else "licensed", key, address)


def local_keys_run_out(world: World) -> None:
    """The license server is down for two weeks, and each module notices when its local key runs out."""
    module = LOCAL_KEYS_MODULE
    install, key, address = world.install(module), world.key(module), world.address()
    at = world.random.randrange(15)
    for ago in world.daily(DAYS):
        world.report(install, ago, "licensed" if ago > at else "invalid", key, address)


def dual_stack(world: World) -> None:
    module = world.module()
    install, key, addresses = world.install(module), world.key(module), (world.address(), world.address6())
    for ago in world.daily(40):
        for address in addresses:
            world.report(install, ago, "licensed", key, address)


def failover(world: World) -> None:
    """Two uplinks; on some days both are used, and once the provider changes."""
    module = world.module()
    install, key = world.install(module), world.key(module)
    links = [world.address(), world.address()]
    for ago in world.daily(40):
        if ago == 15:
            links[0] = world.address()
        for address in links if world.random.random() < 0.3 else links[:1]:
            world.report(install, ago, "licensed", key, address)


def dynamic_address(world: World) -> None:
    """A new address each day, on some days two."""
    module = world.module()
    install, key = world.install(module), world.key(module)
    for ago in world.daily(50):
        for _ in range(world.random.choice((1, 1, 1, 2, 3))):
            world.report(install, ago, "licensed", key, world.address())


def shared_hosting(world: World) -> None:
    """Many customers and trials behind one address."""
    address = world.address()
    for _ in range(6):
        module = world.module()
        world.licensed(world.install(module), world.key(module), address=address)
        install = world.install(module)
        for ago in world.daily(world.random.randrange(5, 28)):
            world.report(install, ago, "trial", None, address)


def claims_another_address(world: World) -> None:
    module = world.module()
    world.licensed(world.install(module), world.key(module), claim="8.8.4.4")


def new_customer(world: World) -> None:
    """Two days until the key is entered."""
    module = world.module()
    at = world.random.randrange(1, 40)
    key = world.key(module)
    install, address = world.install(module), world.address()
    for ago in world.daily(at + 2, miss=0):
        world.report(install, ago, "unlicensed" if ago > at else "licensed", None if ago > at else key, address)


def trial(world: World) -> None:
    _runs((world.random.randrange(1, 30), 0, "trial"))(world, world.install(world.module()), None)


def sample_key(world: World) -> None:
    """All trials of a module send the key that its manual has."""
    install, address = world.install(NO_REGISTRY), world.address()
    for ago in world.daily(world.random.randrange(5, 30)):
        world.report(install, ago, "trial", SAMPLE_KEY, address)


def trial_then_bought(world: World) -> None:
    module = world.module()
    install, key, address, at = world.install(module), world.key(module), world.address(), world.random.randrange(5, 30)
    for ago in world.daily(at + 28):
        world.report(install, ago, "trial" if ago > at else "licensed", None if ago > at else key, address)


def late_renewal(world: World) -> None:
    """The license is expired for some days, then renewed."""
    module = world.module()
    at = world.random.randrange(3, 20)
    _runs((DAYS, at + 9, "licensed"), (at + 8, at + 1, "expired"), (at, 0, "licensed"))(
        world, world.install(module), world.key(module)
    )


def renewal_in_registry_late(world: World) -> None:
    """The registry learns of the renewal ten days late."""
    module = world.module()
    ended = world.day(world.random.randrange(12, 40))
    key = world.key(module, valid_until=ended.date().isoformat())
    renewed = (ended + timedelta(days=365)).date().isoformat()
    world.register(key, module, (world.now - ended).days - 10, valid_until=renewed)
    world.licensed(world.install(module), key)


def just_expired_in_registry(world: World) -> None:
    """The renewal is not in the registry yet."""
    module = world.module()
    until = world.day(world.random.randrange(2, 15)).date().isoformat()
    world.licensed(world.install(module), world.key(module, valid_until=until))


def suspended_for_a_day(world: World) -> None:
    module = world.module()
    key = world.key(module)
    world.register(key, module, 20, state="suspended")
    world.register(key, module, 18, state="active")
    world.licensed(world.install(module), key)


def silent(world: World) -> None:
    """A customer who left."""
    module = world.module()
    world.licensed(world.install(module), world.key(module), DAYS, world.random.randrange(10, 50))


def unknown_now_and_then(world: World) -> None:
    module = world.module()
    install, key, address = world.install(module), world.key(module), world.address()
    for ago in world.daily(50):
        world.report(install, ago, "unknown" if world.random.random() < 0.3 else "licensed", key, address)


def one_bad_check(world: World) -> None:
    """A timeout now and then, never for long."""
    module = world.module()
    install, key, address = world.install(module), world.key(module), world.address()
    for ago in world.daily(50):
        world.report(install, ago, "invalid" if int(ago) in (12, 33) else "licensed", key, address)


def late_beacons(world: World) -> None:
    """Beacons arrive in a heap, days later and in any order."""
    module = world.module()
    install = world.install(module)
    world.licensed(install, world.key(module), 50)
    for first in range(0, len(install.beacons), 5):
        heap = install.beacons[first : first + 5]
        world.random.shuffle(heap)
        install.beacons[first : first + 5] = heap


def clock_skew(world: World) -> None:
    """The clock is wrong by hours, and once by days."""
    module = world.module()
    install = world.install(module)
    world.licensed(install, world.key(module), 40, 3)
    for _, beacon in install.beacons:
        off = timedelta(hours=world.random.uniform(-20, 20), days=-6 * (world.random.random() < 0.05))
        beacon["sent_at"] = (datetime.fromisoformat(beacon["sent_at"]) + off).isoformat()


def new_key_after_renewal(world: World) -> None:
    """The vendor issues a new key; the old one is revoked, and the module still sends it for a day."""
    module = world.module()
    old, new, at = world.key(module), world.key(module), world.random.randrange(5, 40)
    world.register(old, module, at, state="revoked")
    install, address = world.install(module), world.address()
    for ago in world.daily(DAYS):
        world.report(install, ago, "licensed", old if ago > at - 2 else new, address)


def key_registered_late(world: World) -> None:
    """A key in use one day before the registry knows it."""
    module = world.module()
    key = world.key()
    world.register(key, module, 19)
    world.licensed(world.install(module), key, 20)


GUILTY: dict[str, Kind] = {
    "unlicensed": unlicensed,
    "turned unlicensed": turned_unlicensed,
    "unlicensed, unknown in between": unlicensed_with_unknown,
    "lapsed": lapsed,
    "made-up key": made_up_key,
    "no key": no_key,
    "a new key each time": new_key_each_time,
    "key of another module": key_of_another_module,
    "revoked key": _dead("revoked", 6, DAYS),
    "suspended key": _dead("suspended", 6, DAYS),
    "expired key": expired_key,
    "key that was always revoked": long_revoked_key,
    "cloned install": cloned_install,
    "foreign source": foreign_source,
    "endless trial": endless_trial,
    "flapping": flapping,
    "shared key": shared_key,
}
HONEST: dict[str, Kind] = {
    "plain": plain,
    "module without a registry": no_registry,
    "version that sends no key": keyless_version,
    "re-installed server": reinstalled,
    "moved to a new server": moved,
    "staging copy with its own id": staging_copy,
    "license for ten installs": many_installs,
    "license without limit": unlimited,
    "container with a new id at each start": container,
    "replicas behind one address": scaled_behind_nat,
    "vendor's outage of a day": vendor_outage,
    "vendor's outage of six days": long_outage,
    "dual stack": dual_stack,
    "failover": failover,
    "dynamic address": dynamic_address,
    "shared hosting": shared_hosting,
    "claims another address": claims_another_address,
    "new customer": new_customer,
    "trial": trial,
    "trial, then bought": trial_then_bought,
    "late renewal": late_renewal,
    "renewal late in the registry": renewal_in_registry_late,
    "renewal not in the registry yet": just_expired_in_registry,
    "suspended for two days": suspended_for_a_day,
    "customer who left": silent,
    "unknown now and then": unknown_now_and_then,
    "a failed check now and then": one_bad_check,
    "late beacons": late_beacons,
    "wrong clock": clock_skew,
    "new key after a renewal": new_key_after_renewal,
    "key late in the registry": key_registered_late,
    "trial with a sample key": sample_key,
    "vendor's outage as local keys run out": local_keys_run_out,
}


def fleet(seed: int, now: datetime, each: int = 20) -> Fleet:
    """Return a fleet with at least `each` installs of each kind, and three honest ones for a guilty one."""
    world = World(seed, now)
    for kind, function in GUILTY.items():
        world.play(kind, True, function, each)
    guilty = sum(install.guilty for install in world.installs)
    for kind, function in HONEST.items():
        world.play(kind, False, function, each if kind != "vendor's outage of six days" else 2 * each)
    while sum(not install.guilty for install in world.installs) < 3 * guilty:
        world.play("plain", False, plain, each)
    imports: dict[datetime, list[dict[str, Any]]] = {}
    for moment, row in sorted(world.rows, key=lambda one: one[0]):
        imports.setdefault(moment, []).append(row)
    return Fleet(world.installs, list(imports.items()), [SOURCE], now)


def by_kind(installs: Sequence[Install]) -> dict[tuple[str, bool], list[Install]]:
    """Return the installs of each kind and label."""
    found: dict[tuple[str, bool], list[Install]] = {}
    for install in installs:
        found.setdefault((install.kind, install.guilty), []).append(install)
    return found


def today() -> datetime:
    """Return a time of today at which the fleet is judged."""
    return datetime.now(UTC)
