"""Write a vendor's PHP client: the sources in `client_sdk/php` as one file, or two, in the vendor's own namespace."""

import hashlib
import re
from importlib.resources import files

# In this order: a class that stands before those that use it costs PHP less to load.
_FIRST = (
    "Config", "Quiet", "Clock", "Result", "Php", "Files", "Database", "Inbox", "FileInbox", "CapsuleInbox", "Counter",
    "Rest", "Client", "Whmcs",
)  # fmt: skip
_REST = (
    "Store", "Folder", "FileStore", "CapsuleStore", "Machine", "Transport", "State", "Counts", "Queue", "Verdict",
    "Module", "Rights", "Cron", "Page", "WhmcsHost", "Install",
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
    r"""Return the vendor's PHP client as one file, with namespace `<vendor>\Pharos`.

    Raises SdkError for a vendor, address or key that the client would not accept.
    """
    first, rest, inner, facade = _parts(vendor, collector, key)
    facade = "".join(line for line in facade.splitlines(keepends=True) if "REST" not in line)
    return f"{_head(vendor, '')}{facade}\n{_block(inner, first + rest)}"


def php_pair(vendor: str, collector: str, key: str, rest_name: str) -> tuple[str, str]:
    """Return the same client as two files: what a page needs that counts, and the rest, which stands beside it.

    PHP compiles the whole of a file, so what a page does not load costs it nothing. Raises SdkError as php() does.
    """
    first, rest, inner, facade = _parts(vendor, collector, key)
    facade = facade.replace("REST", _quoted(rest_name))
    # Two files of different versions have different namespaces: the first then takes the second for none.
    guard = f"namespace {inner};\n\nif (!\\defined('{inner}\\LOADED')) {{\n    return;\n}}\n\n"
    return (
        f"{_head(vendor, f' Its second file is {rest_name}: ship both.')}{facade}\n{_block(inner, _bare(first))}",
        f"{_head(vendor, ' The first file loads this one.')}{guard}{rest}",
    )


def _parts(vendor: str, collector: str, key: str) -> tuple[str, str, str, str]:
    """Return the classes of both files, the name of their own namespace, and the facade."""
    if not _VENDOR.fullmatch(vendor) or _RESERVED.fullmatch(vendor):
        raise SdkError("--vendor must be a PHP name that starts with a capital letter: Acme")
    if not _ADDRESS.fullmatch(collector):
        raise SdkError("--collector must be an https address without a query (http only to this machine)")
    if collector.rstrip("/").endswith("/v1/beacons"):
        raise SdkError("--collector is the address without /v1/beacons: the client adds the path")
    if not _KEY.fullmatch(key):
        raise SdkError("--key must be 1 to 512 visible ASCII characters")
    if key.endswith("...") or key.startswith(("prk_", "prt_")):
        raise SdkError("--key must be an ingest key, as pharos keys new prints it, whole")
    bodies = {name: _body(_source(f"src/{name}.php")) for name in _FIRST}
    for name, value in {"VENDOR": vendor, "COLLECTOR": collector.rstrip("/"), "KEY": key}.items():
        before, _, after = bodies["Config"].partition(f"const {name} = '")
        after = after.partition("'")[2]
        bodies["Config"] = f"{before}const {name} = '{_quoted(value)}'{after}"
    first = "\n".join(bodies.values())
    rest = "\n".join(_body(_source(f"src/rest/{name}.php")) for name in _REST)
    facade = _source("facade.php").partition("\n\n")[2]
    whole = hashlib.sha256((facade + first + rest).encode()).hexdigest()
    inner = f"V{_version().replace('.', '_')}_{whole[:8]}"
    facade = facade.replace("VERSION", _version()).replace("INNER", inner)
    facade = facade.replace("Pharos\\", f"{vendor}\\Pharos\\")
    facade = facade.replace("namespace Pharos", f"namespace {vendor}\\Pharos")
    return first, rest, f"{vendor}\\Pharos\\{inner}", facade


def _head(vendor: str, of: str) -> str:
    return (
        f"<?php\n\n/**\n * Pharos for {vendor}, version {_version()}. Do not edit: `pharos sdk` writes this file.{of}\n"
        " * Needs PHP 7.4 or newer, ext-json, and ext-curl or PHP's streams.\n */\n\ndeclare(strict_types=1);\n\n"
    )


def _block(inner: str, classes: str) -> str:
    return f"namespace {inner} {{\n\n{classes}}}\n"


def _bare(code: str) -> str:
    """Return the code without comments that have lines of their own: without opcache each page would read them."""
    code = re.sub(r"^ */\*\*.*?\*/\n", "", code, flags=re.MULTILINE | re.DOTALL)
    return re.sub(r"^ *//.*\n", "", code, flags=re.MULTILINE)


def _quoted(value: str) -> str:
    return value.replace("\\", "\\\\").replace("'", "\\'")


def _version() -> str:
    found = re.search(r"VERSION = '([^']+)'", _source("src/Config.php"))
    assert found  # noqa: S101
    return found[1]


def _source(name: str) -> str:
    return files("client_sdk").joinpath("php", name).read_text(encoding="utf-8")


def _body(source: str) -> str:
    """Return what follows the namespace of a source file."""
    return source.partition("namespace Pharos;\n\n")[2]
