"""The OpenAPI document of the read API against its routes and parameters; `test_read_api.py` validates real answers."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from core.credentials import Credentials, Role
from dashboard.openapi import OPENAPI, document
from dashboard.permissions import API_RULES
from warehouse.queries.metric_query import METRICS
from warehouse.queries.questions import QUESTIONS

Visit = Callable[[str | None], FlaskClient]
PATHS: dict[str, Any] = document()["paths"]
EXAMPLES = {
    "from": "2026-03-02", "to": "2026-06-28", "module": "invoice_pro", "version": "3.2.1", "by": "version",
    "cursor": "", "state": "open,disputed", "severity": "critical", "grade": "claimed", "rule": "unlicensed",
    "assignee": "nobody", "status": "licensed", "limit": "5", "days": "7", "key": "00000000deadbeef",
    "id": "00000000deadbeef",
}  # fmt: skip


def parameters(path: str) -> Iterator[dict[str, Any]]:
    """The parameters of a path."""
    known = document()["components"]["parameters"]
    for one in PATHS[path].get("get", {}).get("parameters", []):
        yield known[one["$ref"].rpartition("/")[2]] if "$ref" in one else one


def example(parameter: dict[str, Any]) -> str:
    """A value that the parameter may have."""
    name, schema = parameter["name"], parameter["schema"]
    if "enum" in schema:
        return str(schema["enum"][0])
    products = {"database": "mariadb-10.6", "web_server": "apache-2.4", "os_release": "debian 12"}
    dimension = name.partition(".")[0].removesuffix("_series")
    return EXAMPLES.get(name, products.get(dimension, "8.2"))


def get(client: FlaskClient, token: str, path: str, **arguments: str) -> Any:
    return client.get(path, query_string=arguments, headers={"Authorization": f"Bearer {token}"})


def test_the_document_can_be_read_without_a_token(visit: Visit) -> None:
    """It describes the software and holds no data."""
    assert visit(None).get(OPENAPI).json == document()


def test_the_document_is_valid() -> None:
    """A client can be generated of it."""
    # Only here: each process that collects the tests would import it.
    import schemathesis
    from schemathesis.core.result import Err

    operations = list(schemathesis.openapi.from_dict(document()).get_all_operations())
    assert len(operations) == sum(len(set(item) & {"get", "post"}) for item in PATHS.values())
    assert not [one for one in operations if isinstance(one, Err)]


def test_the_paths_are_those_of_the_api(app: Flask) -> None:
    """Each route is described, and each metric and question by itself."""
    routes = {
        rule.rule.replace("<case>", "{case}") for rule in app.url_map.iter_rules() if rule.rule.startswith("/api/v1/")
    }
    metrics = {f"/api/v1/metrics/{name}" for name in (*METRICS, *QUESTIONS)}
    assert set(PATHS) == routes - {"/api/v1/metrics/<metric>"} | metrics
    for path, item in PATHS.items():
        roles = API_RULES["/api/v1/metrics/<metric>" if path in metrics else path.replace("{case}", "<case>")]
        described = item.get("get", item.get("post")).get("description", "")
        assert described == (f"Roles: {', '.join(sorted(roles))}." if roles else "")


@pytest.mark.parametrize("path", [path for path, item in PATHS.items() if "get" in item])
def test_each_parameter_is_taken(visit: Visit, credentials: Credentials, path: str) -> None:
    """And one that is not described is refused, by its name."""
    client, token = visit(None), credentials.add_token(Role.ADMIN)
    required = {one["name"]: example(one) for one in parameters(path) if one["required"]}
    if path.endswith(("adoption", "drop")):
        required["version"] = "3.2.1"
    for one in parameters(path):
        arguments = {**required, one["name"]: example(one)}
        if one["name"] == "version_series" and path.endswith("adoption"):
            del arguments["version"]
        if one["name"].startswith("license_source") or (one["name"] == "count" and "installs" not in path):
            continue  # not with every other parameter
        answer = get(client, token, path, **arguments)
        assert answer.status_code == 200, (arguments, answer.text)
    if required or list(parameters(path)):
        answer = get(client, token, path, **required, made_up="x")
        assert (answer.status_code, answer.json["reason"]) == (422, "unknown_field")


@pytest.mark.parametrize(
    ("name", "args", "reason", "path"),
    [
        ("lifecycle", {"grain": "day"}, "bad_format", "grain"),
        ("lifecycle", {"from": "2024-01-01"}, "out_of_range", "from"),
        ("lifecycle", {"from": "2026-06-01", "to": "2026-06-03"}, "out_of_range", "from"),
        ("lifecycle", {"from": "yesterday"}, "bad_format", "from"),
        ("lifecycle", {"by": "version"}, "unknown_field", "by"),
        ("lifecycle", {"count": "newest"}, "bad_format", "count"),
        ("retention", {"count": "latest"}, "unknown_field", "count"),
        ("lifecycle", {"feature": "x"}, "out_of_range", "feature"),
        ("lifecycle", {"license_source": "x"}, "out_of_range", "license_source"),
        ("lifecycle", {"php_series.gt": "8"}, "unknown_field", "php_series.gt"),
        ("retention", {"feature": "\n"}, "bad_format", "feature"),
        ("retention", {"grain": "period"}, "bad_format", "grain"),
        ("first_use", {}, "missing_field", "feature"),
        ("first_use", {"feature": "x", "days": "3"}, "unknown_field", "days"),
        ("adoption", {"version": "3.2"}, "missing_field", "module"),
        ("adoption", {"module": "m"}, "missing_field", "version"),
        ("adoption", {"module": "m", "version": "1", "version_series": "1"}, "too_many_items", "version"),
        ("adoption", {"module": "m", "version": "1", "days": "0"}, "out_of_range", "days"),
        ("adoption", {"module": "m", "version": "1", "days": "many"}, "out_of_range", "days"),
        ("adoption", {"module": "m", "version": "1", "from": "2026-06-01"}, "unknown_field", "from"),
        ("upgrades", {}, "missing_field", "module"),
        ("upgrades", {"module": "m", "by": "php"}, "bad_format", "by"),
        ("upgrades", {"module": "m", "from": "2026-06-02", "to": "2026-06-01"}, "out_of_range", "from"),
        ("together", {"from": "2016-06-02"}, "out_of_range", "from"),
        ("together", {"module": "m" * 65}, "bad_format", "module"),
        ("drop", {"php_series.lt": "8.0"}, "missing_field", "module"),
        ("drop", {"module": "m"}, "missing_field", "query"),
        ("drop", {"module": "m", "php_series.lt": "eight"}, "bad_format", "php_series.lt"),
        ("drop", {"module": "m", "os.lt": "debian"}, "out_of_range", "os.lt"),
    ],
)
def test_what_a_question_cannot_be_asked(
    visit: Visit, credentials: Credentials, name: str, args: dict[str, str], reason: str, path: str
) -> None:
    """It is refused in the words of the other metrics, and its value is not repeated."""
    answer = get(visit(None), credentials.add_token(Role.ADMIN), f"/api/v1/metrics/{name}", **args)
    assert answer.status_code == 422
    assert (answer.json["reason"], answer.json["path"]) == (reason, path)


def test_days_that_are_not_over_count_for_admins_alone(visit: Visit, credentials: Credentials) -> None:
    """Others get figures up to yesterday, and `to` says so."""
    client, tokens = visit(None), {role: credentials.add_token(role) for role in Role}
    ends = {role: get(client, token, "/api/v1/metrics/together").json["to"] for role, token in tokens.items()}
    assert ends[Role.ADMIN] > ends[Role.PRODUCT] == ends[Role.LICENSING]
    answer = get(client, tokens[Role.PRODUCT], "/api/v1/metrics/together", **{"from": ends[Role.ADMIN]})
    assert (answer.status_code, answer.json["path"]) == (422, "from")
