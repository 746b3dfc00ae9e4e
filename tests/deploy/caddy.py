"""Caddy as a child process, with the configuration that is in `deploy/`, in front of a collector."""

import os
import shutil
import subprocess
import time
from pathlib import Path
from types import TracebackType

from tests.collector.live import START_SECONDS, Client
from tests.deploy.nginx import COLLECTOR, certificate
from tests.end_to_end.system import free_ports

CONFIGURATION = Path(__file__).parents[2] / "deploy/Caddyfile"
PROGRAM = shutil.which("caddy")


class Caddy(Client):
    """`deploy/Caddyfile` with other ports and certificates, and nothing else changed in it."""

    def __init__(self, folder: Path, collector: int, dashboard: int) -> None:
        assert PROGRAM is not None
        self.folder, self.log = folder, folder / "caddy.log"
        self.plain_port, port = free_ports(2)
        super().__init__(port, certificate(folder), COLLECTOR)
        text = CONFIGURATION.read_text(encoding="utf-8")
        ours = f"admin off\n\thttp_port {self.plain_port}\n\thttps_port {port}\n\tdefault_bind 127.0.0.1\n"
        text = text.replace("\n{\n", f"\n{{\n\t{ours}", 1)
        text = text.replace(
            "\timport tls_only\n", f"\ttls {folder}/fullchain.pem {folder}/privkey.pem\n\timport tls_only\n"
        )
        text = text.replace("127.0.0.1:8000", f"127.0.0.1:{collector}")
        text = text.replace("127.0.0.1:8050", f"127.0.0.1:{dashboard}")
        (folder / "Caddyfile").write_text(text, encoding="utf-8")
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                [PROGRAM, "run", "--config", folder / "Caddyfile"],
                env={**os.environ, "HOME": str(folder), "XDG_DATA_HOME": str(folder), "XDG_CONFIG_HOME": str(folder)},
                stdout=log,
                stderr=log,
            )

    def __enter__(self) -> "Caddy":
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                self.connect().close()
            except OSError:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    self.stop()
                    raise AssertionError(self.log.read_text()) from None
                time.sleep(0.05)
            else:
                return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self.stop()

    def stop(self) -> None:
        """Stop it at once."""
        self._process.terminate()
        self._process.wait(30)
