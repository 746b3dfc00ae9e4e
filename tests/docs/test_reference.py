"""The reference against the code: fields, reasons, dimensions, rules, retention, checks, metrics."""

import re

from collector.metrics import METRICS as OF_COLLECTOR
from collector.planes import NEWEST, OLDEST
from collector.problems import STATUS
from collector.request_body import LIMIT
from collector.spool import HORIZON_DAYS
from collector.validate import CONSENT_FULL, MAX_BATCH, Reason
from core.access_log import KEPT_DAYS
from core.fields import DIMENSIONS, FIELDS, MAX_COUNT, MAX_FEATURES, REQUIRED_OBJECTS, Field, columns
from dashboard import openapi
from dashboard.metrics import METRICS as OF_DASHBOARD
from tests.docs.markdown import ROOT, code, page, spans, tables
from warehouse.licensing.rules import RULES
from warehouse.migrate import sql_files
from warehouse.queries import dimensions, group_counts, license_flags, metrics, month_bits
from warehouse.queries.questions import QUESTIONS, adoption, drop, together, upgrades, whole_buckets
from warehouse.retention import ALARM_DAYS, FORCED_DAYS, KEPT

REFERENCE = page("docs/reference.md")
TABLES = tables(REFERENCE)


def required(field: Field) -> str:
    """Return whether a field is required: always, never, or with its object."""
    parent = field.path.rpartition(".")[0]
    if not field.required:
        return "no"
    return "yes" if not parent or parent in REQUIRED_OBJECTS else f"in `{parent}`"


def rule(field: Field) -> str:
    """Return the rule for a field's value in the words of the reference."""
    if field.choices:
        return ", ".join(f"`{choice}`" for choice in field.choices)
    special = {
        "integer": "1",
        "uuid": "UUID",
        "time": "RFC 3339 with zone",
        "address": "global IPv4 or IPv6 address",
        "counts": f"names `{field.pattern}`, whole numbers",
    }
    return special.get(field.kind, f"`{field.pattern}`")


def test_the_fields_are_those_of_the_code() -> None:
    """The table has exactly the fields, with rule, columns and dimension."""
    told = [[code(cell) if column != 2 else cell for column, cell in enumerate(row)] for row in _fields()]
    for row in told:
        row[1] = row[1].replace("in `", "in ").rstrip("`")
    expected = [
        [field.path, required(field).replace("`", ""), rule(field), field.usage, field.license, field.dimension]
        for field in FIELDS
    ]
    assert told == expected


def _fields() -> list[list[str]]:
    return TABLES["field | required | rule | usage | license | dimension"]


def test_the_limits_are_those_of_the_code() -> None:
    """The limits in the text are those of the code."""
    text = " ".join(REFERENCE.split())
    for said in (
        f"an array of up to {MAX_BATCH}.",
        f"at most {LIMIT} bytes",
        f"at most {MAX_FEATURES} names, counts 0 to {MAX_COUNT}",
        f"between {OLDEST.days} days ago and {NEWEST.seconds // 60} minutes ahead",
        f"recognizes a retry for {HORIZON_DAYS} days",
        f"{', '.join(f'`{path}`' for path in CONSENT_FULL[:-1])} and `{CONSENT_FULL[-1]}` must be absent",
        f"at most {metrics.MOST_DAYS} days from `from`",
        f"| `from` | {metrics.DEFAULT_DAYS - 1} days before `to` |",
        f"| `limit` | {license_flags.DEFAULT_LIMIT} | 1 to {license_flags.MOST} |",
    ):
        assert said in text


def test_the_reasons_are_those_of_the_code() -> None:
    """The table has exactly the reasons with their status, in the order of statuses."""
    told = {code(row[0]): int(row[1]) for row in TABLES["reason | status | meaning"]}
    assert told == {str(reason): STATUS[reason] for reason in Reason}
    assert list(told.values()) == sorted(told.values())


