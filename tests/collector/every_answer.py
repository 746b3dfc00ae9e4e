"""The running collector against its own OpenAPI document: schemathesis makes requests of it, right and wrong ones.

`test_openapi.py` runs it. Its collection takes three seconds, which each process that collects all tests would take.
"""

import gzip
from typing import Any

import requests
import schemathesis
from hypothesis import settings
from requests.adapters import HTTPAdapter
from schemathesis.specs.openapi.checks import negative_data_rejection

from collector.openapi import document
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
