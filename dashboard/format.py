"""How figures read: thousands, shares, days, moments."""

from datetime import date, datetime

THIN = " "  # thin space: a separator that no country reads as a decimal sign


def count(number: int) -> str:
    """`12 345`."""
    return f"{number:,}".replace(",", THIN)


def share(part: float) -> str:
    """`45%`; one decimal below ten, because there it is the difference that counts."""
    if 0 < part < 0.001:
        return "<0.1%"
    return f"{part:.1%}" if part < 0.1 and part else f"{part:.0%}"


def fewer(k: int) -> str:
    """What stands where a group is too small to be shown."""
    return f"fewer than {k}"


def day(moment: date) -> str:
    """`23 Nov 2026`."""
    return f"{moment.day} {moment:%b %Y}"


def days(start: date, end: date) -> str:
    """`1 – 23 Nov 2026`, `25 Oct – 23 Nov 2026`."""
    if start == end:
        return day(end)
    if start.year != end.year:
        return f"{day(start)} – {day(end)}"
    return f"{start.day} – {day(end)}" if start.month == end.month else f"{start.day} {start:%b} – {day(end)}"


def moment(rfc3339: str) -> str:
    """`23 Nov 2026, 14:02 UTC`."""
    time = datetime.fromisoformat(rfc3339)
    return f"{day(time.date())}, {time:%H:%M} UTC"
