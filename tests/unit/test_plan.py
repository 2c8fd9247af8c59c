"""What is read of a card: the best call that it answers, and nothing that may be wrong."""

from pathlib import Path
from typing import Any

import pytest
from tests.unit.driver import run

FROZEN = "freeze 100\ngpus 1 preset=h200\nload gpu=0 constant 0.5\n"
GROUPS = ", ".join(
    f'"{name}"'
    for name in (
        *("core", "engines", "fans", "limits", "pcie", "pcie_state"),
        *("nvlink", "nvlink_state", "health"),
    )
)
READ = f"device = Library().device(0); plan = Plan(Library(), device, 1.0, {GROUPS})\n"
TELL = "tell(values=show(plan), missing=missing(plan))\n"
OF_GROUPS = "tell(values=show(plan), missing=missing(plan), refused=plan.refused)\n"
PCIE = ("gpu_pcie_bytes_total transmit", "gpu_pcie_bytes_total receive")


@pytest.fixture
def whole(simulator: Path, scenario: Path) -> dict[str, Any]:
    """What a driver tells that has everything."""
    values: dict[str, Any] = run(simulator, scenario, FROZEN, READ + TELL)["values"]
    return values


@pytest.mark.parametrize(
    ("missing", "lacking"),
    [
        ("nvmlDeviceGetTemperatureV", set()),
        ("nvmlDeviceGetMemoryInfo_v2", {"gpu_memory_reserved_bytes"}),
        (
            "nvmlDeviceGetCurrentClocksEventReasons nvmlDeviceGetSupportedClocksEventReasons",
            set(),
        ),
        ("nvmlDeviceGetMarginTemperature", {"gpu_temperature_margin_celsius"}),
    ],
)
def test_an_older_driver_is_asked_in_its_own_words(
    simulator: Path, scenario: Path, whole: dict[str, Any], missing: str, lacking: set[str]
) -> None:
    older = run(simulator, scenario, f"{FROZEN}missing {missing}\n", READ + TELL)["values"]
    assert whole.keys() - older.keys() == lacking
    # The older call counts what the driver keeps as used.
    reserve = whole["gpu_memory_reserved_bytes"] if "MemoryInfo" in missing else 0
    whole = whole | {"gpu_memory_used_bytes": whole["gpu_memory_used_bytes"] + reserve}
    for name, value in older.items():
        assert value == whole[name], name


def test_a_driver_without_fields(simulator: Path, scenario: Path, whole: dict[str, Any]) -> None:
    text = f"{FROZEN}missing nvmlDeviceGetFieldValues\n"
    told = run(simulator, scenario, text, f"{READ}{OF_GROUPS}")
    older, reasons = told["values"], told["missing"]
    for limit in ("enforced", "requested", "default", "min", "max"):
        name = f"gpu_power_limit_watts {limit}"
        assert older[name] == whole[name]
    for name in ("gpu_power_watts", "gpu_energy_joules_total"):
        assert older[name] == whole[name]
    assert told["refused"]["nvlink"] == told["refused"]["nvlink_state"] == "function_not_found"
    lost = {name for name in whole.keys() - older.keys() if not name.startswith("gpu_nvlink_")}
    assert lost <= reasons.keys()
    assert {reasons[name] for name in lost} == {"function_not_found"}
    assert {name.split()[0] for name in lost} == {
        *("gpu_power_instant_watts", "gpu_temperature_tlimit_celsius", "gpu_pcie_bytes_total"),
        *("gpu_temperature_celsius", "gpu_throttle_seconds_total", "gpu_pcie_errors_total"),
        *("gpu_pcie_replay_rollovers_total", "gpu_recovery_action"),
        *("gpu_memory_power_watts", "gpu_edpp_multiplier_ratio"),
    }


def test_signed_values(whole: dict[str, Any]) -> None:
    assert whole["gpu_temperature_tlimit_celsius shutdown"] == 87 - 95
    assert whole["gpu_temperature_tlimit_celsius slowdown"] == 87 - 89


