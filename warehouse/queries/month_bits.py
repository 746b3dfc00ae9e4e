"""The SQL of the days of a month, which are the bits of a number, and of the weeks or months in which they are. Pure.

A bucket is a bit, too: bit 0 of a UInt64 is the bucket that begins on the day `origin`.
"""

from datetime import date, timedelta

EVERY_DAY = 0xFFFFFFFF
MOST_BUCKETS = 60
# Of three weeks with one between: their days, and the bit after each of them.
_DAYS = sum(0b111_1111 << 14 * number for number in range(3))
_AFTER = sum(1 << 14 * number + 7 for number in range(3))
# The factor that moves bits which are a week apart, the first of them bit 7, side by side, the first of them bit 37.
_SIDE_BY_SIDE = sum(1 << 6 * number for number in range(6))
# Two counters in a number, in steps of one.
_BOTH = 1 << 32 | 1


def position(grain: str, origin: date, day: date) -> int:
    """Return the bit of a day's bucket."""
    if grain == "week":
        return (day - origin).days // 7
    return (day.year - origin.year) * 12 + day.month - origin.month


def span(days: str, start: date, end: date) -> str:
    """Return those of a month's days that are in the span; none in other months."""
    return f"bitAnd({days}, {span_bits(start, end)})"


def until(days: str, end: date) -> str:
    """Return those of a month's days that are not after `end`."""
    last, to_end = end.replace(day=1), (1 << end.day) - 1
    return f"bitAnd({days}, multiIf(month < '{last}'::Date, {EVERY_DAY}, month = '{last}'::Date, {to_end}, 0)::UInt32)"


def span_bits(start: date, end: date) -> str:
    """Return the bits of the days of a month that are in the span."""
    first, last = start.replace(day=1), end.replace(day=1)
    from_start, to_end = EVERY_DAY << start.day - 1 & EVERY_DAY, (1 << end.day) - 1
    if first == last:
        return f"if(month = '{first}'::Date, {from_start & to_end}, 0)::UInt32"
    return (
        f"multiIf(month = '{first}'::Date, {from_start}, month = '{last}'::Date, {to_end}, "
        f"month > '{first}'::Date AND month < '{last}'::Date, {EVERY_DAY}, 0)::UInt32"
    )


def buckets(grain: str, origin: date, days: str) -> str:
    """Return the buckets that have some of a month's days, all of them after the origin.

    It shifts and masks whole weeks and looks at no single day.
    """
    if grain == "month":
        return f"bitShiftLeft(({days} != 0)::UInt64, greatest(dateDiff('month', '{origin}'::Date, month), 0))::UInt64"
    word, first = in_weeks(origin, days)
    return weeks(word, first)


def in_weeks(origin: date, days: str) -> tuple[str, str]:
    """Return a month's days moved so that a week begins with each seventh bit, and the position of the first week.

    Days before the origin are left out.
    """
    after = f"greatest(month - '{origin}'::Date, 0)"
    before = f"least(greatest('{origin}'::Date - month, 0), 31)"
    return f"bitShiftRight(bitShiftLeft({days}::UInt64, {after} % 7), {before})::UInt64", f"intDiv({after}, 7)"


def weeks(word: str, first: str) -> str:
    """Return the weeks that have some of the days; both arguments are as `in_weeks` returns them."""
    # A month has days of at most six weeks. Seven bits that are not all 0, plus seven that are 1, carry one bit.
    even, odd = (f"bitAnd(bitAnd({days}, {_DAYS}) + {_DAYS}, {_AFTER})" for days in (word, f"bitShiftRight({word}, 7)"))
    gathered = f"bitAnd(bitShiftRight(({even} + {odd} * 128)::UInt64 * {_SIDE_BY_SIDE}, 37), 63)"
    return f"bitShiftLeft({gathered}, {first})::UInt64"


def last_in_week(word: str, first: str, week: str) -> str:
    """Return the last of the days in a week, from 1 on; 0 if there is none."""
    week = f"toInt32({week}) - {first}"
    days = f"bitAnd(bitShiftRight({word}, 7 * least(greatest({week}, 0), 9)), if({week} < 0, 0, 127))"
    return f"toUInt8(log2(2 * {days} + 1))"


def bucket(grain: str, origin: date, day: str) -> str:
    """Return the position of a day's bucket; negative before the origin."""
    if grain == "month":
        return f"dateDiff('month', '{origin}'::Date, {day})"
    return f"intDiv(toMonday({day}) - '{origin}'::Date, 7)"


def counted(bits: str, positions: range, installs: str) -> str:
    """Return an array: the installs of all rows that have each of the bits, given those of a row.

    It is short, because ClickHouse takes longer to analyze a sum for each bit than to add up few rows.
    """
    has = f"bitTest({bits}, bit)"
    return f"sumForEach(arrayMap(bit -> if({has}, {installs}, 0), range({positions.start}, {positions.stop})))"


def paired(days: str) -> str:
    """Return a month's days for `counted_by_day`: a number with the last half of them above a gap of 16 bits."""
    return f"({days} + bitAnd({days}, {0xFFFF << 16}) * {0xFFFF})::UInt64"


def counted_by_day(days: str) -> str:
    """Return an array: how many rows have each day of a month, and a 0. `days` are as `paired` returns them.

    Each sum has two counts, in half the time of two `countIf`.
    """
    sums = ", ".join(f"sum(bitAnd(bitShiftRight({days}, {one}), {_BOTH}))" for one in range(16))
    first, last = (
        f"arrayMap(both -> {half}, sums)" for half in (f"bitAnd(both, {EVERY_DAY})", "bitShiftRight(both, 32)")
    )
    return f"arrayMap(sums -> arrayConcat({first}, {last}), [[{sums}]])[1]"


def last_position(days: str) -> str:
    """Return the position of the last of a month's days; there must be one."""
    return f"toUInt8(log2({days}))"


def first_day(days: str) -> str:
    """Return the first of a month's days; there must be one."""
    return f"(month + {last_position(f'bitAnd({days}, bitNot({days}) + 1)')})"


def last_day(days: str) -> str:
    """Return the last of a month's days, the first of the month if there is none."""
    return f"(month + {last_position(f'greatest({days}, 1)')})"


def months(start: date, end: date) -> list[date]:
    """Return the months that have days of a span, each by its first day."""
    found = [start.replace(day=1)]
    while (after := (found[-1] + timedelta(days=31)).replace(day=1)) <= end:
        found.append(after)
    return found


def week_masks(start: date, end: date) -> dict[date, dict[date, int]]:
    """Return the weeks of a span by their Mondays: the bits of each one's days in the span, by month."""
    found: dict[date, dict[date, int]] = {}
    for number in range((end - start).days + 1):
        day = start + timedelta(days=number)
        masks = found.setdefault(day - timedelta(days=day.weekday()), {})
        month = day.replace(day=1)
        masks[month] = masks.get(month, 0) | 1 << day.day - 1
    return found
