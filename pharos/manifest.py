"""What a backup is: a folder of files, and a manifest, written last, that says what each of them must be.

credentials.sqlite, spool.sqlite, access.sqlite, synthetic, catalog.toml    of the home, as far as it has them
secret                                                 only if it was asked for
spool.duplicates/NAME.ids, NAME.filter                 duplicate ids that are not in the spool's file
tables/TABLE.DAY.NUMBER.native.gz                      rows, in ClickHouse's format Native
manifest.json                                          without it the folder is no backup
"""

import hashlib
from pathlib import Path

import msgspec

from core.home import derive, put
from warehouse.export import Part

NAME = "manifest.json"
FORMAT = 2  # 2: duplicate ids beside the spool's file; who does not know of them would take a beacon twice


class BackupError(Exception):
    """A backup cannot be made, read or restored; the message says why."""


class File(msgspec.Struct, frozen=True):
    """A file of a backup, by its path in the folder; `part` is what it holds of a table."""

    name: str
    size: int
    sha256: str
    part: Part | None = None


class Manifest(msgspec.Struct):
    """What a backup holds, and what made it.

    `fingerprint` is that of the root secret, "" when this home knows none; `tables` tells whether ClickHouse was
    asked at all.
    """

    format: int
    pharos: str
    made: str
    fingerprint: str
    tables: bool
    clickhouse: str
    migrations: dict[str, str]
    files: list[File]

    def of_home(self, name: str) -> bool:
        """Whether the backup holds this file of the home."""
        return any(file.name == name for file in self.files)

    def parts(self) -> list[tuple[File, Part]]:
        """The files that hold rows, with what they hold."""
        return [(file, file.part) for file in self.files if file.part]


class _Format(msgspec.Struct):
    format: int


class _Sealed(msgspec.Struct):
    sha256: str
    backup: msgspec.Raw


def write(folder: Path, manifest: Manifest) -> None:
    """Make the folder a backup: the last step of making it."""
    raw = msgspec.json.format(msgspec.json.encode(manifest), indent=1)
    put(folder / NAME, msgspec.json.encode(_Sealed(hashlib.sha256(raw).hexdigest(), msgspec.Raw(raw))))


def read(folder: Path) -> Manifest:
    """The manifest of a backup of which every file is what it was. Raises `BackupError`."""
    try:
        sealed = msgspec.json.decode((folder / NAME).read_bytes(), type=_Sealed)
    except FileNotFoundError:
        raise BackupError(f"{folder} is no backup, or one that was not finished: it has no {NAME}") from None
    except OSError as error:
        raise BackupError(f"{folder / NAME} cannot be read: {error.strerror}") from None
    except msgspec.DecodeError:
        raise BackupError(f"{folder / NAME} is damaged") from None
    if sealed.sha256 != hashlib.sha256(sealed.backup).hexdigest():
        raise BackupError(f"{folder / NAME} is damaged")
    if (made := msgspec.json.decode(sealed.backup, type=_Format).format) > FORMAT:
        raise BackupError(f"{folder} was made by a newer Pharos: its format is {made}, and this one reads {FORMAT}")
    manifest = msgspec.json.decode(sealed.backup, type=Manifest)
    for file in manifest.files:
        check(folder, file)
    return manifest


def check(folder: Path, file: File) -> None:
    """Raise `BackupError` when a file is not what it was when the backup was made."""
    try:
        if describe(folder, file.name, file.part) != file:
            raise BackupError(f"{folder / file.name} is damaged")
    except OSError as error:
        raise BackupError(f"{folder / file.name} cannot be read: {error.strerror}") from None


def describe(folder: Path, name: str, part: Part | None = None) -> File:
    """A file of a backup as it is on disk. Raises `OSError`."""
    with (folder / name).open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        return File(name, file.tell(), sha256, part)


def fingerprint(secret: bytes) -> str:
    """What tells one root secret from another, and nothing about either."""
    return derive(secret, "backup").hex()
