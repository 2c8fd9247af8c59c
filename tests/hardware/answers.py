"""What a run has answered, question by question."""

import math
import re
from collections.abc import Callable, Iterator
from typing import Any

from tests.hardware.found import Found, UnansweredError
from tests.hardware.job import Json

_TLIMITS = range(193, 197)
_GPM_SM_ACTIVE = "2 sm_util"
_MIB = 1 << 20


def _of(steps: dict[str, Any], ending: str) -> Iterator[Any]:
    """The results of a step for each GPU.

    Raises:
        UnansweredError: It came to its end for none.
    """
    found = [s for name, s in steps.items() if re.fullmatch(rf"gpu\d+ {re.escape(ending)}", name)]
    ended = [step["ended"] for step in found if isinstance(step.get("ended"), str)]
    if ended and len(ended) == len(found):
        raise UnansweredError(ended[0])
    yield from (step for step in found if not isinstance(step.get("ended"), str))


def _costs(found: Found) -> list[tuple[float, float, float, str]]:
    """Median, p99 and first cost in microseconds of each function, the slowest first."""
    costs: dict[str, tuple[float, float, float]] = {}
    for step in found.steps("functions").values():
        for symbol, cost in _all_costs(step):
            if "median_us" in cost:
                row = (cost["median_us"], cost["p99_us"], cost["first_us"])
                costs[symbol] = max(costs.get(symbol, row), row)
    if not costs:
        raise UnansweredError("no call was repeated")
    return sorted(((*cost, symbol) for symbol, cost in costs.items()), reverse=True)


