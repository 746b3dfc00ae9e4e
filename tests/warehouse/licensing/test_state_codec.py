"""Sealing: who lacks the key, or has another install's state, reads nothing; small states have all the same size."""

import re
from datetime import UTC, datetime

import msgspec
import pytest

from warehouse.licensing.state_codec import (
    FORMAT,
    LEAST,
    LEAST_OF_BATCH,
    LENGTH,
    Seal,
    Unreadable,
    decode,
    encode,
    padded,
)
from warehouse.licensing.states import DAY, NOWHERE, SOME_TIME, Place, Report, State, both, merged, of_report, trimmed

START = int(datetime(2025, 11, 1, 20, tzinfo=UTC).timestamp())
END = datetime(2026, 11, 26, tzinfo=UTC)
REPORT = Report("licensed", 2**64 - 1, "whmcs-addon-modules", "3.2.1", True, "DE")
SEAL = Seal.of_root(b"root secret")


def state(days: int) -> State:
    return merged(of_report(START + day * DAY, REPORT, Place("203.0.113.9", "")) for day in range(days))


def test_a_sealed_state_is_read_with_its_key_alone() -> None:
    """Another root secret, another install, another module and a changed byte are refused."""
    sealed = SEAL.seal("invoice_pro", 5, state(3))
    assert SEAL.unseal("invoice_pro", 5, sealed) == state(3)
    changed = sealed[:-1] + bytes([sealed[-1] ^ 1])
    for seal, module, install, bytes_ in (
        (Seal.of_root(b"another"), "invoice_pro", 5, sealed),
        (SEAL, "invoice_pro", 6, sealed),
        (SEAL, "ticket_ai", 5, sealed),
        (SEAL, "invoice_pro", 5, changed),
        (SEAL, "invoice_pro", 5, b""),
    ):
        with pytest.raises(Unreadable, match="sealed under another key, or is damaged"):
            seal.unseal(module, install, bytes_)


def test_a_sealed_state_shows_nothing_of_its_report() -> None:
    """No status, version, address or key is in it, and sealing twice shows no equal bytes."""
    sealed = [SEAL.seal("invoice_pro", 5, state(3)) for _ in range(5)]
    for text in (b"3.2.1", bytes([203, 0, 113, 9]), b"whmcs", b"DE", b"\xff" * 8):
        assert text in encode(state(3))
        assert not all(text in one for one in sealed)  # in one of 130 there are two bytes like these by chance
    assert len(set(sealed)) == len(sealed)


def test_one_day_and_thirteen_months_have_the_same_size() -> None:
    """The size of a state does not show on how many days an install has reported; a larger one doubles."""
    sizes = {days: len(SEAL.seal("invoice_pro", 5, trimmed(state(days), END))) for days in (1, 60, 390)}
    assert sizes == dict.fromkeys((1, 60, 390), 12 + LEAST + 16)
    assert all(len(padded(bytes(number))) == LEAST for number in (0, LEAST - LENGTH))
    assert len(padded(bytes(LEAST - LENGTH + 1))) == 2 * LEAST


def test_a_report_takes_little_room_and_shows_no_size() -> None:
    """Each report alone has the same size, also with the longest values that a beacon may have."""
    longest = Report("unlicensed", 2**64 - 1, "s" * 64, "v" * 32, True, "DE")
    sizes = [
        len(SEAL.seal("invoice_pro", 5, of_report(START, report, Place(ip, ip)), LEAST_OF_BATCH))
        for report, ip in ((REPORT, ""), (REPORT, "203.0.113.9"), (longest, "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff"))
    ]
    assert sizes == [12 + 256 + 16] * 3