def test_the_read_api_is_that_of_the_code() -> None:
    """The page has exactly the metrics, grains, dimensions and parameters."""
    paths = [code(row[0].partition(" (")[0]) for row in TABLES["path | roles | gives"]]
    assert paths[: len(metrics.METRICS) + len(QUESTIONS)] == [
        f"/api/v1/metrics/{metric}" for metric in (*metrics.METRICS, *QUESTIONS)
    ]
    assert set(paths) == set(openapi.document()["paths"])
    gives = {code(row[0].partition(" (")[0]).rpartition("/")[2]: row[2] for row in TABLES["path | roles | gives"]}
    assert {name: gives[name].lower() for name in QUESTIONS} == {
        name: kind.summary.lower().removeprefix("the ") for name, kind in QUESTIONS.items()
    }
    parameters = REFERENCE.partition("Parameters of the metrics:")[2].partition("The dimensions are")[0]
    (grain,) = [row[2] for row in tables(parameters)["parameter | default | values"] if row[0] == "`grain`"]
    assert re.findall(r"`(\w+)`", grain) == list(metrics.GRAINS)
    (sentence,) = re.findall(r"The dimensions are (.+)\.\n", REFERENCE)
    assert re.findall(r"`(\w+)`", sentence) == list(DIMENSIONS)
    (sentence,) = re.findall(r"The series are (.+)\. They are dimensions", REFERENCE)
    assert sorted(re.findall(r"`(\w+)`", sentence)) == sorted(dimensions.SERIES)
    (compared,) = re.findall(r"on the series and on (.+?)\. A series", " ".join(REFERENCE.split()))
    assert {*re.findall(r"`(\w+)`", compared), *dimensions.SERIES} == set(dimensions.COMPARED)
    (count,) = [row[2] for row in tables(parameters)["parameter | default | values"] if row[0] == "`count`"]
    assert re.findall(r"`(\w+)`", count) == list(metrics.COUNTS)
    assert f"the {group_counts.MOST_TEXTS:,} most frequent texts" in REFERENCE
    assert f"one of up to {dimensions.MOST_VALUES} values" in REFERENCE
    (crossed,) = re.findall(r"can be crossed with (.+?), and with nothing", " ".join(REFERENCE.split()))
    assert {*re.findall(r"`(\w+)`", crossed), "license_source"} == set(metrics.LICENSE_DIMENSIONS)


def test_the_questions_are_those_of_the_code() -> None:
    """Each question stands in the table with its parameters, its required filters, and its limits."""
    told: dict[str, set[str]] = {}
    for row in TABLES["question | parameter | default | values"]:
        told.setdefault(code(row[0]), set()).update(re.findall(r"`(\w+)`", row[1]))
    assert {name: names - set(adoption.VERSIONS) for name, names in told.items()} == {
        name: {*kind.parameters, *kind.required} for name, kind in QUESTIONS.items()
    }
    text = " ".join(REFERENCE.partition("## Questions")[2].partition("## Logins")[0].split())
    for said in (
        f"the last {whole_buckets.DEFAULT_BUCKETS} buckets, `{whole_buckets.GRAINS[0]}`",
        f"At most {month_bits.MOST_BUCKETS} buckets",
        f"{adoption.DEFAULT_DAYS} days | the last day; 1 to {adoption.MOST_DAYS} days",
        f"| the last {upgrades.DEFAULT_DAYS} days, `{upgrades.BY[0]}` |",
        f"the {upgrades.MOST_PATHS} most frequent",
        f"the {together.MOST_FEATURES} features with the most installs",
        f"within the {drop.UPGRADE_DAYS} days up to `to`",
        f"up to {drop.MOST_FEATURES} features",
    ):
        assert said in text, said


def test_the_flag_rules_are_those_of_the_code() -> None:
    """The table has exactly the rules, with severity and explanations."""
    told = [(code(row[0]), row[1], row[3]) for row in TABLES["rule | severity | when | what it may mean"]]
    assert told == [(rule.name, rule.severity, rule.description) for rule in RULES]


