"""When the runs over a tier come, how far they look, and what is told of them."""

import threading
from collections.abc import Callable

import pytest

from gpuglass.keeper.metrics import registry
from gpuglass.keeper.rollups.keeper import RollupKeeper
from gpuglass.keeper.rollups.ledger import Counts
from gpuglass.keeper.rollups.plan import MINUTE, SCRAPE, Replay, Source, Span
from gpuglass.keeper.rollups.replay import ReplayError
from gpuglass.keeper.victoriametrics import QueryError

NOW = 1_800_000_000
DAY = 86400
N1, N2 = Source(SCRAPE, "n1"), Source(SCRAPE, "n2")


class Books:
    """A ledger in memory: what raw has, and what the tier was made of."""

    def __init__(self) -> None:
        self.samples: Counts = {}
        self.made_of: Counts = {}
        self.too_late: Counts = {}
        self.down = False
        self.starts = "1"
        self.oldest_asked = NOW

    def raw(self, span: Span, step: int) -> Counts:
        self.check()
        self.oldest_asked = min(self.oldest_asked, span.start)
        return summed(self.samples, span, step)

    def kept(self, span: Span, step: int) -> tuple[Counts, Counts]:
        self.check()
        return summed(self.made_of, span, step), summed(self.too_late, span, step)

    def note(self, windows: Counts) -> None:
        for source, found in windows.items():
            self.made_of.setdefault(source, {}).update(found)

    def note_late(self, windows: Counts) -> None:
        for source, found in windows.items():
            self.too_late.setdefault(source, {}).update(found)

    def check(self) -> None:
        if self.down:
            raise QueryError("the storage is away")

    def tier_started(self) -> str:
        return self.starts


