"""The format of a backup: a folder of files, and a manifest, written last, with the size and hash of each file.

credentials.sqlite, spool.sqlite, access.sqlite,
dashboard.sqlite, synthetic, catalog.toml              from the home, if they exist
secret                                                 only if requested
spool.duplicates/NAME.ids, NAME.filter                 duplicate ids that are not in the spool's file
tables/TABLE.DAY.NUMBER.native.gz                      rows, in ClickHouse's format Native
manifest.json                                          required: without it the folder is not a backup
"""

import hashlib
from pathlib import Path

import msgspec

from core.home import put
from warehouse.export import Part

NAME = "manifest.json"
FORMAT = 2  # 2: duplicate ids beside the spool's file; a reader that ignores them would accept a beacon twice


class BackupError(Exception):
    """A backup cannot be written, read or restored. The message says why."""


class File(msgspec.Struct, frozen=True):
    """A file of a backup, by its path in the folder. `part` is the part of a table that it contains."""

    name: str
    size: int
    sha256: str
    part: Part | None = None


class Manifest(msgspec.Struct):
    """The contents of a backup, and the version that made it.

    `fingerprint` identifies the root secret, "" if the home has none. `tables` is whether the backup includes the
    tables of ClickHouse.
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
        """Whether the backup contains this file of the home."""
        return any(file.name == name for file in self.files)

    def parts(self) -> list[tuple[File, Part]]:
        """Return the files that contain rows, with their parts."""
        return [(file, file.part) for file in self.files if file.part]


class _Format(msgspec.Struct):
    format: int


class _Sealed(msgspec.Struct):
    sha256: str
    backup: msgspec.Raw


def write(folder: Path, manifest: Manifest) -> None:
    """Write the manifest. This is the last step of a backup and completes it."""
    raw = msgspec.json.format(msgspec.json.encode(manifest), indent=1)
    put(folder / NAME, msgspec.json.encode(_Sealed(hashlib.sha256(raw).hexdigest(), msgspec.Raw(raw))))


def read(folder: Path) -> Manifest:
    """Return the manifest of a backup after checking every file. Raises `BackupError`."""
    try:
        sealed = msgspec.json.decode((folder / NAME).read_bytes(), type=_Sealed)
    except FileNotFoundError:
        raise BackupError(f"{folder} is not a backup, or was not finished: it has no {NAME}") from None
    except OSError as error:
        raise BackupError(f"{folder / NAME} cannot be read: {error.strerror}") from None
    except msgspec.DecodeError:
        raise BackupError(f"{folder / NAME} is damaged") from None
    if sealed.sha256 != hashlib.sha256(sealed.backup).hexdigest():
        raise BackupError(f"{folder / NAME} is damaged")
    if (made := msgspec.json.decode(sealed.backup, type=_Format).format) > FORMAT:
        raise BackupError(f"{folder} was made by a newer Pharos: its format is {made}, this version reads {FORMAT}")
    manifest = msgspec.json.decode(sealed.backup, type=Manifest)
    for file in manifest.files:
        check(folder, file)
    return manifest


def check(folder: Path, file: File) -> None:
    """Raise `BackupError` if a file has changed since the backup was made."""
    try:
        if describe(folder, file.name, file.part) != file:
            raise BackupError(f"{folder / file.name} is damaged")
    except OSError as error:
        raise BackupError(f"{folder / file.name} cannot be read: {error.strerror}") from None


def describe(folder: Path, name: str, part: Part | None = None) -> File:
    """Describe a file of a backup as it is on disk. Raises `OSError`."""
    with (folder / name).open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        return File(name, file.tell(), sha256, part)
