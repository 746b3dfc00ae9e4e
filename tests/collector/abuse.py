"""The table of bad requests, `tests/cases/requests.json`, sent to whoever listens.

A row says in `it` what is bad, and in `status`, `reason` and `at` (the path of the field) what must be answered. Where
a proxy rightly answers otherwise, `nginx` says how and `why`; its `status` 0 is a connection closed without an answer.
Versions of nginx differ there: what the collector itself would answer is right behind each of them.
What is no refusal says with `shown` what the answer holds, by dotted path; `times` sends the request more than once.

A request is `POST /v1/beacons` with our key and JSON, but for `method`, `path` and `headers` (null: left out). Its body
is one of `beacon` (a good one, with fields to `set` and to `drop`), `body`, `hex`, or `repeat` (a text, so many times).
Then, in this order, it is filled up with blanks to a `size`, packed (`gzip`: so many times), has a bit of a byte turned
(`flip`: its index), is `cut` (so many bytes at its end), goes on `behind` (hex), and is sent in pieces (`chunked`: of
so many bytes).

`raw` is a whole request in place of all that, in Latin-1; `gone`: the client goes away after it. Texts may hold
`{key}`, `{beacon}` (a good one) and its `{beacon_length}`, `{head}` and `{check}` (the first lines of a good request),
`{x*9}` (nine x), `{now-8d}` and `{now+9m}` (times).
"""

import gzip
import json
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from collector.validate import MAX_BATCH
from core.fields import FIELDS, OBJECTS
from tests import cases
from tests.collector.live import KEY, Answer, Client, checked
from tests.collector.sample import beacon

Case = dict[str, Any]
# What the generators below yield: a bad beacon, with the reason and the path of its refusal.
Bad = tuple[dict[str, Any], str, str]
Kind = Callable[[], Iterator[Bad]]
CASES: list[Case] = cases.read("requests")
NAMES = [case["it"] for case in CASES]
HEAD = (
    "POST /v1/beacons HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
    f"Authorization: Bearer {KEY}\r\nContent-Type: application/json\r\n"
)


def hold(client: Client, case: Case, behind_nginx: bool = False) -> None:
    """Send the request of a row, and check that the response is the one in the row."""
    answer = _sent(client, case)
    as_ours = answer is not None and answer.status == case["status"]
    expected = case["nginx"] if behind_nginx and "nginx" in case and not as_ours else case
    if expected["status"] == 0:
        assert answer is None
        return
    assert answer is not None
    assert answer.status == expected["status"], answer
    assert behind_nginx or len(answer.headers["x-request-id"]) == 16
    assert ("www-authenticate" in answer.headers) is (answer.status == 401)
    assert ("allow" in answer.headers) is (answer.status == 405)
    if answer.status >= 400 and answer.body:  # none for HEAD
        assert answer.why == (expected["status"], expected["reason"], expected.get("at", ""))
    for path, value in case.get("shown", {}).items():
        assert _at(answer.json, path) == value, path


def hold_each(client: Client, kind: Kind) -> None:
    """Send all bad beacons of a kind in batches, and check the result of each beacon."""
    bad = list(kind())
    for first in range(0, len(bad), MAX_BATCH):
        batch = bad[first : first + MAX_BATCH]
        answer = client.post([sent for sent, _, _ in batch])
        assert answer.status == 422
        assert [(one["reason"], one["path"]) for one in answer.json["rejected"]] == [
            (reason, path) for _, reason, path in batch
        ]


def _sent(client: Client, case: Case) -> Answer | None:
    """Return the last response to the request of a row, or None without a response."""
    if "raw" in case:
        return parsed(client.raw(_filled(case["raw"]).encode("latin-1"), ends=case.get("gone", False)))
    headers: dict[str, str | None] = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"}
    headers |= {name: text and _filled(text) for name, text in case.get("headers", {}).items()}
    body: Any = _body(case)
    for _ in range(case.get("times", 1)):
        sent = _pieces(body, case["chunked"]) if "chunked" in case else body
        answer = client.request(case.get("method", "POST"), case.get("path", "/v1/beacons"), sent, headers)
    return answer