def test_a_state_of_the_first_format_is_read() -> None:
    """A pass of the version before has sealed it."""
    written = state(3)
    ((report, place),) = written.seen
    said = [[report, [[*place, written.seen[report, place]]]], [REPORT._replace(key=0), [["", "", {7: 5}]]]]
    first = msgspec.msgpack.encode([1, said, written.since])
    sealed = SEAL._cipher("invoice_pro", 5).encrypt(bytes(12), padded(first), None)
    assert SEAL.unseal("invoice_pro", 5, bytes(12) + sealed) == State(
        {**written.seen, (REPORT._replace(key=0), NOWHERE): {7: 5}}, written.since
    )


def test_a_state_of_the_second_format_is_read() -> None:
    """A pass of the version before has sealed it: two times of a day, one day at some time, no address, no key."""
    second = bytes.fromhex(
        "029398a86c6963656e73656400b377686d63732d6164646f6e2d6d6f64756c6573a5332e322e31a24445a0cfffffffffffffffff"
        "ab3230332e302e3131332e39929c00010203c304050507c40405000000c400909c00060203c3040705cd4fa9c4080500000007000"
        "200c404e94f030092040181a86c6963656e73656403"
    )
    day = START // DAY
    times = {day: both(5, 5), day + 1: both(7, 86_000), day + 4: SOME_TIME}
    assert decode(second) == State(
        {(REPORT, Place("203.0.113.9", "")): times, (REPORT._replace(key=0), NOWHERE): {7: 5}}, {"licensed": 3}
    )


@pytest.mark.parametrize(
    "address", ["203.0.113.9", "2001:db8::1", "2001:0db8::0001", "::ffff:203.0.113.9", "203.0.113", "x:y", ""]
)
def test_an_address_is_read_as_it_was_written(address: str) -> None:
    """Also one that has a shorter form, and one that is none."""
    written = State({(REPORT, Place(address, "198.51.100.7")): {20_000: 5}}, {"licensed": 20_000 * DAY + 5})
    assert decode(encode(written)) == written


def test_days_far_apart_take_no_room_between_them() -> None:
    """An import may bring a report of decades ago."""
    far = merged(of_report(time, REPORT, NOWHERE) for time in (5, START, START + 3 * DAY))
    assert decode(encode(far)) == far
    assert len(encode(far)) < len(encode(of_report(START, REPORT, NOWHERE))) + 20


def test_an_install_with_many_changes_has_the_size_of_one_without() -> None:
    """A year of gaps with a new version each month, two changes of the status, and another address each week."""
    many = trimmed(
        merged(
            of_report(
                START + day * DAY + day * 7919 % 3000,
                REPORT._replace(version=f"3.{day // 30}.0", status="licensed" if day % 390 < 300 else "expired"),
                Place(f"203.0.{day // 7}.9", ""),
            )
            for day in range(390)
            if day * 7919 % 10 < 6
        ),
        END,
    )
    assert len({report for report, _ in many.seen}) > 12
    assert decode(encode(many)) == many
    assert len(SEAL.seal("invoice_pro", 5, many)) == 12 + LEAST + 16


def test_a_state_of_a_newer_version_is_not_taken_for_a_damaged_one() -> None:
    """Its format says so, and the message too."""
    newer = bytes([FORMAT + 1]) + msgspec.msgpack.encode([[], [], {}])
    sealed = SEAL._cipher("invoice_pro", 5).encrypt(bytes(12), padded(newer), None)
    with pytest.raises(Unreadable, match=re.escape("the state was written by a newer version")):
        SEAL.unseal("invoice_pro", 5, bytes(12) + sealed)
    whole = encode(state(3))
    bits = b"\xc4\x08"  # and their length
    assert bits in whole
    for bytes_ in (b"", b"\x00", whole[:-1], b"\x93" + whole, whole + b"\x00", whole.replace(bits, b"\xc4\x07")):
        damaged = SEAL._cipher("invoice_pro", 5).encrypt(bytes(12), padded(bytes_), None)
        with pytest.raises(Unreadable, match="the state is damaged"):
            SEAL.unseal("invoice_pro", 5, bytes(12) + damaged)
