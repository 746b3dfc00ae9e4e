"""nginx as a child process, with the configuration that is in `deploy/`, in front of a collector."""

import os
import re
import shutil
import ssl
import subprocess
import time
from pathlib import Path
from types import TracebackType

from tests.collector.live import START_SECONDS, Client
from tests.end_to_end.system import free_ports

CONFIGURATION = Path(__file__).parents[2] / "deploy/nginx.conf"
COLLECTOR, DASHBOARD = "telemetry.example.com", "pharos.example.com"
# All that a distribution's own nginx.conf has around ours, in a folder where any user may write.
AROUND = """daemon off;
pid nginx.pid;
error_log main.log;
worker_processes 1;
events {}
http {
    access_log access.log;
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
    include pharos.conf;
}
"""


class Nginx(Client):
    """`deploy/nginx.conf` with other ports, certificates and logs, and nothing else changed in it."""

    def __init__(self, folder: Path, collector: int, dashboard: int = 8050) -> None:
        program = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
        assert program, "nginx is not installed; `make test` does that (deploy/packages.sh), or apt install nginx-light"
        self.folder = folder
        self.plain_port, port, *unused = free_ports(4)
        super().__init__(port, certificate(folder), COLLECTOR)
        self.log = folder / "pharos.error.log"
        ports = {"80": self.plain_port, "443": port, "[::]:80": unused[0], "[::]:443": unused[1]}
        text = CONFIGURATION.read_text(encoding="utf-8")
        text = re.sub(r"(?<=listen )[^ ;]+", lambda found: f"127.0.0.1:{ports[found[0]]}", text)
        text = re.sub(r"/etc/letsencrypt/live/[^/]+", str(folder), text)
        text = text.replace("/var/log/nginx", str(folder)).replace("127.0.0.1:8000", f"127.0.0.1:{collector}")
        text = text.replace("127.0.0.1:8050", f"127.0.0.1:{dashboard}")
        (folder / "pharos.conf").write_text(text, encoding="utf-8")
        (folder / "nginx.conf").write_text(AROUND, encoding="utf-8")
        self._process = subprocess.Popen([program, "-p", folder, "-c", "nginx.conf", "-e", "main.log"])

    def __enter__(self) -> "Nginx":
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                self.connect().close()
            except OSError:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    self.stop()
                    raise AssertionError((self.folder / "main.log").read_text()) from None
                time.sleep(0.05)
            else:
                # Its folders for bodies and answers on disk go: if it needed one there would be a 503.
                for folder in ("body", "proxy"):
                    (self.folder / folder).rmdir()
                return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self.stop()

    def stop(self) -> None:
        """Stop it at once."""
        self._process.terminate()
        self._process.wait(30)


def certificate(folder: Path) -> ssl.SSLContext:
    """Make a certificate for both names; returns what trusts it and nothing else."""
    key, certificate = folder / "privkey.pem", folder / "fullchain.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
         "-subj", f"/CN={COLLECTOR}", "-addext", f"subjectAltName=DNS:{COLLECTOR},DNS:{DASHBOARD}",
         "-keyout", key, "-out", certificate],
        check=True,
        capture_output=True,
    )  # fmt: skip
    return ssl.create_default_context(cafile=str(certificate))