def test_what_fails_for_now_is_kept_and_empty(simulator: Path, scenario: Path) -> None:
    code = f"""
        {READ}
        before = show(plan)
        play({FROZEN!r})
        tell(before=before, after=show(plan))
    """
    faults = "".join(
        f"at 0s error call={call} code=timeout\n"
        for call in ("nvmlDeviceGetFieldValues", "nvmlDeviceGetUtilizationRates")
    )
    told = run(simulator, scenario, FROZEN + faults, code)
    for name, value in (("gpu_power_watts", 387.5), ("gpu_utilization_ratio", 0.5)):
        assert (told["before"][name], told["after"][name]) == (None, value)


def test_what_fails_for_good_is_dropped(simulator: Path, scenario: Path) -> None:
    code = f"""
        {READ}
        before = show(plan)
        play({FROZEN!r})
        tell(before=before, after=show(plan))
    """
    fault = "at 0s error call=nvmlDeviceGetUtilizationRates code=no_permission\n"
    told = run(simulator, scenario, FROZEN + fault, code)
    assert "gpu_utilization_ratio" not in told["before"]
    assert "gpu_utilization_ratio" not in told["after"]


def test_a_call_that_fails_leaves_the_others(simulator: Path, scenario: Path) -> None:
    broken = f"{FROZEN}at 0s error call=nvmlDeviceGetMemoryInfo_v2 code=unknown\n"
    code = f"{READ}\nbefore = show(plan)\nplay({broken!r})\ntell(before=before, after=show(plan))"
    told = run(simulator, scenario, FROZEN, code)
    memory = {name for name in told["before"] if name.startswith("gpu_memory_") and "bytes" in name}
    assert len(memory) == 4
    empty = {name for name, value in told["before"].items() if value is None}
    assert {name for name, value in told["after"].items() if value is None} == memory | empty
    assert told["after"]["gpu_utilization_ratio"] == 0.5


def test_a_lost_gpu_ends_the_reading(simulator: Path, scenario: Path) -> None:
    code = f"""
        {READ}
        play({FROZEN!r} + "at 0s lost gpu=0\\n")
        codes = []
        for attempt in (lambda: show(plan), lambda: Plan(Library(), device)):
            try:
                attempt()
            except NvmlError as error:
                codes.append(error.reason)
        tell(codes=codes)
    """
    told = run(simulator, scenario, FROZEN, code)
    assert told["codes"] == ["gpu_is_lost", "gpu_is_lost"]


# PCIe byte counters


def pcie(simulator: Path, scenario: Path, text: str, interval: float) -> dict[str, Any]:
    code = f"""
        plan = Plan(Library(), Library().device(0), {interval})
        found = [c for c in plan.columns["pcie"] if c.metric == "gpu_pcie_bytes_total"]
        tell(
            values={{k: v for k, v in show(plan).items() if "pcie_bytes_total" in k}},
            wraps=[column.wraps for column in found],
            missing=missing(plan),
            outdated=plan.renew(["pcie"], str),
        )
    """
    return run(simulator, scenario, text, code)


def test_a_counter_beyond_32_bits_is_trusted_on_any_link(simulator: Path, scenario: Path) -> None:
    told = pcie(simulator, scenario, FROZEN, 1.0)
    assert told["values"] == {PCIE[0]: 50 * 5e9, PCIE[1]: 50 * 8e9}
    assert (told["wraps"], told["outdated"]) == ([0, 0], False)
    assert not told["missing"].keys() & set(PCIE)


def test_a_fast_link_may_wrap_32_bits_unseen(simulator: Path, scenario: Path) -> None:
    told = pcie(simulator, scenario, f"{FROZEN}pcie-counter-bits 32\n", 1.0)
    assert (told["values"], told["outdated"]) == ({}, False)
    assert {told["missing"][name] for name in PCIE} == {"may_wrap_between_readings"}


