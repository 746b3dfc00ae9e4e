"""gunicorn as Pharos configures it."""

import os
import pwd
import subprocess
import sys

import pytest

BECOMES_ANOTHER_USER = """
import os, sys
from core.http_server import HttpServer

os.setegid(int(sys.argv[2]))
os.seteuid(int(sys.argv[1]))


class Server(HttpServer):
    def load_config(self):
        pass


print(Server().cfg.uid, Server().cfg.gid)
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_workers_keep_the_user_that_root_became_after_the_import() -> None:
    """gunicorn's own default is the user at the time of the import: a worker would try to become root again."""
    nobody = pwd.getpwnam("nobody")
    user, group = str(nobody.pw_uid), str(nobody.pw_gid)
    done = subprocess.run(
        [sys.executable, "-c", BECOMES_ANOTHER_USER, user, group], capture_output=True, check=True, text=True
    )
    assert done.stdout.split() == [user, group]
