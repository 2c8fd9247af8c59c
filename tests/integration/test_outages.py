"""What is left in the store when a part of the path was away."""

import json
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families
from tests.integration.conftest import Fleet
from tests.integration.recorder import Recorder
from tests.integration.stack import SCRAPE_INTERVAL, Labels, Samples, Stack, wait_for
from tests.ports import free_port

OUTAGE = 60.0
# A scrape that comes a little late makes a longer step, but not one of two intervals.
STEP = 1.9 * SCRAPE_INTERVAL
# VictoriaMetrics keeps what it acknowledged this long in memory alone: -inmemoryDataFlushInterval
# is 5 s, and its parts wait for their turn. Measured: 7 to 14 s.
UNSAVED = 25.0
# After 5 s without VictoriaMetrics vmagent queues on disk.
QUEUEING = 10.0
FLUSH = 1.0  # vmagent's -remoteWrite.flushInterval


def gaps(series: dict[Labels, Samples], since: float, until: float) -> dict[Labels, float]:
    """The longest time between two samples of each series, from ``since`` to ``until``.

    A series that ends before ``until`` has a gap to there.
    """
    found = {}
    for labels, samples in series.items():
        times = [at for at, _ in samples if since <= at <= until]
        found[labels] = max(b - a for a, b in pairwise([since, *times, until]))
    return found


def living(fleet: Fleet, since: float) -> dict[Labels, Samples]:
    """The series of both nodes that were there at ``since`` already.

    Without those of mounts, disks and network devices, which come and go on a machine at work.
    """
    unsteady = "host_(filesystem|disk|network)_.+"
    selector = f'{{instance=~"{fleet.frozen}|{fleet.moving}",__name__!~"{unsteady}"}}'
    series = fleet.stack.export(selector)
    return {k: v for k, v in series.items() if v[0][0] <= since < v[-1][0]}


def stored_until(fleet: Fleet, moment: float) -> bool:
    """Whether all that was scraped until then is stored."""
    ups = fleet.stack.export(f'up{{instance=~"{fleet.frozen}|{fleet.moving}"}}')
    return len(ups) == 2 and all(
        samples[-1][0] > moment and len([at for at, _ in samples if at > moment - 8]) >= 7
        for samples in ups.values()
    )


def wait_for_backlog(fleet: Fleet, since: float, until: float) -> None:
    """Wait until what was scraped in between is stored.

    vmagent tries a block again after up to 10 s (-remoteWrite.retryMaxInterval) and sends newer
    ones meanwhile. A busy machine may make it scrape once or twice less.
    """

    def stored() -> bool:
        found = gaps(living(fleet, since), since, until)
        return len(found) > 200 and max(found.values()) <= 3 * SCRAPE_INTERVAL

    wait_for("the backlog is stored", stored, 60)


def wait_for_history(stack: Stack, seconds: float) -> None:
    count = 'count_over_time(up{node=~"frozen|moving"}[1m])'
    wait_for("history", lambda: min(stack.values(count)) > seconds / SCRAPE_INTERVAL)


@pytest.fixture
def recorder(fleet: Fleet) -> Iterator[Recorder]:
    """A third target: the moving exporter again, with every page that is scraped recorded."""
    made = Recorder(fleet.moving, free_port())
    fleet.stack.write_targets("recorded.yml", ("recorded", made.address))
    yield made
    (fleet.stack.targets / "recorded.yml").unlink()
    made.close()


def counters(page: str) -> dict[Labels, float]:
    """The counters of a page by the labels that the store keeps: those that are not empty."""
    return {
        (
            ("__name__", sample.name),
            *sorted((name, value) for name, value in sample.labels.items() if value),
        ): sample.value
        for family in text_string_to_metric_families(page)
        if family.type == "counter"
        for sample in family.samples
    }


