"""What of an installation a backup holds, and where that lies."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from gpuglass.keeper.folder import with_suffix

RAW, MINUTE, HOUR = "raw", "1m", "1h"
# The folder of each storage within that of the data.
_STORES = {
    RAW: "victoria-metrics",
    MINUTE: "victoria-metrics-1m",
    HOUR: "victoria-metrics-1h",
}
# Made anew by whoever needs it: what the keeper publishes, and what vmagent has not delivered yet.
_MADE_ANEW = {*_STORES.values(), "targets", "rules", "vmagent"}
_OWN_TARGET = "this-node.yml"
# By the folder of data what in it is made anew.
_PUBLISHED = "published"
_NOT_KEPT = {"grafana": {"log", "plugins", "png", "csv", "pdf"}}
# Ours, within a folder of the users'.
_SHIPPED = {"README.md", "base.yml", "messages.tmpl", "receivers.example.yml"}
# A copy of this while Grafana writes to it would be none, and its journal is of no other.
DATABASE = "grafana.db"
JOURNALS = ("grafana.db-journal", "grafana.db-wal", "grafana.db-shm")


class Place(NamedTuple):
    """A folder of which entries are kept.

    Attributes:
        key: Its path in a backup.
        folder: Where it is.
        kept: Tells by its name whether an entry is kept.
    """

    key: str
    folder: Path
    kept: Callable[[str], bool]

    def entries(self) -> list[Path]:
        """What is there to be kept.

        Raises:
            OSError: The folder cannot be listed.
        """
        if not self.folder.is_dir():
            return []
        return sorted(path for path in self.folder.iterdir() if self.kept(path.name))


@dataclass(frozen=True)
class Layout:
    """Where an installation lies.

    Attributes:
        source: Its clone: what people write, and ``gpuglass.env``.
        data: What was stored and made, a folder for each program.
        tiered: Whether its storage has tiers.
    """

    source: Path
    data: Path
    tiered: bool

    @property
    def profile(self) -> str:
        """How people call its storage."""
        return "tiered" if self.tiered else "single"

    def stores(self) -> dict[str, Path]:
        """The folders of the storages, the one with the samples themselves last.

        A tier is made of samples that are there for long: taken in this order, none is of samples
        that are missing.
        """
        names = (HOUR, MINUTE, RAW) if self.tiered else (RAW,)
        return {name: self.data / _STORES[name] for name in names}

    def store(self, key: str) -> Place:
        """A storage as a place: all that is in its folder but its lock."""
        return Place(f"storage/{key}", self.data / _STORES[key], _is_stored)

    def places(self, more: tuple[str, ...] = ()) -> Iterator[Place]:
        """What is kept besides the storages.

        Args:
            more: Keys of places that are meant even where they are not there yet.

        Raises:
            OSError: The folder of the data cannot be listed.
        """
        theirs = self.source / "victoriametrics"
        own = self._own_target()
        yield Place("settings", self.source, lambda name: name == "gpuglass.env")
        yield Place(
            "targets", theirs / "targets", lambda name: _is_target(name) and name not in own
        )
        yield Place("rules", theirs / "rules/custom", with_suffix(".yml", ".yaml"))
        yield Place("receivers", theirs / "alertmanager", _is_theirs)
        there = {path.name for path in self.data.iterdir() if path.is_dir()}
        asked = {key.removeprefix("data/") for key in more if key.startswith("data/")}
        for name in sorted(there | asked):
            if name not in _MADE_ANEW and not name.startswith("."):
                yield Place(
                    f"data/{name}",
                    self.data / name,
                    _unless({_PUBLISHED, *_NOT_KEPT.get(name, ())}),
                )

    def _own_target(self) -> set[str]:
        """Setup's own file is of this machine: it is made anew unless somebody changed it."""
        written = self.source / "victoriametrics/targets" / _OWN_TARGET
        try:
            is_own = written.read_bytes() == (self.data / _OWN_TARGET).read_bytes()
        except OSError:
            is_own = False
        return {_OWN_TARGET} if is_own else set()


def _is_stored(name: str) -> bool:
    return name not in {"flock.lock", "lost+found"} and not name.startswith(".")


_is_target = with_suffix(".yml", ".yaml", ".json")


def _is_theirs(name: str) -> bool:
    return name not in _SHIPPED and not name.startswith(".")


def _unless(names: set[str]) -> Callable[[str], bool]:
    return lambda name: name not in names and not name.startswith((".", "lost+found"))
