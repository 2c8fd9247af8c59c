"""Where the control socket is, if nobody says it."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

_NAME = "control.sock"
_RUN = Path("/run")
_TEMPORARY = Path("/tmp")


def to_listen(environment: Mapping[str, str], uid: int) -> Iterator[Path]:
    """Where an exporter may make its socket, the best place first.

    A folder of its own is made where it is not there yet.

    Args:
        environment: The exporter's environment.
        uid: Whom it runs as.
    """
    for folder in _folders(environment, uid):
        if _usable(folder, uid):
            yield folder / _NAME


def to_ask(environment: Mapping[str, str], uid: int) -> list[Path]:
    """Where an exporter's socket may be; root finds those of other users, too.

    Args:
        environment: The asker's environment.
        uid: Whom it runs as.
    """
    folders = list(_folders(environment, uid))
    if uid == 0:
        asker = environment.get("SUDO_UID", "")
        if asker.isdecimal():
            folders += _folders({}, int(asker))
        folders += sorted(_RUN.glob("user/*/gpuglass"))
    return [folder / _NAME for folder in dict.fromkeys(folders)]


def _folders(environment: Mapping[str, str], uid: int) -> Iterator[Path]:
    # systemd's RuntimeDirectory=, of which there may be several.
    given = environment.get("RUNTIME_DIRECTORY", "").split(":")[0]
    if given:
        yield Path(given)
    yield _RUN / "gpuglass"
    if uid != 0:
        session = environment.get("XDG_RUNTIME_DIR", "")
        if session.startswith("/"):
            yield Path(session, "gpuglass")
        yield _RUN / "user" / str(uid) / "gpuglass"
    yield _TEMPORARY / f"gpuglass-{uid}"


def _usable(folder: Path, uid: int) -> bool:
    """Whether the folder is there or could be made, and nobody else can put a socket into it."""
    try:
        folder.mkdir(mode=0o755 if folder.parent == _RUN else 0o700)
    except FileExistsError:
        pass
    except OSError:
        return False
    try:
        status = folder.lstat()
    except OSError:
        return False
    shared = folder.parent == _TEMPORARY
    if shared and (status.st_uid != uid or status.st_mode & 0o077):
        return False
    return os.access(folder, os.W_OK | os.X_OK)