def scraped_counters(stack: Stack, address: str) -> dict[Labels, Samples]:
    """The counters that were scraped there, by the labels that the page has."""
    return {
        tuple(pair for pair in labels if pair[0] not in ("job", "instance")): samples
        for labels, samples in stack.export(
            f'{{__name__=~".+_total",instance="{address}"}}'
        ).items()
    }


def never_stored(
    stack: Stack, recorder: Recorder, since: float, until: float
) -> dict[Labels, list[float]]:
    """What pages that vmagent took in between said of each counter and the store never got.

    It has a minute for it: vmagent tries a block again after up to 10 s and sends newer ones
    meanwhile.
    """
    deadline = time.monotonic() + 60
    while (lost := not_stored(stack, recorder, since, until)) and time.monotonic() < deadline:
        time.sleep(0.5)
    return lost


def not_stored(
    stack: Stack, recorder: Recorder, since: float, until: float
) -> dict[Labels, list[float]]:
    """What pages that vmagent took in between said of each counter and the store does not have.

    A busy machine may make it take one less.
    """
    served = [counters(page) for at, page in recorder.taken if since <= at <= until]
    assert len(served) > (until - since) / SCRAPE_INTERVAL * 0.7
    stored = scraped_counters(stack, recorder.address)
    assert len(stored) > 50
    lost = {}
    for labels, samples in stored.items():
        values = {value for _, value in samples}
        said = [page[labels] for page in served if labels in page]
        if missing := [value for value in said if value not in values]:
            lost[labels] = missing
    return lost


def outage(stack: Stack, seconds: float) -> float:
    """Take VictoriaMetrics away for a while; when it ended."""
    assert stack.victoriametrics.stop() == 0
    time.sleep(seconds)
    stack.victoriametrics.start()
    return time.time()


def block_ends(queue: bytes) -> list[int]:
    """Where the blocks of a file of vmagent's queue end; each begins with its size in 8 bytes."""
    ends = [0]
    while ends[-1] < len(queue):
        ends.append(ends[-1] + 8 + int.from_bytes(queue[ends[-1] : ends[-1] + 8], "big"))
    return ends


def leave_tail(stack: Stack) -> tuple[Path, int]:
    """Make the queue of a killed vmagent what a kill can make it; its file and the tail's size.

    The last block is there, and metainfo.json does not know of it yet.
    """
    (file,) = (stack.folder / "data/vmagent/persistent-queue").glob("*/0000000000000000")
    metainfo = json.loads(file.with_name("metainfo.json").read_text())
    end = max(end for end in block_ends(file.read_bytes()) if end < metainfo["WriterOffset"])
    metainfo["WriterOffset"] = end
    metainfo["ReaderOffset"] = min(metainfo["ReaderOffset"], end)
    file.with_name("metainfo.json").write_text(json.dumps(metainfo))
    return file, file.stat().st_size - end


def test_a_minute_without_victoriametrics_leaves_no_gap(fleet: Fleet, recorder: Recorder) -> None:
    stack = fleet.stack
    wait_for_history(stack, 15)
    wait_for("ten recorded scrapes", lambda: len(recorder.pages) >= 10)
    begun = time.time()
    ended = outage(stack, OUTAGE)
    wait_for("samples after it", lambda: stored_until(fleet, ended + 8))
    wait_for_backlog(fleet, begun - 10, ended + 5)

    assert never_stored(stack, recorder, begun - 5, ended + 5) == {}, stack.vmagent.log

    taken = [at for at, _ in recorder.taken if begun - 5 <= at <= ended + 5]
    longest = max(b - a for a, b in pairwise(taken))
    series = living(fleet, begun - 10)
    assert len(series) > 200
    found = gaps(series, begun - 10, ended + 5)
    print(
        f"longest gap of {len(found)} series: {max(found.values()):.2f} s, taken: {longest:.2f} s"
    )
    assert {k: gap for k, gap in found.items() if gap > max(STEP, longest + SCRAPE_INTERVAL)} == {}


