"""The table of processes: sorted, filtered, and safe from what processes call themselves."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Locator, expect
from playwright.sync_api import Page as Tab
from tests.browser.conftest import EXPORTER, PATIENCE_MS, Open
from tests.exporter.conftest import Start
from tests.exporter.process import Serve, play

expect.set_options(timeout=PATIENCE_MS)

SCENARIO = """\
gpus 2 preset=h200
load gpu=* constant 0.5
process pid=4300001 gpu=0 type=compute memory=4GiB sm=10
process pid=4300002 gpu=0 type=graphics memory=1GiB sm=30
process pid=4300010 gpu=1 type=compute memory=20GiB sm=20
process pid=4300011 gpu=1 type=compute memory=2GiB sm=5
"""


@pytest.fixture(scope="module")
def serve(simulator: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serve]:
    """One exporter for all tests that only look."""
    scenario = tmp_path_factory.mktemp("processes") / "scenario.conf"
    scenario.write_text(SCENARIO)
    serve = Serve(EXPORTER, simulator, scenario, {})
    try:
        serve.wait_ready()
        yield serve
    finally:
        serve.close()


def pids(tab: Tab) -> list[str]:
    return tab.locator("#processes tbody [data-column=pid]").all_inner_texts()


def shows(tab: Tab, *expected: int) -> None:
    """Wait until these processes are shown, in this order."""
    cells = tab.locator("#processes tbody [data-column=pid]")
    expect(cells).to_have_text([str(4300000 + number) for number in expected])


def header(tab: Tab, column: str) -> Locator:
    return tab.locator(f"#processes thead th[data-column={column}]")


def test_all_are_there_the_largest_first(serve: Serve, open_page: Open) -> None:
    tab = open_page(serve)
    shows(tab, 10, 1, 11, 2)
    expect(header(tab, "memory")).to_have_attribute("aria-sort", "descending")
    first = tab.locator("#processes tbody tr").first.inner_text().split("\t")
    assert [first[0], first[1], first[5]] == ["1", "4300010", "compute"]
    assert "20.0" in first[6] and "20" in first[7]
    expect(tab.locator("#processes-count")).to_have_text("4")


def test_they_are_sorted_by_any_column(serve: Serve, open_page: Open) -> None:
    tab = open_page(serve)
    header(tab, "sm").get_by_role("button").click()
    shows(tab, 2, 10, 1, 11)
    header(tab, "sm").get_by_role("button").click()
    shows(tab, 11, 1, 10, 2)
    expect(header(tab, "sm")).to_have_attribute("aria-sort", "ascending")
    header(tab, "gpu").get_by_role("button").click()
    shows(tab, 1, 2, 10, 11)
    header(tab, "type").get_by_role("button").click()
    shows(tab, 1, 10, 11, 2)
    assert header(tab, "gpu").get_attribute("aria-sort") is None
    # It stays so while values come.
    tab.wait_for_timeout(2500)
    shows(tab, 1, 10, 11, 2)


def test_they_are_sorted_by_keyboard(serve: Serve, open_page: Open) -> None:
    tab = open_page(serve)
    header(tab, "memory").get_by_role("button").focus()
    tab.keyboard.press("Enter")
    shows(tab, 2, 11, 1, 10)
    tab.keyboard.press("Tab")
    tab.keyboard.press("Space")
    expect(header(tab, "sm")).to_have_attribute("aria-sort", "descending")
    shows(tab, 2, 10, 1, 11)
    expect(tab.get_by_role("status").first).to_have_text("Sorted by SM utilisation, descending")


def test_they_are_filtered_by_any_column(serve: Serve, open_page: Open) -> None:
    tab = open_page(serve)
    gpu, memory = tab.locator("[data-filter=gpu]"), tab.locator("[data-filter=memory]")
    gpu.fill("1")
    shows(tab, 10, 11)
    expect(tab.locator("#processes-count")).to_have_text("2 of 4")
    memory.fill("3")
    shows(tab, 10)
    gpu.fill("")
    shows(tab, 10, 1)
    memory.fill("<3")
    shows(tab, 11, 2)
    tab.locator("[data-filter=type]").fill("graph")
    shows(tab, 2)
    tab.locator("[data-filter=pid]").fill("99")
    expect(tab.locator("#no-processes")).to_have_text("No process matches the filters.")
    tab.get_by_role("button", name="Clear filters").click()
    shows(tab, 10, 1, 11, 2)
    expect(gpu).to_have_value("")


def test_they_are_filtered_by_keyboard(serve: Serve, open_page: Open) -> None:
    tab = open_page(serve)
    shows(tab, 10, 1, 11, 2)
    tab.keyboard.press("/")
    expect(tab.locator("[data-filter=name]")).to_be_focused()
    tab.keyboard.press("Shift+Tab")
    tab.keyboard.type("4300001")
    expect(tab.locator("[data-filter=pid]")).to_be_focused()
    shows(tab, 1)
    tab.keyboard.press("Escape")
    shows(tab, 10, 1, 11, 2)


def test_processes_come_and_go(start: Start, scenario: Path, open_page: Open) -> None:
    play(scenario, SCENARIO)
    serve = start(*EXPORTER)
    serve.wait_ready()
    tab = open_page(serve)
    shows(tab, 10, 1, 11, 2)
    play(scenario, "gpus 2 preset=h200\nprocess pid=4300003 gpu=1 type=compute memory=1GiB\n")
    shows(tab, 3)
    play(scenario, "gpus 2 preset=h200\n")
    expect(tab.locator("#no-processes")).to_have_text("No process is on a GPU.")


def test_a_gpu_is_filtered_by_its_whole_number(
    start: Start, scenario: Path, open_page: Open
) -> None:
    held = "".join(
        f"process pid=43000{gpu:02} gpu={gpu} type=compute memory={gpu}GiB\n" for gpu in (1, 10)
    )
    play(scenario, f"gpus 11 preset=h200\n{held}")
    serve = start(*EXPORTER)
    serve.wait_ready()
    tab = open_page(serve)
    shows(tab, 10, 1)
    tab.locator("[data-filter=gpu]").fill("1")
    shows(tab, 1)


HOSTILE = "<img src=x onerror=\"document.body.id='h'\"><script>document.body.id='h'</script>"
NAME = "<b>&\"'</b>\t`${x"
SLEEPER = (
    "import ctypes, signal, sys; ctypes.CDLL(None).prctl(15, sys.argv[1].encode());"
    "print(flush=True); signal.pause()"
)


def test_what_others_wrote_is_only_text(start: Start, scenario: Path, open_page: Open) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", SLEEPER, NAME, HOSTILE], stdout=subprocess.PIPE
    )
    try:
        assert process.stdout
        process.stdout.readline()
        card = HOSTILE.replace('"', "'")
        play(
            scenario,
            f'gpus 1 preset=h200\ngpu 0 name="{card}" serial="<i>1</i>"\n'
            f"process pid={process.pid} gpu=0 type=compute memory=1GiB\n",
        )
        serve = start("--processes.commands", "--node.name", HOSTILE, *EXPORTER)
        serve.wait_ready()
        tab = open_page(serve)
        cell = tab.locator("#processes tbody [data-column=name]")
        expect(cell).to_contain_text("<b>&")
        assert HOSTILE in (cell.get_attribute("title") or "")
        expect(tab.locator("#node")).to_have_text(HOSTILE)
        expect(tab.locator("#gpus .name")).to_have_text(card)
        tab.locator(".open").click()
        expect(tab.get_by_role("dialog")).to_contain_text("<i>1</i>")
        assert card in tab.locator("#details-title").inner_text()
        assert (
            tab.evaluate("document.querySelectorAll('main b, main i, main img, dialog img').length")
            == 0
        )
        assert tab.evaluate("document.body.id") == ""
        assert HOSTILE in tab.title()
    finally:
        process.kill()
        process.wait()