def test_a_slow_link_cannot(simulator: Path, scenario: Path) -> None:
    text = FROZEN.replace("h200", "l40s") + "pcie-counter-bits 32\n"
    told = pcie(simulator, scenario, text, 0.05)
    assert told["values"] == {PCIE[0]: 50 * 2e9 % 2**32, PCIE[1]: 50 * 5e9 % 2**32}
    assert told["wraps"] == [2**32, 2**32]
    assert not told["missing"].keys() & set(PCIE)
    # Four times as long between two readings is too long for this link.
    assert pcie(simulator, scenario, text, 0.2)["values"] == {}


def test_a_counter_is_trusted_once_it_has_shown_its_width(simulator: Path, scenario: Path) -> None:
    early = FROZEN.replace("freeze 100", "freeze 0.1")
    code = f"""
        {READ}
        before = show(plan), missing(plan), plan.renew(["pcie"], str)
        play({FROZEN!r})
        after = plan.renew(["pcie"], str), show(Plan(Library(), device))
        tell(before=before, after=after)
    """
    told = run(simulator, scenario, early, code)
    values, missing, outdated = told["before"]
    assert not values.keys() & set(PCIE)
    assert {missing[name] for name in PCIE} == {"may_wrap_between_readings"}
    assert not outdated
    outdated, values = told["after"]
    assert outdated
    assert values[PCIE[0]] == 50 * 5e9


def test_a_link_that_is_not_told_is_taken_for_fast(simulator: Path, scenario: Path) -> None:
    text = f"{FROZEN.replace('h200', 'l40s')}pcie-counter-bits 32\n"
    fault = "at 0s error call=nvmlDeviceGetMaxPcieLinkWidth code=not_supported\n"
    assert pcie(simulator, scenario, text + fault, 0.05)["values"] == {}


# The thread of a GPU


def test_a_worker_tells_of_the_loss_and_comes_back(simulator: Path, scenario: Path) -> None:
    lost = f"{FROZEN}at 0s lost gpu=0\n"
    code = f"""
        worker._FIRST_RETRY_SECONDS = worker._LONGEST_RETRY_SECONDS = 0.3
        at = where(0)
        told = []
        def wait(kind, count):
            deadline = time.monotonic() + 20
            while sum(1 for frame in told if frame.kind == kind) < count:
                assert time.monotonic() < deadline, (kind, [frame.kind for frame in told])
                time.sleep(0.01)
        thread = worker.Worker(Library(), at, asked(0.05), told.append, print)
        thread.start()
        wait("down", 2)
        play({FROZEN!r})
        wait("reading", 3)
        play({lost!r})
        downs = sum(1 for frame in told if frame.kind == "down")
        wait("down", downs + 1)
        play({FROZEN!r})
        wait("device", 2)
        readings = sum(1 for frame in told if frame.kind == "reading")
        wait("reading", readings + 2)
        downs = [[f.uuid, f.index, f.reason] for f in told if f.kind == "down"]
        tell(downs=downs, uuid=thread.uuid, waiting=at.waiting() is None)
    """
    told = run(simulator, scenario, lost, code)
    assert told["downs"][0] == ["", 0, "gpu_is_lost"]
    assert told["downs"][-1] == [told["uuid"], 0, "gpu_is_lost"]
    assert told["uuid"].startswith("GPU-")


def test_a_fault_of_ours_is_told_and_is_not_the_end(simulator: Path, scenario: Path) -> None:
    code = """
        worker._FIRST_RETRY_SECONDS = 0.05
        at = where(0)
        told = []
        plan, worker.Plan = worker.Plan, lambda *arguments: 1 / 0
        thread = worker.Worker(Library(), at, asked(0.05), told.append, print)
        thread.start()
        while "down" not in [frame.kind for frame in told]:
            time.sleep(0.01)
        worker.Plan = plan
        while "reading" not in [frame.kind for frame in told]:
            time.sleep(0.01)
        down = [frame for frame in told if frame.kind == "down"][0]
        tell(first=[down.kind, down.reason])
    """
    assert run(simulator, scenario, FROZEN, code)["first"] == ["down", "internal_error"]