def test_vmagent_killed_leaves_a_gap_of_its_restart_and_exact_counters(
    fleet: Fleet, recorder: Recorder
) -> None:
    stack = fleet.stack
    wait_for("ten recorded scrapes", lambda: len(recorder.pages) >= 10)
    killed = time.time()
    stack.vmagent.kill()
    stack.vmagent.start()
    restart = time.time() - killed
    wait_for("samples after it", lambda: stored_until(fleet, killed + restart + 10))

    up = stack.export(f'up{{instance="{recorder.address}"}}')
    (gap,) = gaps(up, killed - 5, killed + restart + 8).values()
    print(f"restart: {restart:.2f} s, gap: {gap:.2f} s")
    # What was scraped but not yet sent is lost too, and the first scrape waits for its turn.
    assert gap <= restart + FLUSH + 2 * SCRAPE_INTERVAL

    pages = [counters(page) for page in recorder.pages]
    stored = scraped_counters(stack, recorder.address)
    assert len(stored) > 50
    assert stored.keys() == pages[-1].keys() & stored.keys()
    for labels, samples in stored.items():
        served = [page[labels] for page in pages if labels in page]
        (first_at, first), (last_at, last) = samples[0], samples[-1]
        assert first in served and last in served, labels
        assert first_at < killed < last_at, labels
        window = round(last_at * 1000) - round(first_at * 1000)
        names = ",".join(f'{name}="{value}"' for name, value in labels)
        selector = f'{{{names},instance="{recorder.address}"}}'
        ((_, increase),) = stack.query(f"increase({selector}[{window}ms])", last_at)
        assert increase == pytest.approx(last - first, rel=1e-9, abs=1e-9), labels


def test_victoriametrics_killed_loses_only_what_it_had_not_saved(
    fleet: Fleet, recorder: Recorder
) -> None:
    stack = fleet.stack
    # What came in late, after an outage, is unsaved too: let the last one be long ago.
    begun = stack.victoriametrics.started
    wait_for("nothing is late", lambda: time.time() - begun > UNSAVED + 15)
    wait_for("ten recorded scrapes", lambda: len(recorder.pages) >= 10)
    killed = time.time()
    stack.victoriametrics.kill()
    time.sleep(5)
    stack.victoriametrics.start()
    ended = time.time()
    wait_for("samples after it", lambda: stored_until(fleet, ended + 8))

    lost = never_stored(stack, recorder, killed + STEP, ended + 5)
    assert lost == {}, stack.vmagent.log

    series = living(fleet, killed - UNSAVED - 5)
    assert len(series) > 200
    unsaved = gaps(series, killed - UNSAVED - 5, ended)
    print(f"lost of what was acknowledged: {max(unsaved.values()):.1f} s")
    assert {k: gap for k, gap in unsaved.items() if gap > UNSAVED} == {}


def test_what_a_killed_vmagent_left_in_its_queue_does_not_spoil_the_next_outage(
    fleet: Fleet, recorder: Recorder
) -> None:
    stack = fleet.stack
    wait_for("ten recorded scrapes", lambda: len(recorder.pages) >= 10)
    ended = outage(stack, QUEUEING)
    wait_for("samples after it", lambda: stored_until(fleet, ended))
    stack.vmagent.kill()
    file, tail = leave_tail(stack)
    stack.vmagent.start()
    restarted = time.time()
    wait_for("samples after it", lambda: stored_until(fleet, restarted + 8))

    begun = time.time()
    ended = outage(stack, QUEUEING)
    wait_for("samples after it", lambda: stored_until(fleet, ended + 8))
    assert "skipping corrupted" not in stack.vmagent.log
    wait_for_backlog(fleet, begun, ended + 5)
    assert never_stored(stack, recorder, begun, ended + 5) == {}
    assert f"{file}: cut {tail} bytes" in stack.vmagent.log
