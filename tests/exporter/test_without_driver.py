"""No library, no driver, no GPU: states to report, and to leave again by themselves."""

import time
from pathlib import Path

import pytest
from tests.exporter.conftest import Start
from tests.exporter.process import Page, Serve, play, run

HASH = "$2b$04$EmFdIc3x3jLk9Fkm1AXEYO1OxFqfUJH9FSBx/O1dOo4nxjFOK9.MK"
# The host's facts cost time and are tested elsewhere.
QUIET = ("--no-collector.filesystem", "--no-collector.disk", "--no-collector.network")


def nvml_failure(page: Page) -> list[str]:
    return [
        sample.labels["reason"]
        for sample in page.samples
        if sample.name == "gpuglass_collector_failure_info" and sample.labels["collector"] == "nvml"
    ]


def reports(serve: Serve, reason: str) -> bool:
    page = serve.page()
    return (
        page.value("gpuglass_collector_success", collector="nvml") == 0
        and nvml_failure(page) == [reason]
        and not any(sample.name.startswith("gpu_") for sample in page.samples)
    )


def test_without_a_library_the_host_is_shown(start: Start) -> None:
    serve = start(driver=None)
    serve.wait(lambda: reports(serve, "library_not_found"))
    serve.wait(lambda: serve.page().values("gpuglass_collector_success", collector="cpu") == [1])
    page = serve.page()
    assert page.value("host_memory_total_bytes") > 0
    assert page.value("gpuglass_collector_duration_seconds", collector="cpu") >= 0
    assert page.values("gpuglass_collector_last_success_timestamp_seconds", collector="nvml") == []
    ready = serve.get("/-/ready")
    assert (ready.status, ready.text) == (200, "ready, but for GPUs: library_not_found\n")
    assert serve.get("/-/healthy").text == "healthy\n"


def test_who_has_no_password_hears_nothing_of_gpus(start: Start, tmp_path: Path) -> None:
    file = tmp_path / "web.yml"
    file.write_text("{}\n")
    serve = start(*QUIET, "--web.config.file", str(file), driver=None)
    serve.wait(lambda: reports(serve, "library_not_found"))
    told = "ready, but for GPUs: library_not_found\n"
    serve.wait(lambda: serve.get("/-/ready").text == told)
    file.write_text(f"basic_auth_users: {{scraper: '{HASH}'}}\n")
    serve.wait(lambda: serve.get("/metrics").status == 401)
    ready = serve.get("/-/ready")
    assert (ready.status, ready.text) == (200, "ready\n")


def test_a_driver_that_arrives(start: Start, scenario: Path) -> None:
    play(
        scenario,
        f"start {time.time():.3f}\ngpus 2 preset=h200\nat 0s for 3s init driver_not_loaded\n",
    )
    serve = start(*QUIET)
    serve.wait(lambda: reports(serve, "driver_not_loaded"))
    probe = serve.probe().pid
    # Every look at the page on the way must find it there.
    serve.wait(lambda: serve.page().values("gpu_up") == [1, 1])
    page = serve.page()
    assert page.value("gpuglass_collector_success", collector="nvml") == 1
    assert nvml_failure(page) == []
    assert page.value("gpu_devices") == 2
    assert serve.probe().pid == probe
    assert sum(page.values("gpuglass_probe_restarts_total")) == 0
    serve.wait_ready()


def test_a_library_that_does_not_fit_the_driver(start: Start, scenario: Path) -> None:
    fault = "at 0s for 4s init lib_rm_version_mismatch\n"
    play(scenario, f"start {time.time():.3f}\ngpus 1\n{fault}")
    serve = start(*QUIET)
    serve.wait(lambda: reports(serve, "lib_rm_version_mismatch"))
    # Only a new process can load the library anew.
    serve.wait(lambda: serve.page().value("gpuglass_probe_restarts_total", cause="renewed") >= 1)
    serve.wait(lambda: serve.page().values("gpu_up") == [1])
    assert serve.page().value("gpuglass_probe_restarts_total", cause="crashed") == 0


def test_a_driver_without_gpus(start: Start, scenario: Path) -> None:
    play(scenario, "driver 570.1 cuda=12.8\ngpus 0\n")
    serve = start(*QUIET)
    serve.wait_ready()
    page = serve.page()
    assert page.value("gpu_devices") == 0
    assert page.value("gpu_driver_info", driver_version="570.1", cuda_version="12.8") == 1
    assert page.value("gpuglass_collector_success", collector="nvml") == 1
    assert page.values("gpu_up") == []


def test_a_gpu_that_was_lost_before_the_start(start: Start, scenario: Path) -> None:
    play(scenario, "gpus 2\nat 0s lost gpu=0\n")
    serve = start(*QUIET)
    serve.wait(lambda: serve.page().values("gpu_up", gpu="1") == [1])
    serve.wait(lambda: nvml_failure(serve.page()) == ["gpu_is_lost"])
    page = serve.page()
    assert page.value("gpu_devices") == 2
    assert page.values("gpu_up") == [1]


def test_without_the_nvml_collector_there_is_no_probe(start: Start) -> None:
    serve = start("--no-collector.nvml", *QUIET)
    serve.wait_ready()
    assert serve.children() == []
    page = serve.page()
    assert not any(sample.name.startswith("gpu_") for sample in page.samples)
    assert page.values("gpuglass_collector_success", collector="nvml") == []
    assert page.values("gpuglass_probe_restarts_total") == []


@pytest.mark.parametrize("gpus", [0, 2])
def test_once(simulator: Path, scenario: Path, gpus: int) -> None:
    play(scenario, f"gpus {gpus}\n")
    result = run("serve", "--once", driver=simulator, scenario=scenario)
    assert (result.returncode, result.stderr.count("error")) == (0, 0)
    page = Page(result.stdout)
    assert page.value("gpu_devices") == gpus
    assert page.values("gpu_up") == [1] * gpus
    assert len(page.values("gpu_power_limit_watts", limit="max")) == gpus
    assert all(value == 1 for value in page.values("gpuglass_collector_success"))


def test_once_without_a_driver(scenario: Path) -> None:
    result = run("serve", "--once", scenario=scenario)
    assert result.returncode == 0
    page = Page(result.stdout)
    assert nvml_failure(page) == ["library_not_found"]
    assert page.value("host_memory_total_bytes") > 0
    assert page.values("gpuglass_collector_success", collector="cpu") == [1]


def test_once_with_a_gpu_that_is_lost_shows_the_others(simulator: Path, scenario: Path) -> None:
    play(scenario, "gpus 3\nat 0s lost gpu=1\n")
    result = run("serve", "--once", driver=simulator, scenario=scenario)
    page = Page(result.stdout)
    assert page.values("gpu_up") == [1, 1]
    assert len(page.values("gpu_power_limit_watts", limit="max")) == 2
    assert nvml_failure(page) == ["gpu_is_lost"]
