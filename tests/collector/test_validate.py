"""What is a beacon and what is none, and that a refusal says where and never what."""

import json
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.validate import BOM, CONSENT_FULL, Reason, Rejected, decode, validate
from core.fields import FIELDS, OBJECTS, TIME, json_schema
from tests import cases
from tests.collector.json_schema import satisfies
from tests.collector.sample import Beacon, beacon, changed, value
from tests.collector.strategies import beacons

CASES = cases.read("fields")
TABLE: dict[str, Any] = {**CASES["fields"], **CASES["objects"]}
ACCEPTED = [(path, value) for path, case in TABLE.items() for value in case["accepted"]]
REFUSED = [(path, *refused) for path, case in TABLE.items() for refused in case["refused"]]
SCHEMA = json_schema()
# What must be in no refusal, as somebody's address must not.
MARK = "jane.doe_1987"


def refusal(body: Any) -> Rejected:
    with pytest.raises(Rejected) as caught:
        validate(body)
    return caught.value


@pytest.mark.parametrize("field", FIELDS, ids=lambda field: field.path)
def test_every_field_of_the_table_has_cases(field: Any) -> None:
    """A field that is added without cases, accepted and refused ones, fails here."""
    case = CASES["fields"][field.path]
    assert case["accepted"]
    assert len(case["refused"]) >= 5


def test_no_case_is_of_a_field_that_is_gone() -> None:
    """The cases name exactly the fields and objects of the table."""
    assert set(CASES["fields"]) == {field.path for field in FIELDS}
    assert set(CASES["objects"]) == set(OBJECTS)


@pytest.mark.parametrize("field", [field for field in FIELDS if field.choices], ids=lambda field: field.path)
def test_every_choice_is_accepted(field: Any) -> None:
    """The cases list every choice of a field by name, so that none disappears unnoticed."""
    listed = {*CASES["fields"][field.path]["accepted"], *(["license"] if field.path == "consent.level" else [])}
    assert listed == set(field.choices)


@pytest.mark.parametrize(("path", "accepted"), ACCEPTED)
def test_it_accepts(path: str, accepted: Any) -> None:
    """A value that the format allows is accepted, and the beacon comes back as it was."""
    body = beacon({path: accepted})
    assert validate(body) is body
    assert value(body, path) == accepted


@pytest.mark.parametrize(("path", "accepted"), ACCEPTED)
def test_the_published_schema_accepts_it_too(path: str, accepted: Any) -> None:
    """Whoever checks a beacon against the published schema comes to the same result."""
    assert satisfies(beacon({path: accepted}), SCHEMA)


@pytest.mark.parametrize(
    ("path", "given", "stored"),
    [
        *((path, [], {}) for path in ("consent", "server", "platform", "features")),
        ("schema", 1.0, 1),
        ("features", {"bulk_email": 2.0, "a": 1, "b": -0.0}, {"bulk_email": 2, "a": 1, "b": 0}),
        ("sent_at", "2016-12-31T23:59:60Z", "2016-12-31T23:59:59Z"),
        ("sent_at", "2017-01-01T05:29:60.5+05:30", "2017-01-01T05:29:59.5+05:30"),
        ("features", {"a": 4294967295.0}, {"a": 4294967295}),
    ],
)
def test_it_accepts_the_other_spelling(path: str, given: Any, stored: Any) -> None:
    """PHP's empty array, `2.0` and a leap second are what the format has in their place: {}, 2, the second before."""
    body = beacon({path: given})
    assert repr(value(validate(body), path)) == repr(stored)
    assert repr(value(body, path)) == repr(given)
    assert satisfies(body, SCHEMA)


@pytest.mark.parametrize(("path", "refused", "reason", "at"), REFUSED)
def test_the_published_schema_refuses_it_too(path: str, refused: Any, reason: str, at: str) -> None:
    """What is refused does not satisfy the published schema either."""
    assert not satisfies(beacon({path: refused}), SCHEMA)


def test_a_byte_order_mark_is_skipped() -> None:
    """One, in front."""
    raw = json.dumps(beacon()).encode()
    assert decode(BOM + raw) == decode(raw)
    with pytest.raises(Rejected):
        decode(BOM + BOM + raw)


