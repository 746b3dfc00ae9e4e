"""Counts how often features are used and sends a beacon about once a day, if the owner agrees.

One file for Python 3.9 and newer, standard library only. It behaves as the PHP client does: counting touches memory
only, the end of the process appends one line, and `tick()`, called by a cron, makes and sends the beacons. Nothing here
raises, prints or takes longer than three seconds.

    pharos = Client("report_tool", version="1.4.0", collector="https://...", key="pik_...", state="/var/lib/pharos")
    pharos.choose("full")           # the owner's choice: off, license or full
    pharos.count("report.export")   # where the feature is used
    pharos.tick()                   # in the cron
"""

from __future__ import annotations

import atexit
import calendar
import contextlib
import fcntl
import hashlib
import http.client
import json
import os
import platform
import random
import re
import socket
import ssl
import threading
import time
import uuid
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

VERSION = "1.0.0"
DAY = 86400
_LEVELS = ("off", "license", "full")
_LICENSES = ("licensed", "unlicensed", "trial", "expired", "suspended", "invalid", "unknown")
_FEATURE = re.compile(r"[a-z][a-z0-9_.]{0,63}")
_ADDRESS = re.compile(r"(https://[^/\s?#@]+|http://(localhost|127\.[\d.]+|\[::1\])(:\d+)?)(/[^\s?#]*)?", re.IGNORECASE)
_FEATURES_MOST, _COUNT_MOST, _FILE_MOST, _ANSWER_MOST = 200, 4_294_967_295, 4 << 20, 65536
_PER_MODULE, _BATCH, _KEPT, _AHEAD = 8, 500, 29 * DAY, 2 * DAY
_BREAKER_FIRST, _BREAKER_LONGEST = 300, 14400
_BUDGET, _CONNECT = 2.7, 1.0


@dataclass(frozen=True)
class Result:
    """What became of a run: `status` as in the PHP client, `reason` of a failure, seconds to the `next_in`."""

    status: str
    reason: str | None = None
    accepted: int = 0
    duplicates: int = 0
    next_in: int = 0


