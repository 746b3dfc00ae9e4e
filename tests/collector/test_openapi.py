"""The running collector against its own OpenAPI document: schemathesis makes requests of it, right and wrong ones."""

import gzip
from typing import Any

import requests
import schemathesis
from hypothesis import settings
from requests.adapters import HTTPAdapter
from schemathesis.specs.openapi.checks import negative_data_rejection

from collector.license_rows import COLUMNS
from collector.openapi import document
from tests import cases
from tests.collector.live import KEY, Collector
from tests.collector.strategies import ADDRESSES

EXAMPLES = 60

# A schema knows no global addresses: those that it makes must be some.
schemathesis.openapi.format("ipv4", ADDRESSES.filter(lambda address: ":" not in address))
schemathesis.openapi.format("ipv6", ADDRESSES.filter(lambda address: ":" in address))

# That the running collector publishes the same is in `test_http_service.py`.
schema = schemathesis.openapi.from_dict(document())


@schema.hook
def map_body(_: Any, body: Any) -> Any:
    """The same with 1 for 1.0, which to a schema is an integer too, and which the collector refuses."""
    if isinstance(body, dict):
        return {name: map_body(_, value) for name, value in body.items()}
    if isinstance(body, list):
        return [map_body(_, value) for value in body]
    return int(body) if isinstance(body, float) and body.is_integer() else body


class Gzipping(HTTPAdapter):
    """Packs the body where a request says that it is packed: a document cannot say so."""

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        if request.headers.get("Content-Encoding") == "gzip" and request.body is not None:
            body = request.body.encode() if isinstance(request.body, str) else request.body
            assert isinstance(body, bytes)
            request.body = gzip.compress(body)
            request.headers["Content-Length"] = str(len(request.body))
        return super().send(request, *args, **kwargs)


@schema.parametrize()
@settings(max_examples=EXAMPLES)
def test_every_answer_is_as_described(case: Any, live: Collector) -> None:
    """Whatever is sent, status, media type, headers and body of the answer are among those that the document names."""
    with requests.Session() as session:
        session.mount("http://", Gzipping())
        way = {"base_url": live.url, "headers": {"Authorization": f"Bearer {KEY}"}, "session": session}
        answer = case.call(**way)
        # Of a batch each beacon is refused by itself. A good one among bad ones makes the answer a 202.
        partly = isinstance(case.body, list) and answer.status_code == 202 and answer.json()["rejected"]
        excluded = [negative_data_rejection] if partly else []
        case.validate_response(answer, headers=way["headers"], excluded_checks=excluded, transport_kwargs=way)


def test_the_columns_of_a_license_are_described() -> None:
    """Those of the registry, and the answers to a `PUT` and to another method at its path."""
    described = document()
    assert tuple(described["components"]["schemas"]["License"]["properties"]) == COLUMNS
    operation = described["paths"]["/v1/licenses"]["put"]
    assert operation["security"] == [{"registryKey": []}]
    assert {"202", "401", "403", "405", "422"} <= operation["responses"].keys()
    assert "Allow" in operation["responses"]["405"]["headers"]


def test_every_status_of_a_bad_request_is_described() -> None:
    """What the cases of bad requests are answered with stands in the document, for each operation that they name."""
    paths = document()["paths"]
    undescribed = [
        case["it"]
        for case in cases.read("requests")
        if "raw" not in case  # bytes, which name no operation
        and (operations := paths.get(case.get("path", "/v1/beacons")))
        and str(case["status"])
        # That another method is refused stands with the operations of the path.
        not in operations.get(case.get("method", "POST").lower(), next(iter(operations.values())))["responses"]
    ]
    assert undescribed == []
