"""What a fleet makes the host do, while it does it."""

import time
from typing import NamedTuple

from tests.bench.measure import Clocks, Machine, smaps
from tests.bench.scale.site import Counts, Site
from tests.integration.stack import get, wait_for

# Seconds until what was scraped can be asked for.
_LATEST = 8.0
_PATIENCE = 120.0
_SCRAPES = '{job="gpu"}'


class Use(NamedTuple):
    """What a program used.

    Attributes:
        cpus: That it kept busy.
        rss: MiB of memory, at the end.
    """

    cpus: float
    rss: float


class Group(NamedTuple):
    """A group of rules.

    Attributes:
        name: Of it.
        seconds: That an evaluation took.
        interval: From one to the next.
        missed: How many were left out.
    """

    name: str
    seconds: float
    interval: float
    missed: float


class Load(NamedTuple):
    """What was seen for a while.

    Attributes:
        samples: Stored a second.
        series: Active, of the last hour.
        made: Which part of the scrapes that were due there was.
        good: Which part of those brought a page.
        slow: Seconds that 99 of 100 scrapes took at most.
        pending: MB that vmagent could not deliver yet, at the end.
        use: By program.
        others: CPUs that the rest of the machine kept busy.
        groups: Of rules, the one that takes most of its interval first.
        errors: Of rules.
    """

    samples: float
    series: float
    made: float
    good: float
    slow: float
    pending: float
    use: dict[str, Use]
    others: float
    groups: list[Group]
    errors: float


def watch(site: Site, exporters: int, due: float, seconds: float) -> Load:
    """Watch a site for some time.

    Args:
        site: It is at work.
        exporters: The process that stands in for the nodes.
        due: Scrapes a second.
        seconds: For how long.
    """
    own = time.process_time()
    programs = {**site.programs, "stand-in exporters": exporters}
    machine, clocks = Machine(), {name: Clocks(pid) for name, pid in programs.items()}
    begin, before = time.monotonic(), _look(site)
    time.sleep(seconds)
    after, took, end = _look(site), time.monotonic() - begin, time.time()
    used = {name: clock.used() for name, clock in clocks.items()}
    others = machine.others(sum(used.values()) + time.process_time() - own)
    use = {name: Use(used[name] / took, smaps(pid, "", 0).rss) for name, pid in programs.items()}
    time.sleep(_LATEST)
    scrapes, good, slow = (
        _ask(site, text.format(f"{_SCRAPES}[{took:.0f}s]"), end)
        for text in (
            "sum(count_over_time(up{}))",
            "sum(sum_over_time(up{}))",
            "quantile(0.99, quantile_over_time(0.99, scrape_duration_seconds{}))",
        )
    )
    storage = (before.storage, after.storage)
    return Load(
        samples=_grown(storage, "vm_rows_inserted_total") / took,
        series=after.storage.total("vm_cache_entries", 'type="storage/hour_metric_ids"'),
        made=scrapes / (due * round(took)),
        good=good / max(1.0, scrapes),
        slow=slow,
        pending=after.vmagent.total("vmagent_remotewrite_pending_data_bytes") / 1e6,
        use=use,
        others=others,
        groups=_groups(before.vmalert, after.vmalert),
        errors=sum(
            _grown((before.vmalert, after.vmalert), f"vmalert_{kind}_rules_errors_total")
            for kind in ("alerting", "recording")
        ),
    )


def _ask(site: Site, promql: str, at: float) -> float:
    # More than once, for a storage with too much to do refuses questions.
    found = wait_for("an answer", lambda: [site.query(promql, at)], _PATIENCE)
    return sum(value for _, value in found[0])


class _Look(NamedTuple):
    vmagent: Counts
    storage: Counts
    vmalert: Counts


def _look(site: Site) -> _Look:
    vmalert = site.vmalert.url.removesuffix("/health")
    return _Look(*(Counts(get(f"{url}/metrics")) for url in (site.vmagent_url, site.url, vmalert)))


def _grown(pages: tuple[Counts, Counts], name: str, *some: str) -> float:
    before, after = pages
    return after.total(name, *some) - before.total(name, *some)


def _groups(before: Counts, after: Counts) -> list[Group]:
    found = []
    for name, interval in after.by("vmalert_iteration_interval_seconds", "group").items():
        some = f'group="{name}"'
        sums, counts, missed = (
            _grown((before, after), f"vmalert_iteration_{kind}", some)
            for kind in ("duration_seconds_sum", "duration_seconds_count", "missed_total")
        )
        if counts:
            found.append(Group(name, sums / counts, interval, missed))
    return sorted(found, key=lambda group: -group.seconds / group.interval)