def summed(counts: Counts, span: Span, step: int) -> Counts:
    found: Counts = {}
    for source, windows in counts.items():
        for window, samples in windows.items():
            if span.start < window <= span.end:
                end = span.start + -(-(window - span.start) // step) * step
                found.setdefault(source, {}).setdefault(end, 0.0)
                found[source][end] += samples
    return found


class Filler:
    """Takes the place of vmalert."""

    def __init__(self) -> None:
        self.asked: list[Replay] = []
        self.doing: Callable[[Replay], None] = lambda replay: None

    def run(self, replay: Replay) -> None:
        self.asked.append(replay)
        self.doing(replay)


class Scene:
    def __init__(self) -> None:
        self.books, self.filler, self.now = Books(), Filler(), NOW + 600.0
        self.stop = threading.Event()
        self.keeper = RollupKeeper(
            MINUTE,
            self.books,  # type: ignore[arg-type]
            self.filler,  # type: ignore[arg-type]
            6 * DAY,
            self.stop,
            lambda: self.now,
            settle=0,
        )

    def has(self, source: Source, *windows: int, samples: float = 12.0) -> None:
        self.books.samples.setdefault(source, {}).update(dict.fromkeys(windows, samples))


@pytest.fixture
def scene() -> Scene:
    return Scene()


def test_it_begins_soon_and_goes_on_when_windows_close(scene: Scene) -> None:
    assert scene.keeper.interval < 60
    scene.now += 7
    scene.keeper.check()
    assert scene.keeper.interval == 600 - 7
    assert scene.keeper.state.last_success == scene.now


def test_what_is_filled_is_noted_and_not_filled_again(scene: Scene) -> None:
    scene.has(N1, NOW - 60, NOW)
    scene.keeper.check()
    assert scene.filler.asked == [Replay(SCRAPE, ("n1",), NOW - 60, NOW)]
    assert scene.books.made_of == {N1: {NOW - 60: 12.0, NOW: 12.0}}
    scene.keeper.check()
    assert len(scene.filler.asked) == 1
    assert scene.keeper.state.windows == 2


def test_the_first_run_and_one_a_day_look_back_far_the_others_not(scene: Scene) -> None:
    def reach() -> float:
        scene.books.oldest_asked = NOW
        scene.keeper.check()
        return NOW - scene.books.oldest_asked

    assert reach() > 5 * DAY
    scene.now += 600
    assert reach() < DAY
    scene.now += DAY
    assert reach() > 4 * DAY


def test_a_run_goes_on_back_while_there_is_something_missing(scene: Scene) -> None:
    scene.keeper.check()
    scene.has(N1, *range(NOW - 2 * DAY, NOW, 3600))
    scene.now += 600
    scene.keeper.check()
    assert len(scene.books.made_of[N1]) == 48


def test_a_failure_is_told_and_tried_again_soon_then_less_often(scene: Scene) -> None:
    scene.books.down = True
    pauses = []
    for _ in range(8):
        scene.now = NOW + 600
        scene.keeper.check()
        pauses.append(scene.keeper.interval)
    assert pauses[:4] == [60, 120, 240, 480]
    assert max(pauses) <= 600
    assert (scene.keeper.state.failures, scene.keeper.state.last_success) == (8, None)
    scene.books.down = False
    scene.keeper.check()
    assert scene.keeper.state.last_success == NOW + 600


def test_one_node_that_cannot_be_filled_holds_up_no_other(scene: Scene) -> None:
    def refuse_n1(replay: Replay) -> None:
        if "n1" in replay.nodes:
            raise ReplayError("too many series")

    scene.filler.doing = refuse_n1
    scene.has(N1, NOW - 60)
    scene.has(N2, NOW)
    scene.keeper.check()
    assert scene.books.made_of == {N2: {NOW: 12.0}}
    assert (scene.keeper.state.pending, scene.keeper.state.oldest_pending) == (1, NOW - 60)


def test_a_storage_that_is_too_slow_is_asked_for_less_at_once(scene: Scene) -> None:
    def refuse_much(replay: Replay) -> None:
        if len(replay.nodes) * replay.windows_per_query > 30:
            raise ReplayError("timeout exceeded")

    scene.filler.doing = refuse_much
    sources = [Source(SCRAPE, f"n{number}") for number in range(7)]
    for source in sources:
        for window in range(40):
            scene.has(source, NOW - 60 * window)
    scene.keeper.check()
    assert {source: len(made) for source, made in scene.books.made_of.items()} == dict.fromkeys(
        sources, 40
    )
    assert (scene.keeper.state.pending, scene.keeper.state.failures) == (0, 0)


def test_the_least_that_can_be_asked_for_is_tried_once(scene: Scene) -> None:
    def refuse(replay: Replay) -> None:
        raise ReplayError("timeout exceeded")

    scene.filler.doing = refuse
    scene.has(N1, NOW)
    scene.has(N2, NOW)
    scene.keeper.check()
    least = [replay for replay in scene.filler.asked if replay.windows_per_query == 1]
    assert [replay.nodes for replay in least] == [("n1",), ("n2",)]
    assert (scene.keeper.state.pending, scene.keeper.state.failures) == (2, 1)


def test_nothing_is_noted_when_the_tier_started_again_meanwhile(scene: Scene) -> None:
    def restart(replay: Replay) -> None:
        scene.books.starts = "2"

    scene.filler.doing = restart
    scene.has(N1, NOW)
    scene.keeper.check()
    assert scene.books.made_of == {}
    assert scene.keeper.state.failures == 1


def test_late_samples_are_counted_once_however_many_come(scene: Scene) -> None:
    scene.has(N1, NOW - 60, samples=5)
    scene.keeper.check()
    for samples in (9, 9, 12):
        scene.has(N1, NOW - 60, samples=samples)
        scene.keeper.check()
    assert scene.keeper.state.late_windows == 1
    assert scene.books.too_late == {N1: {NOW - 60: 7.0}}
    assert len(scene.filler.asked) == 1


def test_a_keeper_that_ends_notes_nothing_and_counts_no_failure(scene: Scene) -> None:
    scene.has(N1, NOW)
    scene.stop.set()
    scene.keeper.check()
    assert scene.books.made_of == {}
    assert scene.keeper.state.failures == 0


def test_the_page_has_each_family_once_with_both_tiers(scene: Scene) -> None:
    families = list(registry([scene.keeper, scene.keeper]).collect())
    names = [family.name for family in families]
    assert len(names) == len(set(names))


def test_the_lag_grows_while_something_is_pending(scene: Scene) -> None:
    def lag() -> float:
        (found,) = (
            sample.value
            for family in scene.keeper.collect()
            for sample in family.samples
            if sample.name == "gpuglass_keeper_rollup_lag_seconds"
        )
        return found

    def refuse(replay: Replay) -> None:
        raise ReplayError("no")

    scene.keeper.check()
    assert lag() == 0
    scene.filler.doing = refuse
    scene.has(N1, NOW)
    scene.keeper.check()
    assert lag() == 600
    scene.now += 60
    assert lag() == 660
