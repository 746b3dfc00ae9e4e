"""Write a vendor's PHP client: the sources in `client_sdk/php` as one file in the vendor's own namespace."""

import hashlib
import re
from importlib.resources import files

# In this order: a class that stands before those that use it costs PHP less to load.
_CLASSES = (
    "Config", "Quiet", "Clock", "Result", "Store", "Files", "FileStore", "CapsuleStore", "Machine", "Transport",
    "State", "Counts", "Queue", "Verdict", "Counter", "Client", "Rights", "Cron", "Install", "Page",
    "Whmcs",
)  # fmt: skip
_ADDRESS = re.compile(r"(https://[^/\s?#@]+|http://(localhost|127\.[\d.]+|\[::1\])(:\d+)?)(/[^\s?#]*)?", re.IGNORECASE)
_KEY = re.compile(r"[!-~]{1,512}")
_VENDOR = re.compile(r"[A-Z][A-Za-z0-9_]{0,39}")
# Before PHP 8 no part of a namespace may be one of these words.
_RESERVED = re.compile(
    "abstract|and|array|as|break|callable|case|catch|class|clone|const|continue|declare|default|do|echo|else|elseif|empty|"
    "enddeclare|endfor|endforeach|endif|endswitch|endwhile|eval|exit|extends|final|finally|fn|for|foreach|function|global|"
    "goto|if|implements|include|instanceof|insteadof|interface|isset|list|namespace|new|or|print|private|protected|public|"
    "require|return|static|switch|throw|trait|try|unset|use|var|while|xor|yield",
    re.IGNORECASE,
)


class SdkError(Exception):
    """An option that no client can be made of."""


def php(vendor: str, collector: str, key: str) -> str:
    r"""Return the vendor's PHP file, with namespace `<vendor>\Pharos`.

    Raises SdkError for a vendor, address or key that the client would not accept.
    """
    if not _VENDOR.fullmatch(vendor) or _RESERVED.fullmatch(vendor):
        raise SdkError("--vendor must be a PHP name that starts with a capital letter: Acme")
    if not _ADDRESS.fullmatch(collector):
        raise SdkError("--collector must be an https address without a query (http only to this machine)")
    if not _KEY.fullmatch(key):
        raise SdkError("--key must be 1 to 512 visible ASCII characters")
    bodies = {name: _body(_source(f"src/{name}.php")) for name in _CLASSES}
    config = {"VENDOR": vendor, "COLLECTOR": collector.rstrip("/"), "KEY": key}
    for name, value in config.items():
        before, _, rest = bodies["Config"].partition(f"const {name} = '")
        quoted = value.replace("\\", "\\\\").replace("'", "\\'")
        after = rest.partition("'")[2]
        bodies["Config"] = f"{before}const {name} = '{quoted}'{after}"
    version = re.search(r"VERSION = '([^']+)'", bodies["Config"])
    assert version  # noqa: S101
    whole = "\n".join(bodies.values())
    inner = f"V{version[1].replace('.', '_')}_{hashlib.sha256(whole.encode()).hexdigest()[:8]}"
    facade = _source("facade.php").partition("\n\n")[2]
    facade = facade.replace("VERSION", version[1]).replace("INNER", inner)
    facade = facade.replace("Pharos\\", f"{vendor}\\Pharos\\")
    facade = facade.replace("namespace Pharos", f"namespace {vendor}\\Pharos")
    head = (
        f"<?php\n\n/**\n * Pharos for {vendor}, version {version[1]}. Do not edit: `pharos sdk` writes this file.\n"
        " * Needs PHP 7.4 or newer, ext-json, and ext-curl or PHP's streams.\n */\n\ndeclare(strict_types=1);\n\n"
    )
    return f"{head}{facade}\nnamespace {vendor}\\Pharos\\{inner} {{\n\n{whole}}}\n"


def _source(name: str) -> str:
    return files("client_sdk").joinpath("php", name).read_text(encoding="utf-8")


def _body(source: str) -> str:
    """Return what follows the namespace of a source file."""
    return source.partition("namespace Pharos;\n\n")[2]
