"""Which cards there are and whether they sleep, read from a tree of files."""

from pathlib import Path

import pytest
from tests.sysfs import Tree

from gpuglass.host.cards import Card, Cards

FIRST, SECOND = "0000:01:00.0", "0000:02:00.0"


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def cards(tree: Tree, clock: Clock) -> Cards:
    return Cards(tree.procfs, tree.sysfs, clock)


@pytest.mark.parametrize(
    ("control", "status", "may_sleep", "asleep"),
    [
        ("on", "active", False, False),
        ("auto", "active", True, False),
        ("auto", "suspended", True, True),
        ("auto", "suspending", True, True),
        ("auto", "resuming", True, False),
        ("auto", "unsupported", False, False),
        ("auto", "error", False, False),
        ("on", "suspended", False, True),
        (None, None, False, False),
    ],
)
def test_states(
    tree: Tree,
    cards: Cards,
    control: str | None,
    status: str | None,
    may_sleep: bool,
    asleep: bool,
) -> None:
    tree.card(FIRST, control, status)
    assert cards.read() == [Card(FIRST, may_sleep, asleep)]


def test_only_gpus_of_nvidia_count(tree: Tree, cards: Cards) -> None:
    tree.card("0000:00:02.0", vendor="0x8086")
    tree.card(FIRST, kind="0x030000")
    tree.card("0000:01:00.1", kind="0x040300")  # its audio
    tree.card("0000:01:00.2", kind="0x0c0330")  # its USB
    tree.card(SECOND, kind="0x030200")
    tree.card("0000:05:00.0", kind="0x068000")  # an NVSwitch
    assert [card.address for card in cards.read()] == [FIRST, SECOND]


def test_a_machine_without_such_a_bus(cards: Cards) -> None:
    assert cards.read() == []


def test_cards_come_and_go(tree: Tree, cards: Cards, clock: Clock) -> None:
    tree.card(FIRST)
    assert [card.address for card in cards.read()] == [FIRST]
    tree.card(SECOND)
    clock.now += 31
    assert [card.address for card in cards.read()] == [FIRST, SECOND]
    tree.remove(FIRST)
    assert cards.read()[0] == Card(FIRST, False, False)
    clock.now += 31
    assert [card.address for card in cards.read()] == [SECOND]


@pytest.mark.parametrize(
    ("says", "may_sleep"),
    [
        ("Enabled (fine-grained)", True),
        ("Enabled (coarse-grained)", True),
        ("Disabled by default", False),
        ("Not supported", False),
        ("?", True),
        (None, True),
    ],
)
def test_the_driver_may_keep_a_card_awake(
    tree: Tree, cards: Cards, clock: Clock, says: str | None, may_sleep: bool
) -> None:
    tree.card(FIRST, "auto", "active")
    if says:
        tree.driver_says(FIRST, says)
    assert cards.read() == [Card(FIRST, may_sleep, False)]
    # One that is asleep can sleep, and the driver is not asked of it.
    tree.set(FIRST, "suspended")
    assert cards.read() == [Card(FIRST, True, True)]
    clock.now += 31
    assert cards.read() == [Card(FIRST, True, True)]