def test_a_driver_that_was_replaced_is_fatal(simulator: Path, scenario: Path) -> None:
    fault = "at 0s error call=nvmlDeviceGetUtilizationRates code=lib_rm_version_mismatch\n"
    code = """
        told, fatal, at = [], [], where(0)
        thread = worker.Worker(Library(), at, asked(0.05), told.append, fatal.append)
        thread.start()
        thread.join(20)
        tell(alive=thread.is_alive(), fatal=[error.reason for error in fatal])
    """
    told = run(simulator, scenario, FROZEN + fault, code)
    assert told == {"alive": False, "fatal": ["lib_rm_version_mismatch"]}


def test_another_card_at_the_same_index_is_another_card(simulator: Path, scenario: Path) -> None:
    other = FROZEN + "gpu 0 uuid=GPU-other\n"
    code = f"""
        worker._IDENTITY_SECONDS = 0.2
        told = []
        worker.Worker(Library(), where(0), asked(0.05), told.append, print).start()
        def wait(condition):
            deadline = time.monotonic() + 20
            while not condition():
                assert time.monotonic() < deadline
                time.sleep(0.01)
        wait(lambda: "reading" in [frame.kind for frame in told])
        play({other!r})
        read = lambda: [frame.uuid for frame in told if frame.kind == "reading"]
        wait(lambda: "GPU-other" in read())
        wait(lambda: read()[-3:] == ["GPU-other"] * 3)
        tell(kinds=sorted({{frame.kind for frame in told}}))
    """
    told = run(simulator, scenario, FROZEN, code)
    assert told["kinds"] == ["device", "processes", "reading", "thread"]


def test_a_card_of_which_nothing_can_be_read_does_not_answer(
    simulator: Path, scenario: Path
) -> None:
    """As it is when the files of its device are taken away from the process."""
    broken = FROZEN + "at 0s error call=* code=unknown gpu=0\n"
    code = f"""
        {READ}
        plan.read(["core"], str)
        play({broken!r})
        try:
            plan.read(["core"], str)
        except NvmlError as error:
            tell(reason=error.reason, fans=plan.read(["fans"], str))
    """
    assert run(simulator, scenario, FROZEN, code) == {"reason": "unknown", "fans": {"fans": []}}


def test_a_call_that_hangs_while_planning_has_its_name(simulator: Path, scenario: Path) -> None:
    hang = f"{FROZEN}at 0s hang call=nvmlDeviceGetMaxClockInfo gpu=0\n"
    code = """
        at = where(0)
        worker.Worker(Library(), at, asked(0.05), print, print).start()
        time.sleep(1)
        tell(call=at.waiting()[0], late=at.waiting()[1] > 0.5)
    """
    told = run(simulator, scenario, hang, code)
    assert told == {"call": "nvmlDeviceGetMaxClockInfo", "late": True}


def test_no_call_begins_once_the_process_ends(simulator: Path, scenario: Path) -> None:
    """NVML is shut down then: a call would find it gone, and take that for a new driver."""
    code = """
        told, fatal, library = [], [], Library()
        places = [where(0), where(-1)]
        threads = [
            worker.Worker(library, places[0], asked(0.05), told.append, fatal.append),
            Events(library, places[1], [0], told.append),
        ]
        for thread in threads:
            thread.start()
        while not {"reading", "xid_source"} <= {frame.kind for frame in told}:
            time.sleep(0.01)
        stop.set()
        while any(place.waiting() for place in places):
            time.sleep(0.001)
        library.shutdown()
        for thread in threads:
            thread.join(10)
        alive = [thread.name for thread in threads if thread.is_alive()]
        reasons = [f.reason for f in told if f.kind in ("down", "failure", "xid_source")]
        tell(alive=alive, fatal=len(fatal), reasons=reasons)
    """
    told = run(simulator, scenario, FROZEN, code)
    assert told == {"alive": [], "fatal": 0, "reasons": [""]}
