"""The cards show what the exporter knows, and say what it does not."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page as Tab
from playwright.sync_api import expect
from tests.browser.conftest import EXPORTER, PATIENCE_MS, Open, card
from tests.exporter.conftest import Start
from tests.exporter.process import Page, play, run

from gpuglass.catalogue.xid_table import XIDS

expect.set_options(timeout=PATIENCE_MS)

NOT_TOLD = "\N{EN DASH}"
FROZEN = """\
start 1763700000
freeze 86400.25
gpus 3 preset=h200
gpu 1 preset=rtx4090
gpu 2 power-limit=450W
load gpu=0 wave min=0.1 max=0.9 period=60 phase=0.25
load gpu=1 constant 0.4
load gpu=2 constant 0.95
process pid=4300001 gpu=0 type=compute memory=10GiB sm=40
"""


def expected(page: Page, gpu: str) -> dict[str, str]:
    """What a card has to show, from the page for scrapers."""

    def value(name: str, **labels: str) -> float:
        return page.value(name, gpu=gpu, **labels)

    gib = 2**30
    fan = page.values("gpu_fan_speed_ratio", gpu=gpu)
    return {
        "Utilisation": f"{value('gpu_utilization_ratio') * 100:.0f} %",
        "Memory": f"{value('gpu_memory_used_bytes') / gib:.1f}"
        f" / {value('gpu_memory_total_bytes') / gib:.1f} GiB",
        "Power": f"{value('gpu_power_watts'):.0f}"
        f" / {value('gpu_power_limit_watts', limit='enforced'):.0f} W",
        "Temperature": f"{value('gpu_temperature_celsius', sensor='core'):.0f}"
        f" / {value('gpu_temperature_limit_celsius', limit='gpu_max'):.0f} °C",
        "SM clock": f"{value('gpu_clock_hertz', domain='sm') / 1e6:,.0f}"
        f" / {value('gpu_clock_max_hertz', domain='sm') / 1e6:,.0f} MHz",
        "Fan": f"{max(fan) * 100:.0f} %" if fan else NOT_TOLD,
    }


def test_each_value_is_the_exporters(start: Start, scenario: Path, open_page: Open) -> None:
    play(scenario, FROZEN)
    serve = start(*EXPORTER)
    serve.wait_ready()
    tab = open_page(serve)
    expect(tab.locator("#gpus > li")).to_have_count(3)
    page = serve.page()
    for index in range(3):
        assert card(tab, index) == expected(page, str(index))
    assert [card(tab, i)["Fan"] == NOT_TOLD for i in range(3)] == [True, False, True]
    summary = " ".join(tab.locator("#summary").inner_text().split())
    assert "GPUs busy 3 of 3" in summary
    power = sum(page.values("gpu_power_watts"))
    assert f"{power / 1000:.2f} kW" in summary


def test_a_change_is_seen_without_asking(start: Start, scenario: Path, open_page: Open) -> None:
    play(scenario, "gpus 1 preset=h200\nload gpu=0 constant 0.25\n")
    serve = start(*EXPORTER)
    serve.wait_ready()
    tab = open_page(serve)
    value = tab.locator("[data-fact=utilisation]")
    expect(value).to_have_text(re.compile("^25"))
    play(scenario, "gpus 1 preset=h200\nload gpu=0 constant 0.75\n")
    expect(value).to_have_text(re.compile("^75"))


def test_the_last_minutes_are_there_at_once(start: Start, open_page: Open) -> None:
    serve = start("--probe.interval", "1s", *EXPORTER)
    serve.wait_ready()
    before = open_page(serve)
    points = "document.querySelector('.hero .spark').chart.data[0].length"
    serve.wait(lambda: bool(before.evaluate(points) >= 6))
    later = open_page(serve)
    expect(later.locator("#gpus > li").first).to_be_visible()
    assert later.evaluate(points) >= 6
    label = later.locator(".hero .spark").first.get_attribute("aria-label") or ""
    assert label.startswith("Utilisation in the last five minutes: 0")
    assert later.locator(".hero .spark canvas").first.bounding_box()


def test_a_lost_gpu_loses_its_values_and_comes_back(
    start: Start, scenario: Path, open_page: Open
) -> None:
    serve = start(*EXPORTER)
    serve.wait_ready()
    tab = open_page(serve)
    second = tab.locator("#gpus > li").nth(1)
    expect(second.locator(".facts")).to_be_visible()
    play(scenario, "gpus 2 preset=h200\nat 0s lost gpu=1\n")
    expect(second.locator(".down")).to_contain_text("does not answer")
    expect(second.locator(".chip")).to_have_text("down")
    expect(second.locator(".facts")).to_be_hidden()
    expect(tab.locator("#gpus > li").first.locator(".facts")).to_be_visible()
    expect(tab.locator("#attention")).to_contain_text("GPU 1")
    expect(tab.locator("#summary")).to_contain_text("1 does not answer")
    play(scenario, "gpus 2 preset=h200\n")
    expect(second.locator(".facts")).to_be_visible()
    expect(tab.locator("#attention-section")).to_be_hidden()


def test_what_holds_a_card_back_is_said_in_words(
    start: Start, scenario: Path, open_page: Open
) -> None:
    play(
        scenario,
        "gpus 3 preset=h200\nload gpu=* constant 0.9\nat 0s throttle gpu=1 reason=hw_thermal\n"
        "gpu 2 power-limit=300W\nat 0s throttle gpu=2 reason=sw_power_cap\n"
        "at 0s every 1s xid gpu=0 code=48\n",
    )
    serve = start(*EXPORTER)
    serve.wait_ready()
    tab = open_page(serve)
    hot, held = tab.locator("#gpus > li").nth(1), tab.locator("#gpus > li").nth(2)
    expect(hot.locator(".notes")).to_contain_text("slowed down by the hardware: too hot")
    expect(hot).to_have_attribute("data-level", "bad")
    expect(hot.locator(".rows > div[data-key=temperature]")).to_have_attribute("data-level", "bad")
    expect(held.locator(".notes")).to_have_text("power limit reached")
    expect(held.locator(".rows > div[data-key=power]")).to_have_attribute("data-level", "warn")
    attention = tab.locator("#attention")
    expect(attention).to_contain_text("XID 48")
    expect(attention).to_contain_text(XIDS[48].means)
    expect(attention.locator("li").first).to_have_attribute("data-level", "bad")
    expect(tab.locator("#gpus > li").first.locator(".notes")).to_contain_text("XID 48")


def test_the_details_of_a_card(start: Start, scenario: Path, open_page: Open) -> None:
    play(scenario, "gpus 2 preset=h200\nmig gpu=1 profile=1g.18gb count=2\n")
    serve = start(*EXPORTER)
    serve.wait_ready()
    tab = open_page(serve)
    first = tab.locator(".open").first
    first.focus()
    tab.keyboard.press("Enter")
    dialog = tab.get_by_role("dialog")
    expect(dialog).to_be_visible()
    expect(dialog.get_by_role("heading", level=2)).to_have_text("GPU 0 · NVIDIA H200")
    missing = dialog.locator("[data-section=missing]")
    expect(missing).to_contain_text("What this card cannot tell, and why")
    expect(missing).to_contain_text("Fans")
    expect(missing).to_contain_text("this card does not have it")
    expect(missing).to_contain_text("MIG is switched off")
    expect(dialog.locator("canvas")).to_have_count(5)
    tab.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    expect(first).to_be_focused()
    tab.locator(".open").nth(1).click()
    instances = dialog.locator("[data-section=mig]")
    expect(instances).to_contain_text("1g.18gb")
    expect(instances.locator("dt")).to_have_count(2)
    dialog.locator("summary").click()
    expect(dialog.locator("[data-section=all]")).to_contain_text("gpu_mig_memory_used_bytes")


def test_without_a_driver_it_says_so(start: Start, open_page: Open) -> None:
    serve = start(*EXPORTER, driver=None)
    tab = open_page(serve)
    expect(tab.locator("#no-gpus")).to_contain_text("libnvidia-ml.so.1, is not there")
    expect(tab.locator("#host")).to_contain_text("Load")


CUT_OFF = """
[...document.querySelectorAll(".card .value, .tile .value")]
  .filter((node) => node.scrollWidth > node.clientWidth + 1)
  .map((node) => node.textContent)
