"""The OpenAPI document of the collector against its answers."""

import os
import subprocess
import sys
from pathlib import Path

from collector.license_rows import COLUMNS
from collector.openapi import document
from tests import cases

EVERY_ANSWER = Path(__file__).with_name("every_answer.py")


def test_every_answer_is_as_described() -> None:
    """Whatever is sent, status, media type, headers and body of the answer are among those that the document names."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "schemathesis.pytest.plugin", EVERY_ANSWER],
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr


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
