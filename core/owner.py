"""Run as the owner of the home when root runs a command. The service cannot use files that root creates there."""

import ctypes
import os
import pwd
import sys
from pathlib import Path

_PR_SET_KEEPCAPS = 8
_CAP_DAC_READ_SEARCH = 2
_CAPABILITY_VERSION_3 = 0x20080522


class OwnerError(Exception):
    """Root cannot become the user that owns the home. The message says why."""


def foreign_owner(path: Path) -> int | None:
    """Return the id of the user that owns `path` if this process is root and that user is not. None otherwise."""
    try:
        owner = path.stat().st_uid
    except OSError:  # using the path reports the error
        return None
    return owner if os.geteuid() == 0 and owner != 0 else None


def become_owner(path: Path, *, keep_reading: bool) -> None:
    """As root, become the user that owns `path`, with that user's groups, for the rest of the process.

    With `keep_reading` the process can still read every file that root can: a backup, a file to import, Python itself.
    Does nothing for other users, and for a path that root owns or that does not exist. Raises `OwnerError`.
    """
    owner = foreign_owner(path)
    if owner is None:
        return
    libc = ctypes.CDLL(None)
    try:
        if keep_reading:
            libc.prctl(_PR_SET_KEEPCAPS, 1)
        try:
            account = pwd.getpwuid(owner)
        except KeyError:  # a user of another machine or container
            group = path.stat().st_gid
            os.setgroups([group])
        else:
            group = account.pw_gid
            os.initgroups(account.pw_name, group)
            os.environ.update(HOME=account.pw_dir, USER=account.pw_name, LOGNAME=account.pw_name)
        os.setgid(group)
        os.setuid(owner)
    except OSError as error:
        raise OwnerError(
            f"{path} belongs to {user_name(owner)}, and root cannot become that user: {error.strerror}"
        ) from None
    if keep_reading:
        # If the process lacks this capability (in a container), only the user's own permissions apply.
        only = 1 << _CAP_DAC_READ_SEARCH
        libc.capset((ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0), (ctypes.c_uint32 * 6)(only, only))
    elif not os.access(sys.executable, os.X_OK) or not os.access(__file__, os.R_OK):
        raise OwnerError(f"{user_name(owner)}, the owner of {path}, cannot run Pharos from {Path(sys.prefix)}")


def user_name(uid: int) -> str:
    """Return the name of a user, or its number if it has no name here."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"


def hand_over(folder: Path, owner: Path) -> None:
    """As root, create `folder` and give it to the user that owns `owner`, if it is new, or empty and owned by root.

    Does nothing for other users. The user may still be able to use a folder that is not handed over. Raises `OSError`.
    """
    uid = foreign_owner(owner)
    if uid is None:
        return
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    # Use a descriptor, not the path: the user may be able to replace the folder with a link.
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        if os.fstat(descriptor).st_uid == 0 and not os.listdir(descriptor):  # noqa: PTH208 - of a descriptor
            os.fchown(descriptor, uid, owner.stat().st_gid)
    finally:
        os.close(descriptor)