addresses = st.one_of(
    st.ip_addresses().map(str),
    st.ip_addresses(v=4).map(lambda address: f"::ffff:{address}"),
    st.ip_addresses(v=6).map(lambda address: address.exploded.upper()),
    st.text("0123456789abcdef:.", max_size=20),
)
times = st.from_regex(rf"\A{TIME}\Z") | st.from_regex(r"\A[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z\Z")


@given(addresses, times)
@settings(max_examples=400)
def test_schema_and_validation_agree_on_addresses_and_times(address: str, time: str) -> None:
    """The schema says all that is refused: what is no global address, and what is no time."""
    judge(beacon({"server.public_ip": address}))
    judge(beacon({"sent_at": time}))


@pytest.mark.parametrize(("path", "refused", "reason", "at"), REFUSED)
def test_it_refuses(path: str, refused: Any, reason: str, at: str) -> None:
    """A value that the format forbids is refused with its reason and the path of the field."""
    why = refusal(beacon({path: refused}))
    assert (why.reason, why.path) == (reason, at)


@pytest.mark.parametrize("path", [f.path for f in FIELDS if f.required] + ["module", "license"])
def test_it_misses_a_required_field(path: str) -> None:
    """Without a required field a beacon is refused, and the path says which."""
    why = refusal(beacon(drop=[path]))
    assert (why.reason, why.path) == (Reason.MISSING_FIELD, path)


OPTIONAL = [f.path for f in FIELDS if not f.required] + [path for path in OBJECTS if path not in ("module", "license")]


@pytest.mark.parametrize("path", OPTIONAL)
def test_it_does_not_miss_an_optional_field(path: str) -> None:
    """Without an optional field or object a beacon is accepted."""
    body = beacon(drop=[path])
    assert validate(body) is body


@pytest.mark.parametrize("path", CONSENT_FULL)
def test_consent_to_the_license_alone_allows_no_more(path: str) -> None:
    """At consent level license what describes the server must be absent, and each such field is refused by path."""
    rest = [other for other in CONSENT_FULL if other != path]
    why = refusal(beacon({"consent.level": "license"}, drop=rest))
    assert (why.reason, why.path) == (Reason.UNKNOWN_FIELD, path)
    assert not satisfies(beacon({"consent.level": "license"}, drop=rest), SCHEMA)


def test_consent_to_the_license_alone_allows_the_license() -> None:
    """At consent level license, module, license and address are accepted."""
    body = beacon({"consent.level": "license"}, drop=CONSENT_FULL)
    assert validate(body) is body
    assert satisfies(body, SCHEMA)


def test_the_fields_of_full_consent_are_those_of_the_table() -> None:
    """A field marked `full` lies below a path that consent level license forbids, and no other field does."""
    below = {f.path for f in FIELDS if f.path.startswith(tuple(CONSENT_FULL))}
    assert below == {f.path for f in FIELDS if f.full}


@pytest.mark.parametrize(
    "name", [MARK + "@example.com", f"Dr. {MARK}", f"{MARK}.x", "a" * 65, f"ä{MARK}", f"{MARK}\n", ""]
)
@pytest.mark.parametrize("parent", ["", "server", "server.os"])
def test_a_field_name_that_is_none_is_not_repeated(parent: str, name: str) -> None:
    """What stands in place of a field's name may be a value: only the object that it is in is told."""
    body = beacon()
    (value(body, parent) if parent else body)[name] = 1
    why = refusal(body)
    assert (why.reason, why.path) == (Reason.UNKNOWN_FIELD, parent)
    assert MARK not in why.detail


@pytest.mark.parametrize(
    "name", ["x - at `$.features", f"x` - at `$.{MARK}", "x - at `$.server.os.name", f"x - at `$.{MARK}"]
)
def test_a_field_name_cannot_pretend_to_be_a_path(name: str) -> None:
    """Whatever a name quotes, it is an unknown field, and nothing of it is repeated."""
    why = refusal({**beacon(), name: 1})
    assert (why.reason, why.path) == (Reason.UNKNOWN_FIELD, "")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)
paths = st.sampled_from([*(f.path for f in FIELDS), *OBJECTS])


def marked(given: Any) -> Any:
    """The same JSON with the mark in every text and number of it."""
    if isinstance(given, dict):
        return {name: marked(inner) for name, inner in given.items()}
    if isinstance(given, list):
        return [marked(inner) for inner in given]
    return f"{given}{MARK}" if isinstance(given, str) else given