def parsed(received: bytes) -> Answer | None:
    """Parse one complete HTTP response. Returns None for no bytes."""
    if not received:
        return None
    top, _, body = received.partition(b"\r\n\r\n")
    status, *lines = top.decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    assert int(headers["content-length"]) == len(body)
    return checked(Answer(int(status.split()[1]), headers, body))


def _body(case: Case) -> bytes | None:
    if "beacon" in case:
        changes = {path: _value(value) for path, value in case["beacon"].get("set", {}).items()}
        body = json.dumps(beacon(changes, case["beacon"].get("drop", ()))).encode()
    elif "hex" in case:
        body = bytes.fromhex(case["hex"])
    elif "repeat" in case:
        text, times = case["repeat"]
        body = text.encode() * times
    elif "body" in case:
        body = _filled(case["body"]).encode()
    else:
        return None
    body += b" " * (case.get("size", 0) - len(body))
    for _ in range(case.get("gzip", 0)):
        body = gzip.compress(body)
    if "flip" in case:
        changed = bytearray(body)
        changed[case["flip"]] ^= 1
        body = bytes(changed)
    return body[: len(body) - case.get("cut", 0)] + bytes.fromhex(case.get("behind", ""))


def _pieces(body: bytes, size: int) -> Iterator[bytes]:
    return (body[at : at + size] for at in range(0, len(body), size))


def _value(value: Any) -> Any:
    return _filled(value) if isinstance(value, str) else value


def _filled(text: str) -> str:
    """Replace the placeholders in a text."""
    one = json.dumps(beacon())
    text = (
        text.replace("{head}", HEAD)
        .replace("{check}", HEAD.replace("beacons", "beacons/check"))
        .replace("{key}", KEY)
        .replace("{beacon}", one)
    )
    text = text.replace("{beacon_length}", str(len(one)))
    text = re.sub(r"\{now([+-]\d+)([dm])\}", lambda found: _moment(int(found[1]), found[2]), text)
    return re.sub(r"\{(.)\*(\d+)\}", lambda found: found[1] * int(found[2]), text)


def _moment(number: int, unit: str) -> str:
    away = timedelta(days=number) if unit == "d" else timedelta(minutes=number)
    return (datetime.now(UTC) + away).isoformat(timespec="seconds")


def _at(value: Any, path: str) -> Any:
    for step in path.split("."):
        value = value[int(step) if isinstance(value, list) else step]
    return value


# What no field is: values by their kind in JSON, and strings that hold what no string of a beacon may.
WRONG = {
    "integer": 7,
    "number": 1.5,
    "string": "7",
    "boolean": True,
    "null": None,
    "array": ["7"],
    "object": {"x": "y"},
}
CONTROLS = ("\0", "\t", "\n", "\r", "\r\n", "\x1b", "\x7f", "\x85", "\u2028", "\u202e", "\ufeff")


def wrong_types() -> Iterator[Bad]:
    """Return a beacon for each field and each JSON type that it must not have, with reason and path of the
    rejection."""
    kinds = {field.path: field.kind for field in FIELDS} | dict.fromkeys(OBJECTS, "object")
    right = {"integer": "integer", "counts": "object", "object": "object"}
    for path, kind in kinds.items():
        for name, value in WRONG.items():
            if name != right.get(kind, "string"):
                yield beacon({path: value}), "wrong_type", path


def unknown_fields() -> Iterator[Bad]:
    """Return a beacon for each object, with an unknown field in that object."""
    for path in ("", *OBJECTS):
        name = f"{path}.hostname".lstrip(".")
        yield beacon({name: "host.example.com"}), "unknown_field", name


def controls() -> Iterator[Bad]:
    """Return a beacon for each text field and each control character, at the start, in the middle and at the end."""
    places: tuple[Callable[[str, str], str], ...] = (
        lambda text, bad: bad + text,
        lambda text, bad: text[:1] + bad + text[1:],
        lambda text, bad: text + bad,
    )
    good = beacon()
    for field in FIELDS:
        if field.kind in ("integer", "counts"):
            continue
        for bad in CONTROLS:
            for place in places:
                yield beacon({field.path: place(str(_at(good, field.path)), bad)}), "bad_format", field.path