class Client:
    """One module on one server. Every method returns, in time, whatever happens."""

    def __init__(
        self,
        module: str,
        *,
        version: str,
        collector: str,
        key: str,
        state: str | os.PathLike[str],
        consent: str = "off",
        policy: str = "",
        license_status: str = "unknown",
        license_source: str = "unknown",
        license_key: str = "",
    ) -> None:
        """`state` is a folder for this client alone; `consent` the level while nobody has chosen one."""
        self._module, self._version = module, _fit(version) or "unknown"
        self._collector, self._key = collector.rstrip("/"), key
        self._state, self._default, self._policy = Path(state), consent, _fit(policy)
        self._license: dict[str, str] = {
            "status": license_status if license_status in _LICENSES else "unknown",
            "source": _fit(license_source.lower(), "a-z0-9._-", 64) or "unknown",
        }
        if license_key:
            self._license["key_hash"] = hashlib.sha256(license_key.encode()).hexdigest()
        self._counts: dict[str, int] = {}
        self._process, self._lock = os.getpid(), threading.Lock()
        self.now = time.time
        atexit.register(self.flush)

    def __repr__(self) -> str:
        """Hide the keys."""
        return f"Client({self._module!r})"

    def count(self, feature: str, uses: int = 1) -> bool:
        """Count uses of a feature, in memory. Returns whether they are counted."""
        if not isinstance(feature, str) or not _FEATURE.fullmatch(feature) or type(uses) is not int or uses < 1:
            return False
        if _forbidden():
            return False
        with self._lock:
            if self._process != os.getpid():  # a fork's counts up to the fork are its parent's
                self._counts, self._process = {}, os.getpid()
            if feature not in self._counts and len(self._counts) >= _FEATURES_MOST:
                return False
            self._counts[feature] = min(_COUNT_MOST, self._counts.get(feature, 0) + uses)
        return True

    def flush(self) -> bool:
        """Append what is counted as one line. Returns whether it is stored. The end of the process does this too."""
        with self._lock:
            counts, self._counts = self._counts, {}
        if not counts or self._process != os.getpid():
            return True
        try:
            if not (self._state / "counts").is_dir() and not self._begun():
                return False
            line = json.dumps({"m": self._module, "d": self._day(self.now()), "c": counts}, separators=(",", ":"))
            return self._append(line)
        except (OSError, ValueError):
            return False

    def choose(self, level: str) -> bool:
        """Set the owner's choice: `off`, `license` or `full`."""
        if level not in _LEVELS:
            return False
        try:
            self._put("choice", {"level": level, "policy": self._policy, "at": int(self.now())})
            self._counting(level == "full")
        except OSError:
            return False
        return True

    @property
    def level(self) -> str:
        """The level in force."""
        level = self._get("choice").get("level", self._default)
        return level if level in _LEVELS and not _forbidden() else "off"

    @property
    def install_id(self) -> str | None:
        """The secret that proves this install to `/v1/rights`; None before the first beacon."""
        return self._load().get("install_id") if self._state.exists() else None

    def tick(self) -> Result:
        """Make the beacon if it is due, and send what waits. Call it in each run of the cron."""
        try:
            return self._run(time.monotonic() + _BUDGET)
        except Exception:
            return Result("failed", "internal_error")

    def _run(self, deadline: float) -> Result:
        if not _ADDRESS.fullmatch(self._collector):
            return Result("failed", "bad_collector")
        if _forbidden():
            return Result("off", "environment")
        self.flush()
        try:
            self._state.mkdir(mode=0o700, exist_ok=True)
            descriptor = os.open(self._state / "cron.lock", os.O_CREAT | os.O_RDWR, 0o600)
        except OSError:
            return Result("failed", "state_unavailable")
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return self._locked(deadline)
        except BlockingIOError:
            return Result("busy")
        finally:
            os.close(descriptor)

    def _locked(self, deadline: float) -> Result:
        now, level, choice = int(self.now()), self.level, self._get("choice")
        state = self._load()
        if state.get("unreadable"):
            return Result("failed", "state_unavailable")
        if state["objected"] and choice.get("at", 0) > state["objected"] and level != "off":
            state["objected"] = 0
        if level == "off" or state["objected"]:
            self._counting(False)
            state.update(counts={}, queue=[], flight=[], sent=False)
            if state["install_id"]:
                self._save(state)
            return Result("off" if level == "off" else "objected")
        self._counting(level == "full")
        state["install_id"] = state["install_id"] or str(uuid.uuid4())
        read = self._ingest(state)
        if level != "full":
            state["counts"] = {}
            self._drop(state, {each["beacon_id"] for each in state["queue"] if "server" in each})
        fresh = self._expire(state, now)
        self._make(state, level, now)
        self._save(state)
        self._read(read, now)
        return self._send(state, fresh, deadline)

    def _make(self, state: dict[str, Any], level: str, now: int) -> None:
        due = state["due_at"] if 0 < state["due_at"] <= now + _AHEAD else now
        newer = state["sent"] and state["version"] != self._version
        heartbeat = due <= now
        moment = now - (now - due) % DAY if heartbeat else now  # a cron that rested is as late as it is
        if heartbeat or newer or not state["sent"]:
            today = self._day(moment)
            self._past(state, level, today)
            features: dict[str, int] = {}
            for day in sorted(state["counts"]):
                if day == today or today == self._day(now):  # a beacon that is late past midnight is of the day before
                    _move(state["counts"][day], features)
            state["counts"] = {day: counts for day, counts in state["counts"].items() if counts}
            reason = "activate" if not state["sent"] else "upgrade" if newer else "heartbeat"
            self._push(state, self._beacon(state["install_id"], level, reason, moment, features))
            state["sent"] = True
        state["version"] = self._version
        if heartbeat:
            state["last_due"], state["due_at"] = moment, moment + DAY

    def _past(self, state: dict[str, Any], level: str, today: str) -> None:
        """Tell the counts of days that are over, each in a beacon of its day."""
        for day in sorted(day for day in state["counts"] if day < today):
            for each in state["queue"]:
                if each["sent_at"][:10] == day and "server" in each and each["beacon_id"] not in state["flight"]:
                    _move(state["counts"][day], each.setdefault("features", {}))
            features: dict[str, int] = {}
            _move(state["counts"][day], features)
            if features:
                end = _time({"sent_at": f"{day}T23:59:59Z"})
                beacon = self._beacon(state["install_id"], level, "heartbeat", end, features)
                beacon["module"]["version"] = state["version"] or self._version
                self._push(state, beacon)

    def _push(self, state: dict[str, Any], beacon: dict[str, Any]) -> None:
        state["queue"].append(beacon)
        self._merge(state)

    def _beacon(self, install: str, level: str, reason: str, due: int, features: dict[str, int]) -> dict[str, Any]:
        consent = {"level": level, **({"policy": self._policy} if self._policy else {})}
        beacon: dict[str, Any] = {
            "schema": 1, "beacon_id": str(uuid.uuid4()), "install_id": install,
            "sent_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(due)), "reason": reason, "consent": consent,
            "module": {"name": self._module, "version": self._version}, "license": self._license,
        }  # fmt: skip
        if level == "full":
            beacon["server"] = {"os": _system(), "virtualization": {"type": "unknown"}}
            if features:
                beacon["features"] = features
        return beacon

    def _send(self, state: dict[str, Any], fresh: bool, deadline: float) -> Result:
        now = int(self.now())
        wait = state["until"] - now
        if not state["queue"]:
            return Result("not_due", next_in=max(0, min(_AHEAD, state["due_at"] - now)))
        if 0 < wait <= DAY or not fresh:
            return Result("not_due", state["error"] if fresh else "clock", next_in=max(0, wait))
        result = Result("failed", "timeout")
        while state["queue"] and deadline - time.monotonic() > 0.3:
            flying = set(state["flight"])
            flight = [each for each in state["queue"] if not flying or each["beacon_id"] in flying][:_BATCH]
            state["flight"] = [each["beacon_id"] for each in flight]
            self._save(state)
            body = json.dumps(flight[0] if len(flight) == 1 else flight, separators=(",", ":"))
            status, answer, retry_after, reason = self._post(body, deadline)
            result = self._settle(state, flight, status, answer, retry_after, reason)
            self._save(state)
            if result.status in ("failed", "objected"):
                break
        return result

    def _settle(
        self, state: dict[str, Any], flight: list[dict[str, Any]], status: int, answer: dict[str, Any],
        retry_after: int, reason: str | None,
    ) -> Result:  # fmt: skip
        now = int(self.now())
        told = answer.get("reason")
        told = told if isinstance(told, str) and re.fullmatch("[a-z_]{1,64}", told) else None
        stored = status == 202 and type(answer.get("accepted")) is int
        if not stored and not (status in (413, 422) and told):
            reason = reason or told or ("bad_answer" if status == 202 else f"http_{status}")
            backoff = min(_BREAKER_LONGEST, _BREAKER_FIRST << min(state["failures"], 12))
            wait = max(random.randint(backoff // 2, backoff), min(DAY, retry_after))  # noqa: S311
            state.update(failures=state["failures"] + 1, until=now + wait, error=reason)
            return Result("failed", reason, next_in=wait)
        listed = answer.get("rejected")
        if not isinstance(listed, list):
            listed = [] if stored else [{"index": index, **answer} for index in range(len(flight))]
        for each in listed:
            index = each.get("index") if isinstance(each, dict) else None
            if type(index) is int and 0 <= index < len(flight) and not str(each.get("path", "")).startswith("features"):
                day = state["counts"].setdefault(flight[index]["sent_at"][:10], {})
                for feature, uses in flight[index].get("features", {}).items():
                    day[feature] = day.get(feature, 0) + uses
        self._drop(state, {each["beacon_id"] for each in flight})
        state.update(failures=0, until=0, error=told or "")
        if not stored:
            return Result("rejected", told)
        pace = answer.get("next_in")
        pace = max(60, min(_AHEAD, pace)) if type(pace) is int else DAY
        if not state["queue"]:
            state["due_at"] = (state["last_due"] or now) + pace * 9 // 10  # a daily cron may come a minute sooner
        counted = {name: answer[name] for name in ("accepted", "duplicates") if type(answer.get(name)) is int}
        if answer.get("objected"):
            state["objected"] = now
        verdict = (
            "rejected" if listed else next((name for name in ("objected", "undeclared") if answer.get(name)), "sent")
        )
        return Result(verdict, next_in=pace, **counted)

    def _post(self, body: str, deadline: float) -> tuple[int, dict[str, Any], int, str | None]:
        """Return status, JSON, Retry-After and the reason when there was no answer."""
        parts = urlsplit(self._collector)
        host, port = parts.hostname or "", parts.port
        connection: http.client.HTTPConnection = (
            http.client.HTTPSConnection(host, port, timeout=_CONNECT, context=ssl.create_default_context())
            if parts.scheme.lower() == "https"
            else http.client.HTTPConnection(host, port, timeout=_CONNECT)
        )
        timer = None
        try:
            connection.connect()
            link = connection.sock
            link.settimeout(max(0.1, deadline - time.monotonic()))
            # A time-out is for each read. What drips is cut.
            timer = threading.Timer(max(0.1, deadline - time.monotonic()), _cut, [link])
            timer.daemon = True
            timer.start()
            headers = {
                "Authorization": f"Bearer {self._key}", "Content-Type": "application/json", "Connection": "close",
                "User-Agent": f"pharos-python/{VERSION}",
            }  # fmt: skip
            connection.request("POST", f"{parts.path}/v1/beacons", body.encode(), headers)
            response = connection.getresponse()
            text = response.read(_ANSWER_MOST + 1)
            if time.monotonic() >= deadline - 0.05:
                return 0, {}, 0, "timeout"
            if len(text) > _ANSWER_MOST:
                return response.status, {}, 0, "bad_answer"
            try:
                answer = json.loads(text)
            except ValueError:
                answer = {}
            wait = _retry_after(response.headers.get("Retry-After", ""), self.now())
            return response.status, answer if isinstance(answer, dict) else {}, wait, None
        except ssl.SSLError:
            return 0, {}, 0, "tls"
        except TimeoutError:
            return 0, {}, 0, "timeout"
        except (OSError, http.client.HTTPException, ValueError):
            return 0, {}, 0, "timeout" if time.monotonic() >= deadline - 0.05 else "unreachable"
        finally:
            if timer is not None:
                timer.cancel()
            connection.close()

    def _expire(self, state: dict[str, Any], now: int) -> bool:
        """Give up what is older than the collector remembers, if two readings of the clock agree."""
        old = {each["beacon_id"] for each in state["queue"] if _time(each) < now - _KEPT}
        since = state["expiring"]
        if not old:
            state["expiring"] = 0
        elif not 0 < since <= now:
            state["expiring"] = now
        elif now - since >= 3600:
            self._drop(state, old)
            state["expiring"] = 0
            return True
        return not old

    def _merge(self, state: dict[str, Any]) -> None:
        idle = [each for each in state["queue"] if each["beacon_id"] not in state["flight"]]
        if len(idle) <= _PER_MODULE:
            return
        days = [each["sent_at"][:10] for each in idle]
        turn = next((index for index in range(len(idle) - 1) if days[index] == days[index + 1]), 0)
        older, newer = idle[turn], idle[turn + 1]
        features = newer.get("features", {})
        left = dict(older.get("features", {}))
        _move(left, features)
        if features:
            newer["features"] = features
        if left:
            state["counts"].setdefault(newer["sent_at"][:10], {}).update(left)
        state["queue"].remove(older)

    @staticmethod
    def _drop(state: dict[str, Any], ids: set[str]) -> None:
        state["queue"] = [each for each in state["queue"] if each["beacon_id"] not in ids]
        state["flight"] = [each for each in state["flight"] if each not in ids]

    def _begun(self) -> bool:
        """Whether a new install that counts without being asked could be set up."""
        if self.level != "full" or self._get("choice") or (self._state / "id.json").exists():
            return False
        self._counting(True)
        return True

    def _counting(self, on: bool) -> None:
        folder = self._state / "counts"
        if on:
            self._state.mkdir(mode=0o700, exist_ok=True)
            folder.mkdir(mode=0o700, exist_ok=True)
        elif folder.is_dir():
            for path in folder.iterdir():
                path.unlink()
            folder.rmdir()

    def _append(self, line: str) -> bool:
        path = self._state / "counts" / f"{self._day(self.now())}-{os.geteuid()}-p.log"
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            size = os.fstat(descriptor).st_size
            head = json.dumps({"log": uuid.uuid4().hex[:16]}) if size == 0 else ""
            text = f"{head}\n{line}\n".encode()
            return size < _FILE_MOST and os.write(descriptor, text) == len(text)
        finally:
            os.close(descriptor)

    def _ingest(self, state: dict[str, Any]) -> dict[Path, int]:
        """Add the new lines to the days' counts. Returns the files and how far they are read."""
        offsets: dict[str, int] = {}
        done: dict[Path, int] = {}
        for path in sorted((self._state / "counts").glob("*.log")):
            data = path.read_bytes()
            first, newline, _ = data.partition(b"\n")
            if not newline:
                continue
            name = hashlib.sha1(first, usedforsecurity=False).hexdigest()[:16]
            start = min(state["logs"].get(name, len(first) + 1), len(data))
            end = data.rfind(b"\n") + 1
            offsets[name] = max(start, end)
            for text in data[start : max(start, end)].split(b"\n"):
                with contextlib.suppress(ValueError, AttributeError, TypeError):
                    line = json.loads(text)
                    day = state["counts"].setdefault(str(line["d"]), {}) if line.get("m") == self._module else {}
                    for feature, uses in line["c"].items():
                        if type(uses) is int and uses > 0 and _FEATURE.fullmatch(feature):
                            day[feature] = day.get(feature, 0) + uses
            done[path] = offsets[name]
        state["logs"] = offsets
        return done

    def _read(self, read: dict[Path, int], now: int) -> None:
        """Delete files of counts that are read to their end and two days old."""
        for path, end in read.items():
            if path.name[:10] < self._day(now - 2 * DAY) and path.stat().st_size == end:
                path.unlink(missing_ok=True)

    def _load(self) -> dict[str, Any]:
        state: dict[str, Any] = {
            "install_id": "", "sent": False, "version": "", "due_at": 0, "last_due": 0, "counts": {}, "queue": [],
            "flight": [], "failures": 0, "until": 0, "error": "", "objected": 0, "expiring": 0, "logs": {},
        }  # fmt: skip
        for name in ("state", "state.bak", "id"):
            stored = self._get(name)
            if isinstance(stored.get("install_id"), str) and stored["install_id"]:
                state.update({part: stored[part] for part in state if type(stored.get(part)) is type(state[part])})
                return state
        if any((self._state / f"{name}.json").exists() for name in ("state", "id")):
            state["unreadable"] = True
        return state

    def _save(self, state: dict[str, Any]) -> None:
        self._put("state", state)
        self._put("state.bak", state)
        if self._get("id").get("install_id") != state["install_id"]:
            self._put("id", {"install_id": state["install_id"]})

    def _get(self, name: str) -> dict[str, Any]:
        try:
            value = json.loads((self._state / f"{name}.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return value if isinstance(value, dict) else {}

    def _put(self, name: str, value: dict[str, Any]) -> None:
        """Write a document whole: synced, then renamed."""
        self._state.mkdir(mode=0o700, exist_ok=True)
        path = self._state / f"{name}.json"
        temporary = path.with_suffix(".tmp")
        temporary.unlink(missing_ok=True)
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(value, file)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)

    @staticmethod
    def _day(moment: float) -> str:
        return time.strftime("%Y-%m-%d", time.gmtime(moment))


def _move(counts: dict[str, int], features: dict[str, int]) -> None:
    """Add counts to features as far as a beacon holds them; what is left stays."""
    for feature, uses in list(counts.items()):
        if feature not in features and len(features) >= _FEATURES_MOST:
            continue
        total = features.get(feature, 0) + uses
        features[feature] = min(_COUNT_MOST, total)
        if total > _COUNT_MOST:
            counts[feature] = total - _COUNT_MOST
        else:
            del counts[feature]


def _time(beacon: dict[str, Any]) -> int:
    return calendar.timegm(time.strptime(beacon["sent_at"], "%Y-%m-%dT%H:%M:%SZ"))


def _retry_after(value: str, now: float) -> int:
    if value.strip().isdigit():
        return int(value)
    try:
        return max(0, int(parsedate_to_datetime(value).timestamp() - now)) if value else 0
    except (TypeError, ValueError):
        return 0


def _cut(link: socket.socket) -> None:
    with contextlib.suppress(OSError):
        link.shutdown(socket.SHUT_RDWR)


def _forbidden() -> bool:
    """What the environment forbids."""
    return os.environ.get("PHAROS_TELEMETRY", "").lower() in ("off", "0", "false", "no") or os.environ.get(
        "DO_NOT_TRACK", ""
    ).lower() not in ("", "0", "false")


def _system() -> dict[str, str]:
    family = {"Linux": "linux", "Windows": "windows", "Darwin": "darwin"}.get(platform.system(), "other")
    found = {"family": family, "arch": _fit(platform.machine().lower(), "a-z0-9._-")}
    with contextlib.suppress(OSError):
        for line in Path("/etc/os-release").read_text(encoding="utf-8").splitlines():
            name, _, value = line.partition("=")
            if name in ("ID", "VERSION_ID"):
                value = value.strip("\"'")
                found["name" if name == "ID" else "version"] = _fit(value.lower() if name == "ID" else value)
    return {name: value for name, value in found.items() if value}


def _fit(value: str, allowed: str = "0-9A-Za-z.+~_-", length: int = 32) -> str:
    """Return the nearest value that the contract's pattern allows."""
    return re.sub(f"[^{allowed}]+", "-", str(value).strip()).lstrip(".+~_-")[:length].rstrip("-")
