"""May this database be written to? One that is not a test's is refused before it is opened."""

from __future__ import annotations

import os
import re
import tempfile
from fnmatch import fnmatch
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dbrewind.pytest_plugin.options import Options

_REMOTE = re.compile(r"nfs\d?|cifs|smb\d?|smbfs|afs|ceph|glusterfs|lustre|fuse\.(sshfs|glusterfs|ceph|rclone|s3fs)")
# Where "test" begins a word: "test.db", "app_test.db", "testing.db", not "latest.db".
_TEST = re.compile(r"(?<![a-z])test", re.IGNORECASE)


def check(path: Path, options: Options, root: Path, temporary: Path | None = None) -> None:
    """Raise ProductionError for a database that does not look like one of tests. Looks at its path only."""
    from dbrewind.testing.errors import ProductionError

    real = path.resolve()
    if not options.allow_remote and (kind := remote(real)):
        raise ProductionError(
            f"[DBR007] {path} is on a network file system ({kind}); tests write to it and rewind it, and others may "
            "use it. Nothing was opened. Use a local file, or say --dbrewind-allow-remote"
        )
    if not is_of_tests(real, options, root.resolve(), temporary):
        raise ProductionError(
            f"[DBR007] {path} does not look like a database of tests, which write to it and rewind it. Nothing was "
            'opened. Give it a name with "test" in it, such as '
            f"{path.with_name('test_' + path.name).name!r}, put it into a temporary folder, or allow it, in the ini "
            f"file: dbrewind_allow = {path}"
        )


def is_of_tests(path: Path, options: Options, root: Path, temporary: Path | None = None) -> bool:
    """Whether its path says that it is a test's."""
    folders = [tempfile.gettempdir(), "/tmp", "/var/tmp", "/dev/shm"]  # noqa: S108 - not written to
    if temporary is not None:
        folders.append(str(temporary))
    if any(path.is_relative_to(os.path.realpath(folder)) for folder in folders):
        return True
    inside = path.relative_to(root).parts if path.is_relative_to(root) else (path.name,)
    if any(_TEST.search(part) for part in inside):
        return True
    names = (str(path), path.name, "/".join(inside))
    return any(fnmatch(name, pattern) for name in names for pattern in options.allow)


def remote(path: Path, mounts: str | None = None) -> str:
    """The kind of the network file system that the path is on, or nothing."""
    if mounts is None:
        try:
            mounts = Path("/proc/mounts").read_text(errors="replace")
        except OSError:
            return ""
    best, kind = "", ""
    for line in mounts.splitlines():
        fields = line.split()
        if len(fields) < 3:
            continue
        place = fields[1].replace("\\040", " ")
        if len(place) >= len(best) and path.is_relative_to(place):
            best, kind = place, fields[2]
    return kind if _REMOTE.fullmatch(kind) else ""