def _all_costs(step: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(step, dict):
        yield from step.get("costs", {}).items()


def _cost_of_calls(found: Found) -> str:
    costs = _costs(found)
    medians = sorted(cost[0] for cost in costs)
    slow = ", ".join(
        f"{symbol} {median:.0f} (p99 {p99:.0f}, first {first:.0f})"
        for median, p99, first, symbol in costs[:6]
    )
    middle = medians[len(medians) // 2]
    return f"median of {len(costs)} functions {middle:.1f} µs; the slowest in µs: {slow}"


def _cost_of_fields(found: Found) -> str:
    (used,) = list(_of(found.steps("fields"), "used"))[:1] or [None]
    if not used or "answered" not in used:
        raise UnansweredError("fields: the exporter's fields were not answered")
    cost = used["cost_of_answered"] or {}
    return (
        f"{len(used['answered'])} of the exporter's {used['asked']} fields in one call: median "
        f"{cost.get('median_us')} µs, p99 {cost.get('p99_us')} µs, first {cost.get('first_us')} µs"
    )


def _which_fields(found: Found) -> str:
    texts = []
    for name, step in found.steps("fields").items():
        if name.endswith(" used") and "refused" in step:
            refused = {why: _ranges(numbers) for why, numbers in step["refused"].items()}
            texts.append(f"{name.split()[0]} answers {_ranges(step['answered'])}; {refused}")
    if not texts:
        raise UnansweredError("fields: none was asked")
    return "; ".join(texts)


def _ranges(numbers: list[int]) -> str:
    """Numbers as ``1-3, 5``."""
    ranges: list[list[int]] = []
    for number in sorted(numbers):
        if ranges and number == ranges[-1][1] + 1:
            ranges[-1][1] = number
        else:
            ranges.append([number, number])
    return ", ".join(str(a) if a == b else f"{a}-{b}" for a, b in ranges)


def _tlimit(found: Found) -> str:
    types = {}
    for name, step in found.steps("fields").items():
        if re.fullmatch(r"gpu\d+ \d+-\d+", name):
            for number in _TLIMITS:
                field = step.get(str(number), {})
                if "type" in field:
                    types[f"{name.split()[0]} {number}"] = f"{field['type']} ({field['value']})"
    if not types:
        raise UnansweredError("fields 193 to 196 are not given")
    return ", ".join(f"{name}: {type}" for name, type in types.items())


def _pcie_width(found: Found) -> str:
    watched = [found.step(part, "watch") for part in ("pcie", "pcie.loaded") if part in found.parts]
    if not watched:
        raise UnansweredError("pcie was not run")
    counters = [watch[way] for watch in watched for way in ("transmit", "receive")]
    if any(counter["beyond_32_bits"] for counter in counters):
        return "64 bits: a value beyond 2^32 was seen"
    if any(counter["falls"] for counter in counters):
        highest = max(max(row[1:]) for watch in watched for row in watch["rows"])
        return f"they wrap: {sum(c['falls'] for c in counters)} falls, none beyond {highest:.0f}"
    highest = max(counter["last"] for counter in counters)
    raise UnansweredError(
        f"neither a value beyond 2^32 nor a fall was seen; the highest is {highest}"
    )


def _pcie_unit(found: Found) -> str:
    watch = found.step("pcie.loaded", "watch")
    load = _load_rate(found, watch["rows"][0][0], watch["rows"][-1][0])
    texts = []
    monitored = watch.get("gpm_mib_per_second")
    for place, way in enumerate(("transmit", "receive")):
        counter = watch[way]
        rate = (counter["last"] - counter["first"]) / counter["seconds"]
        text = f"{way} {rate:.4g} a second"
        if isinstance(monitored, list) and isinstance(monitored[place], float):
            text += f", GPM {monitored[place] * _MIB:.4g} bytes/s"
        if rates := [row[1 + place] for row in watch["throughput"] if row[1 + place] >= 0]:
            text += f", nvmlDeviceGetPcieThroughput {sum(rates) / len(rates):.4g} KB/s"
        texts.append(text)
    copied = f"; {load:.4g} bytes/s were copied to the GPU" if load is not None else ""
    gained = any(watch[way]["last"] != watch[way]["first"] for way in ("transmit", "receive"))
    if not gained:
        raise UnansweredError(f"the counters stood still{copied}")
    return "; ".join(texts) + copied


def _load_rate(found: Found, begin: float, end: float) -> float | None:
    """Bytes a second that the load copied to the GPU between two moments, where it did."""
    load = found.parts.get("load", {}).get("steps", {}).get("load", {})
    rows = load.get("seconds_bytes_to_gpu_and_on_it", [])
    within = [row for row in rows if begin <= row[0] <= end]
    if len(within) < 2:
        return None
    copied: float = within[-1][1] - within[0][1]
    return copied / float(within[-1][0] - within[0][0])


def _samples(found: Found) -> str:
    part = "samples.loaded" if "samples.loaded" in found.parts else "samples"
    texts = []
    for name, step in found.steps(part).items():
        if isinstance(step, dict) and "count" in step and "spacing_us" in step:
            later = found.steps(part).get(f"{name} later") or {}
            texts.append(
                f"{name}: {step['count']} of {step['type']}, "
                f"{step['spacing_us']['median'] / 1000:g} ms apart (up to "
                f"{step['spacing_us']['max'] / 1000:g}), {step['span_us'] / 1e6:.1f} s, later "
                f"{later.get('count', later.get('error'))} new"
            )
    if not texts:
        raise UnansweredError(f"{part}: no buffer gave samples")
    return "; ".join(texts)


def _sample_clock(found: Found) -> str:
    for step in found.steps("samples").values():
        if isinstance(step, dict) and "newest_age_us" in step:
            ages = step["newest_age_us"]
            clock, age = min(ages.items(), key=lambda item: abs(item[1]))
            if abs(age) > 60e6:
                return f"neither since 1970 nor since the boot: {ages}"
            return f"{clock.removeprefix('if ')}; the newest sample is {age / 1000:.0f} ms old"
    raise UnansweredError("samples: no buffer gave samples")


def _filter(found: Found) -> str:
    later = [
        step
        for name, step in found.steps("samples").items()
        if name.endswith(" later") and isinstance(step, dict) and "all_newer" in step
    ]
    if not later:
        raise UnansweredError("samples: nothing was new")
    good = sum(step["all_newer"] for step in later)
    return f"{good} of {len(later)} buffers gave only samples that are newer than asked"


def _gpm(part: str) -> Callable[[Found], str]:
    def answer(found: Found) -> str:
        steps = found.steps(part)
        support = next(_of(steps, "support"), None)
        metrics = next(_of(steps, "metrics"), None)
        if not support or not metrics:
            raise UnansweredError(f"{part}: not reached")
        if support.get("error") or not support.get("supported"):
            return f"not supported ({support.get('error') or 'the driver says so'})"
        if metrics.get("error"):
            return f"refused: {metrics['error']}"
        return (
            f"{len(metrics['answered'])} metrics, SM active "
            f"{metrics['answered'].get(_GPM_SM_ACTIVE, [math.nan])[0]:.4g} %; refused: "
            f"{ {why: len(numbers) for why, numbers in metrics['refused'].items()} }"
        )

    return answer


def _gpm_close(found: Found) -> str:
    close = next(_of(found.steps("gpm"), "close"), None)
    if close is None:
        raise UnansweredError("gpm: not reached")
    if "seconds" not in close:
        raise UnansweredError(f"gpm: {close.get('error')}")
    return f"{1000 * close['seconds']:g} ms apart: {close['error'] or close['value']}"


def _nvlink(found: Found) -> str:
    texts = []
    for name, step in found.steps("nvlink").items():
        if name.endswith(" links"):
            links = step["links"].values()
            up = sum(link["fields"]["state"] not in (0, "not_supported") for link in links)
            traffic = found.steps("nvlink").get(name.replace("links", "traffic"), {})
            given = [k for k, v in traffic["second"]["all"].items() if not isinstance(v, str)]
            texts.append(
                f"{name.split()[0]}: {step['count']} links, {up} with a state, "
                f"of all links together: {', '.join(given) or 'nothing'}"
            )
    if not texts:
        raise UnansweredError("nvlink: not reached")
    return "; ".join(texts)


def _process_lists(found: Found) -> str:
    texts = []
    for part in ("processes.loaded", "processes.loaded.nobody"):
        if part not in found.parts:
            continue
        listed = {
            process["pid"]: process["memory_bytes"]
            for step in found.steps(part).values()
            if isinstance(step, dict)
            for process in step.get("processes", [])
        }
        use = [s for s in found.steps(part).values() if isinstance(s, dict) and "size_query" in s]
        samples = [len(step["samples"]) for step in use]
        known = sum(memory is not None for memory in listed.values())
        texts.append(
            f"{part}: {len(listed)} processes, memory of {known}; samples of their use {samples}, "
            f"errors {[step['error'] for step in use]}, size query {[s['size_query'] for s in use]}"
        )
    if not texts:
        raise UnansweredError("processes under load were not run")
    return "; ".join(texts)


def _own_pid(found: Found) -> str:
    load = found.parts.get("load", {}).get("steps", {}).get("load", {})
    if "pid" not in load:
        raise UnansweredError(f"none was on the GPU: {load.get('refused', 'no load')}")
    pids = {
        process["pid"]
        for step in found.steps("processes.loaded").values()
        if isinstance(step, dict)
        for process in step.get("processes", [])
    }
    return "listed under its own pid" if load["pid"] in pids else f"not listed; listed are {pids}"


def _events(found: Found) -> str:
    types = next(_of(found.steps("events"), "types"), None)
    if types is None:
        raise UnansweredError("events: not reached")
    refused = {name: why for name, why in types["registration"].items() if why}
    wait = found.steps("events").get("wait", {})
    return (
        f"supported: {', '.join(types['supported'])}; refused when asked alone: {refused}; all at "
        f"once: {types['registration of all'] or 'accepted'}; a wait: {wait.get('answer')}"
    )


def _xid_order(found: Found) -> str:
    raise UnansweredError("an XID cannot be caused without harm")


def _root_only(found: Found) -> str:
    root, other = found.steps("functions"), found.steps("functions.nobody")
    only = [
        f"{name}: {other[name]['error']}"
        for name, step in root.items()
        if isinstance(step, dict)
        and "value" in step
        and isinstance(other.get(name), dict)
        and other[name].get("error")
    ]
    return ", ".join(only) or "nothing"


def _encoder(found: Found) -> str:
    texts = []
    for name, step in found.steps("functions").items():
        if re.search(r"nvmlDeviceGet(Encoder|Decoder|Jpg|Ofa)Utilization\(", name):
            texts.append(f"{name}: {step.get('error') or step.get('value')}")
    if not texts:
        raise UnansweredError("functions: not reached")
    return ", ".join(texts)


def _throughput(found: Found) -> str:
    ways = found.step("pcie", "throughput")
    if ways[0].get("error"):
        raise UnansweredError(f"nvmlDeviceGetPcieThroughput: {ways[0]['error']}")
    return ", ".join(f"{way['cost'].get('median_us', 0) / 1000:.1f} ms" for way in ways)


def _exporter(part: str) -> Callable[[Found], str]:
    def answer(found: Found) -> str:
        serve = found.step(part, "serve")
        exporter, probe = serve["cpu_seconds_per_minute"]
        scrapes = sorted(row[1] for row in serve["rows"])
        return (
            f"ready after {serve['seconds_to_ready']} s, {serve['samples']} samples, CPU seconds a "
            f"minute {exporter} + {probe} (probe), PSS in MiB {serve['pss_mib']}, scrape median "
            f"{scrapes[len(scrapes) // 2]} ms, failures {_failures(serve)}, restarts "
            f"{serve['restarts'] or 'none'}"
        )

    return answer


def _failures(serve: Any) -> Json:
    return [f"{f['collector']}: {f['reason']}" for f in serve["failures"]] or "none"


def _nvidia_smi(found: Found) -> str:
    lines = found.step("exporter.loaded", "serve").get("comparison", [])
    if isinstance(lines, dict):
        raise UnansweredError(lines["refused"])
    apart = [
        f"{line['fact']}: {line.get('nvidia_smi', '')} and {line.get('ours', '')}"
        for line in lines
        if line["agree"] is False
    ]
    agree = sum(line["agree"] is True for line in lines)
    neither = sum(line["agree"] is None for line in lines)
    return f"{agree} facts agree, {neither} neither has; apart: {'; '.join(apart) or 'none'}"


QUESTIONS: dict[str, Callable[[Found], str]] = {
    "What does a call cost?": _cost_of_calls,
    "What do the fields cost?": _cost_of_fields,
    "How long does nvmlDeviceGetPcieThroughput block?": _throughput,
    "Which of the exporter's fields answer (scope 0)?": _which_fields,
    "Which types have the T.Limit fields?": _tlimit,
    "Where do the PCIe counters 197 and 198 wrap?": _pcie_width,
    "Which unit do they have?": _pcie_unit,
    "How deep and dense are the buffers of samples?": _samples,
    "What do their times count from?": _sample_clock,
    "Does asking for newer samples work?": _filter,
    "What does GPM give?": _gpm("gpm"),
    "And under load?": _gpm("gpm.loaded"),
    "And to nobody?": _gpm("gpm.loaded.nobody"),
    "What if its samples are too close?": _gpm_close,
    "What do the NVLinks tell?": _nvlink,
    "Who is seen on the GPU?": _process_lists,
    "Is a process of ours listed under its pid?": _own_pid,
    "Which events can be registered?": _events,
    "In which order do XIDs come?": _xid_order,
    "What may root alone read?": _root_only,
    "What do missing media engines answer?": _encoder,
    "What does the exporter cost?": _exporter("exporter.loaded"),
    "And as nobody?": _exporter("exporter.nobody"),
    "Does it agree with nvidia-smi?": _nvidia_smi,
}
