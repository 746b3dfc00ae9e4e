"""The guides for the author of a module, followed word by word, with real PHP and a real Pharos."""

import json
import os
import re
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from http.cookiejar import CookieJar
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from tests.docs.markdown import ROOT, blocks, page
from tests.end_to_end.system import System, free_ports, running

IN_ANY_PHP = page("client_sdk/php/README.md").partition("## In any PHP")[2].partition("\n## ")[0]
IN_WHMCS = page("client_sdk/whmcs/README.md")


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """A Pharos on the embedded engine."""
    with running(tmp_path_factory.mktemp("guides") / "home", "embedded") as system:
        yield system


def shell(commands: str, folder: Path, system: System) -> None:
    """Run the commands of a guide in a folder, with the addresses of this system."""
    ours = commands.replace("http://127.0.0.1:8000", system.collector)
    ours = ours.replace(".venv/bin/pharos", f"{sys.executable} -m pharos")
    environ = {**os.environ, "PHAROS_HOME": str(system.home), "PYTHONPATH": str(ROOT)}
    done = subprocess.run(["bash", "-euc", ours], cwd=folder, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def opened(opener: urllib.request.OpenerDirector, url: str, **form: str) -> str:
    """Open a page, or post a form to it, once its server answers."""
    until = time.monotonic() + 60
    while True:
        try:
            with opener.open(url, urlencode(form).encode() if form else None, timeout=30) as answer:
                return str(answer.read().decode())
        except urllib.error.URLError:
            if time.monotonic() > until:
                raise
            time.sleep(0.1)


def test_the_guide_for_any_php(system: System, tmp_path: Path) -> None:
    """The commands and the three files of the guide lead from nothing to a choice on the page and a stored beacon."""
    first = next(block for block in blocks(IN_ANY_PHP, "sh") if "--development" in block)
    shell(first, tmp_path, system)
    names = re.findall(r"^`(try/\w+\.php)` ", IN_ANY_PHP, re.MULTILINE)
    for name, text in zip(names, blocks(IN_ANY_PHP, "php"), strict=True):
        (tmp_path / name).write_text(text)

    def cron() -> Any:
        return json.loads(subprocess.run(["php", "try/cron.php"], cwd=tmp_path, stdout=subprocess.PIPE).stdout)

    assert cron()["status"] == "off"
    port = free_ports(1)[0]
    url = f"http://127.0.0.1:{port}/page.php"
    opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(CookieJar()))
    with subprocess.Popen(
        ["php", "-S", f"127.0.0.1:{port}", "-t", "try"], cwd=tmp_path, stderr=subprocess.DEVNULL
    ) as server:
        try:
            token = re.search(r'pharos_token" value="(\w+)"', opened(opener, url))
            assert token
            assert "Saved." in opened(opener, url, pharos="choose", level="full", pharos_token=token[1])
            sent = cron()
            assert (sent["status"], sent["accepted"]) == ("sent", 1)
            assert "What is wrong" not in (shown := opened(opener, url))
            assert "report.page_view" in shown
        finally:
            server.terminate()
    again = cron()
    assert again["status"] == "not_due"
    assert again["next_in"] <= 60


def test_the_guide_for_whmcs(system: System, tmp_path: Path) -> None:
    """The commands put the sample and the client into WHMCS, and make the parts of a module of them."""
    addons = tmp_path / "whmcs" / "modules" / "addons"
    addons.mkdir(parents=True)
    shutil.copytree(ROOT / "client_sdk" / "whmcs", tmp_path / "client_sdk" / "whmcs")
    here = IN_WHMCS.replace("/var/www/whmcs", str(tmp_path / "whmcs"))
    first, second, third = blocks(here, "sh")
    shell(first, tmp_path, system)
    assert "namespace Acme\\Pharos" in (addons / "pharos_sample" / "lib" / "pharos.php").read_text()
    shell(second, tmp_path, system)
    shell(f"key=pdk_x\n{third}", tmp_path, system)
    module = addons / "invoice_pro"
    assert {path.name for path in module.glob("*")} >= {
        "invoice_pro.php",
        "pharos.php",
        "hooks.php",
        "lang",
        "whmcs.json",
    }
    for path in (*module.glob("*.php"), *module.glob("lang/*.php")):
        subprocess.run(["php", "-l", str(path)], check=True, capture_output=True)
    assert "namespace Example\\Pharos" in (module / "lib" / "pharos.php").read_text()
    parts = "".join(path.read_text() for path in module.glob("*.*"))
    assert "use Example\\Pharos\\Whmcs;" in parts
    assert not re.search(r"pharos_sample|PHAROS_SAMPLE|Pharos Sample|Acme|'sample\.", parts)
