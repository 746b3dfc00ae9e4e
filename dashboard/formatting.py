"""Formats numbers, shares, dates, times and sizes for people."""

from datetime import date, datetime, timedelta

THIN = "\N{NARROW NO-BREAK SPACE}"  # no locale reads it as a decimal separator, and no line ends within a number


def count(number: float) -> str:
    """`12 345`, with a narrow space; decimals stay as they are."""
    return f"{number:,}".replace(",", THIN)


def decimal(number: float) -> str:
    """`6 384`, or `4.2`: one decimal below a hundred."""
    return count(round(number)) if number >= 100 else f"{number:.1f}"


def share(part: float) -> str:
    """`45%`, or `4.5%`: one decimal below ten percent; at most `100%`."""
    part = min(part, 1)
    if 0 < part < 0.001:
        return "<0.1%"
    return f"{part:.1%}" if part < 0.1 and part else f"{part:.0%}"


def shares(least: float, most: float) -> str:
    """`45%`, or `4.5% to 12%` of two shares."""
    return share(least) if least == most else f"{share(least)} to {share(most)}"


def fewer(k: int) -> str:
    """The phrase for a group that is too small to be shown."""
    return f"fewer than {k}"


def withheld(k: int) -> str:
    """The words in place of a figure: it, or its difference from another one, is a group that is too small."""
    return f"not told: none, or it would tell a group of {fewer(k)} installs"


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


def no_formula(text: str) -> str:
    """A text that a spreadsheet would take for a formula begins with an apostrophe, as OWASP advises."""
    return f"'{text}" if text[:1] in "=+-@\t\r" and text else text


def moment(time: datetime | str) -> str:
    """`23 Nov 2026, 14:02 UTC`. A text argument is RFC 3339."""
    time = datetime.fromisoformat(time) if isinstance(time, str) else time
    return f"{day(time.date())}, {time:%H:%M} UTC"


def duration(span: timedelta) -> str:
    """`3 hours`, `1 minute`, `5 seconds`. Days and hours are used from two on."""
    seconds = max(0, int(span.total_seconds()))
    for unit, length in (("day", 86400), ("hour", 3600), ("minute", 60)):
        if seconds >= 2 * length or (unit == "minute" and seconds >= length):
            return plural(seconds // length, unit)
    return plural(seconds, "second")


def plural(number: int, word: str) -> str:
    """`1 beacon`, `12 345 beacons`."""
    return f"{count(number)} {word}{'' if number == 1 else 's'}"


def size(number: int) -> str:
    """`12.3 GB`, `640 MB`, `0 MB`, in decimal units as in `df -H`."""
    for unit, length in (("TB", 10**12), ("GB", 10**9)):
        if number >= length:
            return f"{number / length:.1f} {unit}"
    return f"{number / 10**6:.0f} MB" if number >= 10**6 or not number else f"{-(-number // 1000)} KB"