def test_each_plane_holds_what_the_table_says() -> None:
    """The listed columns of each plane are those of its rows."""
    (held,) = [row for row in TABLES[" | usage plane | license plane"] if row[0] == "holds"]
    assert re.findall(r"`(\w+)`", held[1]) == [*(column for _, column in columns("usage")), "country"]
    assert re.findall(r"`(\w+)`", held[2]) == [*(column for _, column in columns("license")), "ip", "country"]


def test_the_retention_is_that_of_the_code() -> None:
    """The table has exactly the retention periods, in the code's order."""
    told = [[row[0], code(row[1]), row[2]] for row in TABLES["what | where | kept"]]
    assert told == [[kept.what, kept.name, kept.how_long] for kept in KEPT]
    assert f"| keyed ids that identify duplicates | `spool.sqlite` | {HORIZON_DAYS} days |" in REFERENCE
    assert KEPT_DAYS == 396  # 13 months at their longest
    text = " ".join(REFERENCE.split())
    assert (FORCED_DAYS, ALARM_DAYS) == (1, 2)
    assert "there a day longer is forced out" in text
    assert "there two days longer fails" in text


def test_the_retention_is_that_of_the_tables() -> None:
    """Each table and each column with a TTL in the SQL files has a retention period."""
    text = "".join(sql for _, sql in sql_files())
    expected = {}
    for table, body in re.findall(r"CREATE TABLE IF NOT EXISTS (\w+)\$local(.*?);\n", text, re.DOTALL):
        inside, _, after = body.partition("\nENGINE")
        for column, number, unit in re.findall(r"^    (\w+) .*TTL .*INTERVAL (\d+) (\w+)", inside, re.MULTILINE):
            expected[f"{table}.{column}"] = f"{number} {unit.lower()}s"
        ((number, unit),) = re.findall(r"TTL .*INTERVAL (\d+) (\w+)", after) or [("", "")]
        expected[table] = f"{number} {unit.lower()}s" if number else ""
    for dropped in re.findall(r"DROP TABLE IF EXISTS (\w+)\$local", text):
        del expected[dropped]
    for table, number, unit in re.findall(r"ALTER TABLE (\w+)\$local \S+ MODIFY TTL .*INTERVAL (\d+) (\w+)", text):
        expected[table] = f"{number} {unit.lower()}s"
    in_clickhouse = {kept.name: kept for kept in KEPT if kept.where != "migrations" and ".sqlite" not in kept.where}
    assert expected.keys() == in_clickhouse.keys()
    for name, how_long in expected.items():
        if in_clickhouse[name].setting:
            continue  # `retention.adjust` sets it, and `test_retention.py` reads what is set
        assert in_clickhouse[name].set_in({name: how_long}) or not how_long, name
        assert bool(how_long) == bool(in_clickhouse[name].interval), name


def _named_in(source: str, pattern: str) -> list[str]:
    """Return each name in a source text once, in order."""
    return list(dict.fromkeys(re.findall(pattern, (ROOT / source).read_text(encoding="utf-8"))))


def test_the_checks_of_doctor_are_those_of_the_code() -> None:
    """The table has exactly the checks."""
    told = [code(row[0]) for row in TABLES["check | fails when"]]
    assert sorted(told) == sorted(_named_in("pharos/doctor.py", r'Check\("(\w+)"'))


def test_the_metrics_are_those_of_the_code() -> None:
    """The table is that of the Prometheus metrics."""
    assert TABLES["metric | kind | meaning"] == [[f"`{each.name}`", each.kind, each.meaning] for each in OF_COLLECTOR]
    told = TABLES["metric of the dashboard | kind | meaning"]
    assert told == [[f"`{each.name}`", each.kind, each.meaning] for each in OF_DASHBOARD]


def test_the_design_names_only_files_that_are_there() -> None:
    """Each path in docs/architecture.md exists."""
    paths = [span for span in spans(page("docs/architecture.md")) if re.fullmatch(r"[a-z_]+/[\w/.]*", span)]
    assert len(paths) > 5
    assert [path for path in paths if not (ROOT / path).exists()] == []
