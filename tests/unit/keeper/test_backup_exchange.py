"""What is exchanged is so as a whole, whenever the process is killed."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from gpuglass.keeper.backup.exchange import Exchange
from gpuglass.keeper.backup.layout import Place

FILES = ("stored", "second", "settings")
BARRIER = "restore-in-progress"


def places(root: Path) -> tuple[list[Place], list[Place]]:
    def kept(name: str) -> bool:
        return not name.startswith((".", "shipped"))

    found = [Place(name, root / name, kept) for name in FILES]
    return found[:2], found[2:]


def prepare(root: Path) -> Exchange:
    """Old things in all places, and new ones put together beside them."""
    stores, others = places(root)
    exchange = Exchange(stores, others)
    for place in (*stores, *others):
        place.folder.mkdir()
        (place.folder / "shipped").write_text("ours")
        (place.folder / "same").write_text("old")
        (place.folder / "only-old").mkdir()
        (place.folder / "only-old/file").write_text("old")
        staged = exchange.staged(place)
        (staged / "same").write_text("new")
        (staged / "only-new").write_text("new")
    return exchange


def content(root: Path) -> dict[str, str]:
    return {
        path.relative_to(root).as_posix(): path.read_text()
        for path in root.rglob("*")
        if path.is_file()
    }


def expected(age: str) -> dict[str, str]:
    own = {"old": "only-old/file", "new": "only-new"}[age]
    return {
        f"{name}/{file}": text
        for name in FILES
        for file, text in (("shipped", "ours"), ("same", age), (own, age))
    }


def test_new_takes_the_place_of_old(tmp_path: Path) -> None:
    prepare(tmp_path).commit()
    assert content(tmp_path) == expected("new")


def test_without_commit_all_is_as_it_was(tmp_path: Path) -> None:
    prepare(tmp_path).settle()
    assert content(tmp_path) == expected("old")


def calls(monkeypatch: pytest.MonkeyPatch, before: Any) -> None:
    """Call something before each change that the exchange makes on disk."""
    for name in ("rename", "mkdir", "unlink", "replace", "rmdir"):
        real = getattr(os, name)

        def changed(*args: Any, _real: Any = real, **more: Any) -> Any:
            before()
            return _real(*args, **more)

        monkeypatch.setattr(os, name, changed)
    monkeypatch.setattr(os, "sync", lambda: None)


def steps(root: Path) -> int:
    """How many changes a whole exchange takes."""
    count = 0

    def one() -> None:
        nonlocal count
        count += 1

    with pytest.MonkeyPatch.context() as monkeypatch:
        exchange = prepare(root)
        calls(monkeypatch, one)
        exchange.commit()
    return count


def killed(act: Callable[[], None], at: int) -> int:
    """Let another process act, which is killed before the change ``at``; its exit code."""
    pid = os.fork()
    if pid == 0:
        left = at

        def one() -> None:
            nonlocal left
            left -= 1
            if left < 0:
                os._exit(9)

        calls(pytest.MonkeyPatch(), one)
        act()
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def kills(root: Path) -> Iterator[int]:
    root.mkdir()
    return iter(range(steps(root)))


def test_killed_anywhere_it_is_the_old_or_the_new_after_the_next_run(tmp_path: Path) -> None:
    ages = []
    for at in kills(tmp_path / "count"):
        root = tmp_path / str(at)
        root.mkdir()
        exchange = prepare(root)
        assert killed(exchange.commit, at) == 9
        stores, others = places(root)
        mixed = [content(root).get(f"{name}/same") for name in FILES]
        if mixed not in (["old"] * 3, ["new"] * 3):
            assert all((store.folder / BARRIER).exists() for store in stores), "it would start"
        again = Exchange(stores, others)
        again.settle()
        found = content(root)
        ages.append("new" if found == expected("new") else "old")
        assert found == expected(ages[-1])
    assert ages == sorted(ages, reverse=True)
    assert set(ages) == {"old", "new"}


def test_killed_anywhere_while_it_goes_back_nothing_is_lost(tmp_path: Path) -> None:
    """The worst case: killed, and the run that brings it to its end is killed too."""
    total = len(list(kills(tmp_path / "count")))
    for at in range(1, total, 6):
        for later in range(1, 30, 8):
            root = tmp_path / f"{at}-{later}"
            root.mkdir()
            exchange = prepare(root)
            assert killed(exchange.commit, at) == 9
            stores, others = places(root)
            assert killed(Exchange(stores, others).settle, later) in (0, 9)
            Exchange(stores, others).settle()
            assert content(root) in (expected("old"), expected("new"))


def test_failure_in_the_middle_takes_it_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    exchange = prepare(tmp_path)
    real, left = Path.rename, 7

    def rename(self: Path, target: Path) -> Path:
        nonlocal left
        left -= 1
        if left == 0:
            raise OSError(28, "No space left on device")
        return real(self, target)

    monkeypatch.setattr(Path, "rename", rename)
    with pytest.raises(OSError, match="No space left"):
        exchange.commit()
    assert content(tmp_path) == expected("old")