def judge(body: Any) -> None:
    """Hold `validate` to its promise: the value itself, or a refusal that repeats nothing of it."""
    try:
        returned, why = validate(body), None
    except Rejected as refused:
        returned, why = None, refused
    assert satisfies(body, SCHEMA) == (why is None)
    if why is None:
        assert validate(returned) is returned
    else:
        assert isinstance(why.reason, Reason)
        assert MARK not in f"{why.reason} {why.path} {why.detail} {why}"


@given(json_values)
@settings(max_examples=300)
def test_any_json_is_a_beacon_or_refused(given: Any) -> None:
    """Whatever JSON comes, nothing but a refusal is raised, and it repeats no value."""
    judge(marked(given))


@given(st.dictionaries(paths, json_values, min_size=1, max_size=3), st.booleans())
@settings(max_examples=300)
def test_any_change_of_a_beacon_is_a_beacon_or_refused(put: dict[str, Any], mark: bool) -> None:
    """Whatever stands in a field, nothing but a refusal is raised, and it repeats no value."""
    body = beacon()
    for path, new in put.items():
        try:
            body = changed(body, {path: marked(new) if mark else new})
        except (AttributeError, TypeError):
            continue  # below something that is no object any more
    judge(body)


@given(st.dictionaries(st.text(max_size=12), json_values, min_size=1, max_size=3), st.sampled_from(["", *OBJECTS]))
@settings(max_examples=200)
def test_any_further_field_is_refused(more: dict[str, Any], parent: str) -> None:
    """What is not named in the format is never accepted, wherever it stands."""
    body = beacon()
    known = value(body, parent) if parent else body
    known |= {f"{name}?": marked(new) for name, new in more.items() if f"{name}?" not in known}
    why = refusal(body)
    assert why.reason is Reason.UNKNOWN_FIELD
    assert MARK not in f"{why.path} {why.detail}"


@given(beacons())
@settings(max_examples=80)
def test_what_the_table_allows_is_accepted_unchanged(body: Beacon) -> None:
    """Every beacon that the field table describes passes, through JSON, unchanged, and so does the schema."""
    raw = json.dumps(body).encode()
    assert validate(decode(raw)) == body
    assert satisfies(body, SCHEMA)


@given(st.binary(max_size=60))
@settings(max_examples=300)
def test_any_bytes_are_json_or_refused(raw: bytes) -> None:
    """Whatever bytes come, nothing but `malformed_json` is raised."""
    try:
        decode(raw)
    except Rejected as refused:
        why = refused
    else:
        return
    assert (why.reason, why.path) == (Reason.MALFORMED_JSON, "")


@given(beacons(), st.lists(st.tuples(st.integers(0, 2000), st.binary(max_size=3), st.integers(0, 3)), max_size=4))
@settings(max_examples=200)
def test_any_damage_to_a_beacon_is_a_beacon_or_refused(body: Beacon, damages: list[tuple[int, bytes, int]]) -> None:
    """Whatever bytes are put in, changed or lost on the way, nothing but a refusal is raised."""
    raw = json.dumps(body).encode()
    for at, put, lost in damages:
        raw = raw[: at % len(raw)] + put + raw[at % len(raw) + lost :]
    try:
        found = decode(raw)
    except Rejected:
        return
    judge(found)


@pytest.mark.parametrize("raw", [b'{"a": "%s', b'"%s" x', b"%s", b'{"%s": NaN}', b'["%s", "\\ud800"]', b'["%s\xff"]'])
def test_what_is_no_json_is_not_repeated(raw: bytes) -> None:
    """The refusal of a body that is no JSON holds nothing of it."""
    with pytest.raises(Rejected) as caught:
        decode(raw.replace(b"%s", MARK.encode()))
    assert MARK not in f"{caught.value} {caught.value.detail}"


FIRST_USE = """
import sys, threading
from collector.validate import validate
from tests.collector.sample import beacon
sys.setswitchinterval(1e-4)
together = threading.Barrier(4)
threads = [threading.Thread(target=lambda: (together.wait(), validate(beacon()))) for _ in range(4)]
for thread in threads: thread.start()
for thread in threads: thread.join()
"""


def test_the_first_requests_may_come_at_once() -> None:
    """Threads that validate the first beacons of a process at the same moment do not crash it."""
    for _ in range(6):
        assert subprocess.run([sys.executable, "-c", FIRST_USE], check=False, timeout=60).returncode == 0
