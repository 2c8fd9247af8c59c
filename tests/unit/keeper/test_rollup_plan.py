"""Which windows a tier lacks, and how few replays fill them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpuglass.keeper.rollups import plan
from gpuglass.keeper.rollups.plan import HOUR, MINUTE, RULES, SCRAPE, Gaps, Replay, Source, Span

DAY = 86400
NOW = 1_800_000_000  # a whole hour
A, B = Source(SCRAPE, "a"), Source(SCRAPE, "b")
OWN, ALERTS = Source(SCRAPE), Source(RULES)


def gaps(missing: dict[Source, list[int]], fixed: dict[Source, list[int]] | None = None) -> Gaps:
    return Gaps(
        {source: dict.fromkeys(windows, 4.0) for source, windows in missing.items()},
        {},
        0,
        {source: set((fixed or {}).get(source, ())) for source in missing},
    )


@pytest.mark.parametrize(
    ("tier", "after", "closed"),
    [
        (MINUTE, 0, -600),
        (MINUTE, 59.9, -600),
        (MINUTE, 60, -540),
        (HOUR, 1799.9, -3600),
        (HOUR, 1800, 0),
        (HOUR, 5399, 0),
    ],
)
def test_windows_close_late(tier: plan.Tier, after: float, closed: int) -> None:
    assert tier.closed(NOW + after) == NOW + closed


@pytest.mark.parametrize("tier", [MINUTE, HOUR])
@given(st.floats(0, DAY))
def test_the_next_run_comes_when_windows_have_closed(tier: plan.Tier, after: float) -> None:
    now = NOW + after
    run = tier.next_run(now)
    assert now < run <= now + tier.interval
    assert tier.closed(run) == run - tier.delay


def test_spans_end_with_the_newest_closed_window_and_never_reach_too_far() -> None:
    spans = plan.spans(MINUTE, NOW + 1234, 2 * 3600)
    assert spans == [
        Span(NOW - 3600, NOW),
        Span(NOW, NOW + 600),
    ]
    assert plan.spans(MINUTE, NOW + 600, 3600) == [Span(NOW - 3600, NOW)]


def test_missing_and_late_windows_are_told_apart() -> None:
    raw = {A: {60: 12.0, 120: 12.0, 180: 9.0, 240: 12.0}, B: {60: 3.0}}
    kept = {A: {60: 12.0, 120: 7.0, 180: 5.0}}
    found = plan.compare(raw, kept, {A: {180: 1.0}})
    assert found.missing == {A: {240: 12.0}, B: {60: 3.0}}
    assert found.late == {A: {120: 5.0, 180: 4.0}}
    assert found.newly_late == 1
    assert found.fixed == {A: {120, 180}, B: set()}


def test_late_samples_that_are_known_are_no_news() -> None:
    found = plan.compare({A: {60: 12.0}}, {A: {60: 7.0}}, {A: {60: 5.0}})
    assert (found.missing, found.late, found.newly_late) == ({}, {}, 0)


def test_samples_that_raw_has_lost_are_no_news() -> None:
    found = plan.compare({A: {60: 2.0}}, {A: {60: 12.0, 120: 12.0}}, {})
    assert (found.missing, found.late, found.newly_late) == ({}, {}, 0)
    assert plan.differing({A: {60: 2.0}}, {A: {60: 12.0}}, {}) == set()


def test_nodes_that_lack_the_same_are_filled_together() -> None:
    replays = list(plan.replays(gaps({A: [60, 120], B: [60, 120]}), 60))
    assert replays == [Replay(SCRAPE, ("a", "b"), 60, 120)]


def test_our_own_components_and_rules_are_filled_by_themselves() -> None:
    replays = set(plan.replays(gaps({A: [60], OWN: [60], ALERTS: [60]}), 60))
    assert replays == {
        Replay(SCRAPE, ("a",), 60, 60),
        Replay(SCRAPE, ("",), 60, 60),
        Replay(RULES, ("",), 60, 60),
    }


def test_one_replay_bridges_what_is_filled_but_not_what_must_stay() -> None:
    lacking = {A: [60, 240, 300]}
    assert list(plan.replays(gaps(lacking), 60)) == [Replay(SCRAPE, ("a",), 60, 300)]
    assert list(plan.replays(gaps(lacking, {A: [120]}), 60)) == [
        Replay(SCRAPE, ("a",), 60, 60),
        Replay(SCRAPE, ("a",), 240, 300),
    ]


def test_many_nodes_are_parted_and_each_query_stays_small() -> None:
    nodes = [Source(SCRAPE, f"n{number:04}") for number in range(120)]
    replays = list(plan.replays(gaps({node: [60, 120] for node in nodes}), 60))
    assert sorted(name for r in replays for name in r.nodes) == [node.node for node in nodes]
    assert max(len(replay.nodes) for replay in replays) <= 50
    assert all(len(r.nodes) * r.windows_per_query <= 500 for r in replays)


WINDOWS = st.dictionaries(st.integers(1, 12).map(lambda n: n * 60), st.integers(1, 5).map(float))
COUNTS = st.dictionaries(st.sampled_from([A, B, OWN, ALERTS]), WINDOWS)


@given(raw=COUNTS, kept=COUNTS, late=COUNTS)
def test_replays_fill_all_that_is_missing_once_and_change_nothing_else(
    raw: plan.Windows, kept: plan.Windows, late: plan.Windows
) -> None:
    # Samples can come too late only for what was rolled up.
    late = {
        source: {w: n for w, n in windows.items() if w in kept.get(source, {})}
        for source, windows in late.items()
    }
    found = plan.compare(raw, kept, late)
    filled: list[tuple[Source, int]] = []
    for replay in plan.replays(found, 60):
        for source, windows in plan.filled(found, replay).items():
            filled += [(source, window) for window in windows]
        for node in replay.nodes:
            source = Source(replay.kind, node)
            for window in range(replay.first, replay.last + 1, 60):
                samples = raw.get(source, {}).get(window, 0)
                known = kept.get(source, {}).get(window, samples)
                assert known >= samples
                assert window not in late.get(source, {})
    assert sorted(filled) == sorted((s, w) for s, ws in found.missing.items() for w in ws)
