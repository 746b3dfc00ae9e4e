"""Simulates a power cut: strace records the system calls of a process, and `Disk` computes what may be on disk.

Synced data is on disk: the bytes of a file after its fsync or fdatasync, a directory entry after fsync of the
directory. Any part of the rest may be there: nothing, all, whole writes, sectors of a write, or entries.
"""

import json
import os
import random
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

SECTOR = 512
CALLS = (
    "openat,creat,write,pwrite64,writev,pwritev,pwritev2,ftruncate,truncate,fallocate,copy_file_range,sendfile,"
    "fsync,fdatasync,sync_file_range,unlink,unlinkat,link,linkat,rename,renameat,renameat2,mkdir,mkdirat,symlink"
)
_CALL = re.compile(r"^(?:\d+ +)?(?P<name>\w+)\((?P<arguments>.*)\) += (?P<result>-?\d+)")
_TEXT = re.compile(r'[<"]((?:\\x[0-9a-f]{2})*)[">]')
_NUMBER = re.compile(r", (\d+)")


@dataclass(frozen=True)
class Call:
    """A system call that changes the disk. `path` is relative to the recorded folder."""

    name: str
    path: str
    data: bytes = b""
    number: int = 0
    other: str = ""


def record(command: list[str], folder: Path, marks: Path) -> list[Call]:
    """Run a command; return its calls below `folder`, with its writes to `marks` as calls named `mark`."""
    trace = folder.parent / "trace"
    strace = ["strace", "-f", "-y", "-xx", "-s", str(1 << 20), "-e", f"trace={CALLS}", "-o", str(trace)]
    subprocess.run([*strace, *command], check=True, timeout=120)
    calls = []
    for line in trace.read_text().splitlines():
        found = _CALL.match(line)
        if found is None or int(found["result"]) < 0:
            continue
        texts = [bytes.fromhex(text.replace("\\x", "")) for text in _TEXT.findall(found["arguments"])]
        name, paths = found["name"], [os.fsdecode(text) for text in texts if text.startswith(b"/")]
        if name == "write" and paths and paths[0] == str(marks):
            calls.append(Call("mark", "", texts[-1]))
        elif any(path == str(folder) or path.startswith(f"{folder}/") for path in paths):
            calls.append(
                _call(name, folder, [p for p in paths if p.startswith(str(folder))], texts, found["arguments"])
            )
    return [call for call in calls if not call.path.endswith("-shm")]  # made anew from the log after a cut


def _call(name: str, folder: Path, paths: list[str], texts: list[bytes], arguments: str) -> Call:
    path, *more = (os.path.relpath(each, folder) for each in paths)
    match name:
        case "openat":
            return Call("create" if "O_CREAT" in arguments else "open", path)
        case "pwrite64":
            return Call("write", path, texts[-1], int(_NUMBER.findall(arguments)[-1]))
        case "write":
            return Call("append", path, texts[-1])
        case "ftruncate":
            return Call("truncate", path, number=int(_NUMBER.findall(arguments)[-1]))
        case "fsync" | "fdatasync":
            return Call("sync", path)
        case "linkat":  # as Python 3.14 links
            return Call("link", path, other=more[0])
        case "link" | "mkdir" | "unlink":
            return Call(name, path, other=more[0] if more else "")
    raise AssertionError(f"{name} is not known here: {path}")


@dataclass
class _File:
    content: bytearray = field(default_factory=bytearray)
    later: list[Call] = field(default_factory=list)  # not synced


class Disk:
    """The state of a disk after the calls so far: what is synced, and what is not."""

    def __init__(self) -> None:
        self._files: dict[int, _File] = {}
        self._now: dict[str, int | None] = {}  # entries as the process sees them; None is a folder
        self._owed: dict[str, int | None] = {}
        self._later: list[tuple[str, int | None, bool]] = []

    def do(self, call: Call) -> None:
        """Apply a call."""
        number = self._now.get(call.path)
        match call.name:
            case "create":
                if call.path not in self._now:
                    self._files[len(self._files)] = _File()
                    self._enter(call.path, len(self._files) - 1)
            case "mkdir":
                self._enter(call.path, None)
            case "link":
                self._enter(call.other, number)
            case "unlink":
                del self._now[call.path]
                self._later.append((call.path, number, False))
            case "sync":
                self._sync(call.path)
            case "write" | "append" | "truncate":
                assert number is not None
                self._files[number].later.append(call)

    def _sync(self, path: str) -> None:
        number = self._now.get(path)
        if number is not None:
            file = self._files[number]
            for call in file.later:
                _apply(file.content, call)
            file.later.clear()
            return
        for entry in [one for one in self._later if os.path.dirname(one[0]) == path.removeprefix(".")]:
            self._later.remove(entry)
            _change(self._owed, entry)

    def _enter(self, path: str, number: int | None) -> None:
        self._now[path] = number
        self._later.append((path, number, True))

    def after_a_cut(self, rest: random.Random | bool) -> Iterator[tuple[str, bytes | None]]:
        """Yield the files and folders (None) after a power cut: all synced data, and all, none or a random part of the
        rest."""
        entries = dict(self._owed)
        for each in self._later:
            if rest if isinstance(rest, bool) else rest.random() < 0.5:
                _change(entries, each)
        for path, number in sorted(entries.items()):
            if number is None:
                yield path, None
            elif os.path.dirname(path) in ("", *entries):
                content = bytearray(self._files[number].content)
                for call in self._files[number].later:
                    if rest is True:
                        _apply(content, call)
                    elif rest and rest.random() < 0.7:
                        _apply(content, _torn(call, rest))
                yield path, bytes(content)


def _change(entries: dict[str, int | None], each: tuple[str, int | None, bool]) -> None:
    path, number, there = each
    if there:
        entries[path] = number
    elif entries.get(path, -1) == number:
        del entries[path]


def _apply(content: bytearray, call: Call) -> None:
    if call.name == "truncate":
        del content[call.number :]
        content.extend(bytes(call.number - len(content)))
        return
    start = len(content) if call.name == "append" else call.number
    content.extend(bytes(max(0, start - len(content))))
    content[start : start + len(call.data)] = call.data


def _torn(call: Call, chance: random.Random) -> Call:
    """Return the call, or in one of three cases only the first or last sectors of its write."""
    if call.name != "write" or chance.random() < 0.67:
        return call
    cut = (call.number // SECTOR + chance.randrange(1, len(call.data) // SECTOR + 2)) * SECTOR - call.number
    if chance.random() < 0.5:
        return Call("write", call.path, call.data[:cut], call.number)
    return Call("write", call.path, call.data[cut:], call.number + min(cut, len(call.data)))


def marks(calls: list[Call]) -> list[Any]:
    """Return the reports of the process, in order."""
    return [json.loads(call.data) for call in calls if call.name == "mark"]
