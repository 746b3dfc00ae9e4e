"""The Helm chart: what it makes is valid Kubernetes, and each container gets the settings and secrets that it needs.

Its templates are rendered by a program of Go's template engine and Helm's function library (Debian's golang-go and
golang-github-masterminds-sprig-dev). Where these are missing, the tests of the templates are left out. Where there is
a Helm, it checks the chart too.
"""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import jsonschema_rs
import kubernetes_validate
import pytest
import yaml

from core.catalog import read as read_catalog
from core.settings import Settings, documented
from pharos.cli import cli

CHART = Path(__file__).parents[2] / "deploy/helm"
LIBRARIES = Path("/usr/share/gocode")
KUBERNETES = "1.25", "1.37"
SETTINGS = {f"PHAROS_{field.name.upper()}" for field in documented()}
OPTIONAL = "states_key", "ingest_key", "admin_password", "smtp_url", "webhook_url", "webhook_secret", "metrics_token"
VALID = {
    "root_secret": "0123456789abcdef" * 4,
    "clickhouse_url": "http://pharos:pass@clickhouse:8123/pharos",
    "states_key": "0123456789abcdef" * 4,
    "ingest_key": "pk_0123456789abcdef0123456789abcdef",
    "admin_password": "a long password",
    "smtp_url": "smtp://mail.example.com?from=pharos@example.com",
    "webhook_url": "https://example.com/pharos",
    "webhook_secret": "whsec_" + "A" * 32,
    "metrics_token": "0123456789abcdef" * 2,
}
CATALOG = (CHART.parent / "catalog.example.toml").read_text()
READERS = f"product:{'0' * 64} licensing:{'1' * 64}"
ALL: dict[str, Any] = {
    "image": {"digest": "sha256:" + "0" * 64},
    "imagePullSecrets": [{"name": "registry"}],
    "secretHas": dict.fromkeys(OPTIONAL, True),
    "clickhouse": {"cluster": "pharos"},
    "settings": {"PHAROS_K": "10"},
    "catalog": {"text": CATALOG},
    "collector": {
        "replicas": 3,
        "storage": {"size": "20Gi", "storageClassName": "fast"},
        "ingress": {"enabled": True, "className": "nginx", "host": "beacons.example.com", "tlsSecret": "tls",
                    "annotations": {"a": "b"}},
        "podAnnotations": {"prometheus.io/scrape": "true"},
        "nodeSelector": {"disk": "ssd"},
        "tolerations": [{"key": "telemetry", "operator": "Exists"}],
    },
    "dashboard": {"ingress": {"enabled": True, "host": "pharos.example.com"}, "service": {"annotations": {"a": "b"}}},
}  # fmt: skip

Document = dict[str, Any]
Render = Callable[[dict[str, Any]], list[Document]]


