"""Files that root has made belong to those whose folder they are in."""

import os
from pathlib import Path


def give(tree: Path, like: Path) -> None:
    """Give a file, or a folder with all that is in it, to the owner of another one; only root can.

    Raises:
        OSError: A file cannot be given.
    """
    if os.geteuid() != 0:
        return
    owner = like.stat()
    os.chown(tree, owner.st_uid, owner.st_gid)
    for parent, _, names in os.walk(tree):
        for path in (Path(parent), *(Path(parent) / name for name in names)):
            os.chown(path, owner.st_uid, owner.st_gid, follow_symlinks=False)
