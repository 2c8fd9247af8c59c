"""Snapshots of the storages, which are gone when the backup is made, or given up."""

import contextlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path

from gpuglass.keeper.victoriametrics import QueryError, VictoriaMetrics
from gpuglass.text.files import replace

_RECORD = ".snapshots"


class Snapshots:
    """Takes and removes them.

    Args:
        storages: The storages by name, in the order in which they are to be taken.
        folder: Where it stands which ones there are, so that the next run can remove those of one
            that was killed. What even that forgets, VictoriaMetrics removes after three days.
    """

    def __init__(self, storages: Mapping[str, VictoriaMetrics], folder: Path) -> None:
        self._storages = storages
        self._record = folder / _RECORD
        self._taken: dict[str, str] = {}

    @contextlib.contextmanager
    def taken(self) -> Iterator[dict[str, str]]:
        """The names of new snapshots, one of each storage.

        Raises:
            QueryError: A storage does not give one.
            OSError: Nothing can be written to the folder.
        """
        self._remove(self._left_behind())
        try:
            for name, storage in self._storages.items():
                self._taken[name] = storage.create_snapshot()
                replace(self._record, json.dumps(self._taken).encode(), 0o600)
            yield dict(self._taken)
        finally:
            self._remove(self._taken)

    def _left_behind(self) -> dict[str, str]:
        try:
            found = json.loads(self._record.read_bytes())
            return {str(name): str(snapshot) for name, snapshot in found.items()}
        except (OSError, ValueError, AttributeError):
            return {}

    def _remove(self, snapshots: Mapping[str, str]) -> None:
        """Remove them where that can be done: a storage that has gone takes them along."""
        for name, snapshot in snapshots.items():
            if name in self._storages:
                with contextlib.suppress(QueryError):
                    self._storages[name].delete_snapshot(snapshot)
        self._record.unlink(missing_ok=True)