def values(given: dict[str, Any]) -> dict[str, Any]:
    """The values of the chart with those that a user gives."""

    def merge(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
        return one | {
            key: merge(one[key], value) if isinstance(value, dict) and isinstance(one.get(key), dict) else value
            for key, value in other.items()
        }

    least = {"clickhouse": {"url": "http://clickhouse:8123/pharos"}}
    return merge(merge(yaml.safe_load((CHART / "values.yaml").read_text()), least), given)


def refusals(given: dict[str, Any]) -> list[str]:
    """What the schema says against these values."""
    schema = jsonschema_rs.validator_for(json.loads((CHART / "values.schema.json").read_text()))
    return [error.message for error in schema.iter_errors(values(given))]


@pytest.fixture(scope="module")
def render(tmp_path_factory: pytest.TempPathFactory) -> Render:
    """A function that returns what the chart makes of values."""
    if not shutil.which("go") or not (LIBRARIES / "src/github.com/Masterminds/sprig").is_dir():
        pytest.skip("needs golang-go and golang-github-masterminds-sprig-dev")
    folder = tmp_path_factory.mktemp("helm")
    subprocess.run(
        ["go", "build", "-o", folder / "render", Path(__file__).parent / "helm/main.go"],
        env=os.environ | {"GO111MODULE": "off", "GOPATH": str(LIBRARIES), "GOCACHE": str(folder / "cache")},
        check=True,
        timeout=600,
    )

    def run(given: dict[str, Any]) -> list[Document]:
        assert refusals(given) == []
        chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
        file = folder / "values.json"
        file.write_text(
            json.dumps(
                {
                    "Values": values(given),
                    "Release": {"Name": "pharos", "Namespace": "default", "Service": "Helm"},
                    "Chart": {"AppVersion": chart["appVersion"]},
                }
            )
        )
        made = subprocess.run(
            [folder / "render", CHART, file], check=True, timeout=60, stdout=subprocess.PIPE, text=True
        )
        return [document for document in yaml.safe_load_all(made.stdout) if document]

    return run


def containers(documents: list[Document]) -> Iterator[tuple[str, dict[str, Any], dict[str, Any]]]:
    """Each container by its name, with its pod."""
    for document in documents:
        if document["kind"] == "StatefulSet":
            pod = document["spec"]["template"]["spec"]
            for container in pod.get("initContainers", []) + pod["containers"]:
                yield container["name"], container, pod


def mounted(container: dict[str, Any], pod: dict[str, Any]) -> set[str]:
    """The keys of the secret that a container sees."""
    items = {volume["name"]: volume.get("secret", {}).get("items", []) for volume in pod["volumes"]}
    return {item["path"] for mount in container["volumeMounts"] for item in items.get(mount["name"], [])}


@pytest.mark.parametrize("given", [{}, ALL], ids=["defaults", "everything"])
def test_the_chart_makes_valid_kubernetes(render: Render, given: dict[str, Any]) -> None:
    """All that it makes is valid, without unknown fields, from the oldest version that it names to the newest."""
    documents = render(given)
    for version in KUBERNETES:
        for document in documents:
            kubernetes_validate.validate(document, version, strict=True)
    kinds = sorted(document["kind"] for document in documents)
    assert kinds.count("StatefulSet") == 2
    assert kinds.count("PodDisruptionBudget") == kinds.count("NetworkPolicy") == 1
    assert kinds.count("Ingress") == (2 if given else 0)


@pytest.mark.parametrize("given", [{}, ALL], ids=["defaults", "everything"])
def test_each_container_gets_settings_that_it_starts_with(
    render: Render, given: dict[str, Any], tmp_path: Path
) -> None:
    """Its environment is valid with the secrets that it is given, and with no others."""
    for name, text in VALID.items():
        (tmp_path / name).write_text(text)
    # What migrate writes.
    (tmp_path / "passwords").write_text(READERS)
    optional = set(OPTIONAL) if given else set()
    needed = {
        "collector": {"root_secret"} | optional & {"ingest_key", "metrics_token"},
        "loader": {"clickhouse_url"},
        "migrate": {"clickhouse_url"},
        "dashboard": optional - {"ingest_key"},
    }
    seen = {}
    for name, container, pod in containers(render(given)):
        assert mounted(container, pod) == needed[name]
        environment = {entry["name"]: entry["value"] for entry in container["env"]}
        assert {each.removesuffix("_FILE") for each in environment} <= SETTINGS
        files = [value for each, value in environment.items() if each.endswith("_FILE")]
        assert {Path(file).name for file in files} - {"passwords"} == needed[name]
        settings = Settings.from_environ(
            {
                each: re.sub(r"^/run/(secrets/pharos|readers)", str(tmp_path), value)
                for each, value in environment.items()
            }
        )
        seen[name] = settings
        assert container["args"][0] == "pharos"
        assert isinstance(cli.commands[container["args"][1]], click.Command)
        assert container["securityContext"]["readOnlyRootFilesystem"] is True
        assert pod["securityContext"]["runAsUser"] == 10001
        mounts = [mount["mountPath"] for mount in container["volumeMounts"]]
        assert "/tmp" in mounts
        volumes = {volume["name"] for volume in pod["volumes"]} | {"home"}
        assert {mount["name"] for mount in container["volumeMounts"]} <= volumes
        assert [entry["name"] for entry in container["env"]].count("PHAROS_K") == (1 if given else 0)
    assert set(seen) == set(needed)
    assert (str(seen["collector"].collector_bind), str(seen["dashboard"].dashboard_bind)) == (
        "0.0.0.0:8000",
        "0.0.0.0:8050",
    )
    assert seen["dashboard"].clickhouse_url == "http://clickhouse:8123/pharos"
    assert seen["dashboard"].clickhouse_readers == READERS
    assert seen["collector"].secret == VALID["root_secret"]


OWN = {"catalog": {"configMap": "our-catalog"}}


@pytest.mark.parametrize(("given", "name"), [(ALL, "pharos-catalog"), (OWN, "our-catalog"), ({}, None)])
def test_the_catalog_is_where_its_setting_says(
    render: Render, given: dict[str, Any], name: str | None, tmp_path: Path
) -> None:
    """All that ask the catalog have it as a folder, so that a changed one reaches them, and it is the one given."""
    documents = render(given)
    made = {each["metadata"]["name"]: each["data"] for each in documents if each["kind"] == "ConfigMap"}
    assert list(made) == ([name] if given is ALL else [])
    asking = set()
    for container, spec, pod in containers(documents):
        setting = {entry["name"]: entry["value"] for entry in spec["env"]}.get("PHAROS_CATALOG")
        mounts = {mount["name"]: mount for mount in spec["volumeMounts"]}
        assert (setting is None) == ("catalog" not in mounts)
        if setting is not None:
            asking.add(container)
            assert mounts["catalog"]["mountPath"] == str(Path(setting).parent)
            assert "subPath" not in mounts["catalog"]
            (volume,) = (volume for volume in pod["volumes"] if volume["name"] == "catalog")
            assert volume["configMap"]["name"] == name
            assert all(list(data) == [Path(setting).name] for data in made.values())
    assert asking == ({"collector", "loader", "dashboard"} if name else set())
    for data in made.values():
        (tmp_path / "catalog.toml").write_text(data["catalog.toml"])
        assert read_catalog(tmp_path / "catalog.toml") == read_catalog(CHART.parent / "catalog.example.toml")


def test_services_find_their_pods(render: Render) -> None:
    """Each service, budget and policy selects the labels of the pods that it is for."""
    documents = render(ALL)
    pods = {
        document["metadata"]["name"]: document["spec"]["template"]["metadata"]["labels"]
        for document in documents
        if document["kind"] == "StatefulSet"
    }

    def selected(selector: dict[str, str]) -> list[str]:
        return sorted(name for name, labels in pods.items() if selector.items() <= labels.items())

    found = {
        (document["kind"], document["metadata"]["name"]): selected(
            spec.get("podSelector", spec.get("selector", {})).get("matchLabels", spec.get("selector", {}))
        )
        for document in documents
        if (spec := document.get("spec")) and document["kind"] in ("Service", "PodDisruptionBudget", "NetworkPolicy")
    }
    assert found == {
        ("Service", "pharos-collector"): ["pharos-collector"],
        ("Service", "pharos-collector-pods"): ["pharos-collector"],
        ("PodDisruptionBudget", "pharos-collector"): ["pharos-collector"],
        ("Service", "pharos-dashboard"): ["pharos-dashboard"],
        ("NetworkPolicy", "pharos"): ["pharos-collector", "pharos-dashboard"],
    }


@pytest.mark.parametrize(
    "given",
    [
        {"settings": {"PHAROS_SECRET": "secret"}},
        {"settings": {"PHAROS_SECRET_FILE": "/secret"}},
        {"settings": {"PHAROS_METRICS_TOKEN": "0123456789abcdef"}},
        {"settings": {"PHAROS_K": 10}},
        {"settings": {"pharos_k": "10"}},
        {"clickhouse": {"url": "http://pharos:pass@clickhouse:8123/pharos"}},
        {"clickhouse": {"url": ""}},
        {"collector": {"replica": 3}},
        {"catalog": {"text": "mode = 'open'", "configMap": "our-catalog"}},
        {"catalog": {"text": "mode = 'open'"}, "settings": {"PHAROS_CATALOG": "/catalog.toml"}},
        {"catalog": {"file": "catalog.toml"}},
        {"collector": {"ingress": {"enabled": True}}},
        {"collectors": {}},
    ],
)
def test_the_schema_refuses_what_would_not_work(given: dict[str, Any]) -> None:
    """A secret among the settings, a login in the dashboard's URL, a misspelt value."""
    assert refusals({}) == []
    assert refusals(given)


def test_the_chart_has_the_version_of_pharos() -> None:
    """The chart runs the image of the same version."""
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    setup = (CHART.parents[1] / "setup.cfg").read_text()
    assert chart["version"] == chart["appVersion"] == re.findall(r"^version = (.+)$", setup, re.MULTILINE)[0]


@pytest.mark.skipif(not shutil.which("helm"), reason="needs helm")
def test_helm_accepts_the_chart() -> None:
    """`helm lint --strict`."""
    subprocess.run(
        ["helm", "lint", "--strict", CHART, "--set", "clickhouse.url=http://clickhouse:8123/pharos"],
        check=True,
        timeout=120,
    )