"""


def overflow(tab: Tab) -> int:
    """By how many pixels the page is wider than the window."""
    return int(tab.evaluate("document.documentElement.scrollWidth - innerWidth"))


@pytest.mark.parametrize("count", [1, 16])
def test_few_and_many_on_every_screen(
    start: Start, scenario: Path, open_page: Open, count: int
) -> None:
    play(
        scenario,
        f"gpus {count} preset=h200\nload gpu=* constant 0.9\nprocess pid=4300001 gpu=0 count=20\n",
    )
    serve = start(*EXPORTER)
    serve.wait_ready()
    tab = open_page(serve)
    cards = tab.locator("#gpus > li")
    expect(cards).to_have_count(count)
    for width in (360, 820, 1440, 3840):
        tab.set_viewport_size({"width": width, "height": 900})
        assert overflow(tab) <= 0, width
        boxes = [box for i in range(count) if (box := cards.nth(i).bounding_box())]
        assert len(boxes) == count
        assert max(box["x"] + box["width"] for box in boxes) <= width
        # No number runs out of its place.
        assert tab.evaluate(CUT_OFF) == [], width


def test_gpus_that_are_let_go_are_no_trouble(start: Start, open_page: Open, tmp_path: Path) -> None:
    control = tmp_path / "control.sock"
    serve = start("--control.socket", str(control), *EXPORTER)
    serve.wait_ready()
    tab = open_page(serve)
    assert run("release", "--for", "10m", "--control.socket", str(control)).returncode == 0
    first = tab.locator("#gpus > li").first
    expect(first.locator(".chip")).to_have_text("let go")
    expect(first.locator(".down")).to_contain_text("This GPU is not read: let go on request")
    expect(tab.locator("#attention")).to_contain_text("GPUs are let go on request until")
    expect(tab.locator("#attention li")).to_have_count(1)
    expect(tab.locator("#attention li")).to_have_attribute("data-level", "note")
