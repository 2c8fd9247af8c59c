"""The page as a whole: its connection, its themes, and what a screen reader gets."""

import re
import signal
import ssl
from pathlib import Path

import bcrypt
from playwright.sync_api import Browser, expect
from playwright.sync_api import Page as Tab
from tests.browser.conftest import EXPORTER, PATIENCE_MS, Open
from tests.certificates import Authority
from tests.exporter.conftest import Start
from tests.exporter.process import Serve, play
from tests.ports import free_port

expect.set_options(timeout=PATIENCE_MS)


def test_it_goes_on_when_the_exporter_restarts(start: Start, open_page: Open) -> None:
    port = free_port()
    arguments = ("--web.listen-address", f"127.0.0.1:{port}", *EXPORTER)
    first = start(*arguments)
    first.wait_ready()
    tab = open_page(first, port=port)
    state = tab.locator("#state")
    expect(state).to_have_text("live")
    assert first.stop() == 0
    expect(state).to_contain_text("connection lost")
    expect(tab.locator("body")).to_have_attribute("data-stale", "")
    # What was known stays to be read.
    expect(tab.locator("#gpus > li")).to_have_count(2)
    second = start(*arguments)
    second.wait_ready()
    expect(state).to_have_text("live")
    expect(tab.locator("#notice")).to_contain_text("The exporter has restarted at")
    assert tab.locator("body").get_attribute("data-stale") is None
    expect(tab.locator("#gpus > li .facts").first).to_be_visible()


def test_a_machine_that_is_silent_is_lost(start: Start, open_page: Open) -> None:
    """Nothing refuses the page's questions, as when the machine has no power."""
    serve = start(*EXPORTER)
    serve.wait_ready()
    tab = open_page(serve)
    tab.clock.install()
    tab.reload()
    state = tab.locator("#state")
    expect(state).to_have_text("live")
    tab.clock.pause_at(tab.evaluate("Date.now() + 1000") / 1000)
    serve.process.send_signal(signal.SIGSTOP)
    try:
        tab.wait_for_timeout(1000)  # for what is on its way
        tab.clock.run_for(12_000)
        tab.clock.run_for(2_000)  # the next attempt, which waits as well
        expect(state).to_contain_text("connection lost")
        tab.clock.resume()
    finally:
        serve.process.send_signal(signal.SIGCONT)
    expect(state).to_have_text("live")


def test_where_too_many_are_open_it_asks_now_and_then(start: Start, open_page: Open) -> None:
    serve = start("--web.max-pages", "1", *EXPORTER)
    serve.wait_ready()
    first, second = open_page(serve), open_page(serve)
    expect(first.locator("#state")).to_have_text("live")
    expect(second.locator("#state")).to_have_text("live, every few seconds")
    expect(second.locator("#gpus > li")).to_have_count(2)
    first.context.close()
    expect(second.locator("#state")).to_have_text("live")


def test_behind_tls_and_a_password(
    simulator: Path, scenario: Path, tmp_path: Path, browser: Browser, open_page: Open
) -> None:
    authority = Authority(tmp_path / "ca")
    pair = authority.issue("node")
    password = bcrypt.hashpw(b"secret", bcrypt.gensalt(4)).decode()
    configuration = tmp_path / "web.yml"
    configuration.write_text(
        f"tls_server_config: {{cert_file: {pair.certificate}, key_file: {pair.key}}}\n"
        f"basic_auth_users: {{alice: '{password}'}}\n"
    )
    client = ssl.create_default_context(cafile=authority.certificate)
    arguments = (*EXPORTER, "--web.config.file", str(configuration))
    serve = Serve(arguments, simulator, scenario, {}, client)
    try:
        serve.wait_ready()
        stranger = browser.new_context(ignore_https_errors=True).request
        for path in ("", "static/main.js", "api/v1/snapshot", "api/v1/stream"):
            assert stranger.get(f"https://127.0.0.1:{serve.port}/{path}").status == 401
        credentials = {"username": "alice", "password": "secret"}
        tab = open_page(serve, ignore_https_errors=True, http_credentials=credentials)
        expect(tab.locator("#state")).to_have_text("live")
        expect(tab.locator("#gpus > li")).to_have_count(2)
        # Who may ask no more gets no more.
        configuration.write_text(configuration.read_text().replace("alice", "bob"))
        expect(tab.locator("#state")).to_contain_text(re.compile("not allowed|connection lost"))
    finally:
        serve.close()


def background(tab: Tab) -> str:
    return str(tab.evaluate("getComputedStyle(document.body).backgroundColor"))


def test_themes(start: Start, open_page: Open) -> None:
    serve = start(*EXPORTER)
    serve.wait_ready()
    tab = open_page(serve)
    tab.emulate_media(color_scheme="light")
    light = background(tab)
    tab.emulate_media(color_scheme="dark")
    dark = background(tab)
    assert light != dark
    select = tab.get_by_label("Theme")
    select.select_option("light")
    assert background(tab) == light
    tab.reload()
    expect(select).to_have_value("light")
    assert background(tab) == light
    select.select_option("dark")
    tab.emulate_media(color_scheme="light")
    assert background(tab) == dark
    select.select_option("system")
    assert background(tab) == light


# By WCAG 2: the ratio of two colours' luminances, each increased by 0.05.
CONTRASTS = """
() => {
  const channel = (c) => (c /= 255) <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
  const light = ([r, g, b]) => 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
  const parse = (colour) => colour.match(/[\\d.]+/g).map(Number);
  const behind = (node) => {
    for (; node; node = node.parentElement) {
      const colour = parse(getComputedStyle(node).backgroundColor);
      if (colour.length === 3 || colour[3] === 1) return colour;
    }
  };
  const written = (node) => [...node.childNodes].some((c) => c.nodeType === 3 && c.data.trim());
  const texts = [...document.querySelectorAll("body *")].filter(
    (node) => written(node) && node.checkVisibility());
  return texts.map((node) => {
    const [a, b] = [light(parse(getComputedStyle(node).color)), light(behind(node))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    return [ratio, node.className || node.tagName, node.textContent];
  }).filter(([ratio]) => ratio < 4.5);
}
"""


def test_every_text_can_be_read(start: Start, scenario: Path, open_page: Open) -> None:
    text = (
        "gpus 4 preset=h200\nload gpu=* constant 0.9\nat 0s throttle gpu=1 reason=hw_thermal\n"
        "gpu 2 power-limit=300W\nat 0s throttle gpu=2 reason=sw_power_cap\n"
        "process pid=4300001 gpu=0 type=compute memory=4GiB sm=10\n"
    )
    play(scenario, text)
    serve = start(*EXPORTER)
    serve.wait_ready()
    tab = open_page(serve)
    play(scenario, f"{text}at 0s lost gpu=3\n")
    expect(tab.locator("#attention")).to_contain_text("GPU 3")
    for theme in ("light", "dark"):
        tab.get_by_label("Theme").select_option(theme)
        assert tab.evaluate(CONTRASTS) == []


NAMELESS = """
[...document.querySelectorAll("button, input, select, [role=img]")]
  .filter((node) => node.checkVisibility())
  .filter((node) => !(node.ariaLabel || node.labels?.length || node.textContent.trim()))
  .map((node) => node.outerHTML)
"""


def test_a_screen_reader_finds_its_way(start: Start, open_page: Open) -> None:
    serve = start(*EXPORTER)
    serve.wait_ready()
    tab = open_page(serve)
    for name in ("GPUs", "Processes", "Host"):
        expect(tab.get_by_role("heading", name=name, exact=True)).to_have_count(1)
        expect(tab.get_by_role("region", name=name).first).to_be_attached()
    expect(tab.get_by_role("button", name="GPU 0, NVIDIA H200: details")).to_be_visible()
    expect(tab.get_by_role("img", name="Power in the last five minutes")).to_have_count(2)
    expect(tab.get_by_role("columnheader", name="Memory")).to_have_count(1)
    assert tab.evaluate(NAMELESS) == []
    # Values come each second: only what matters is announced.
    announced = "document.querySelectorAll('[aria-live], [role=status], [role=alert]').length"
    assert tab.evaluate(announced) == 1
    expect(tab.get_by_role("status")).to_have_text("")
    tab.keyboard.press("Tab")
    expect(tab.get_by_role("link", name="Skip to the GPUs")).to_be_focused()
    tab.keyboard.press("Enter")
    expect(tab.locator("#gpus")).to_be_focused()


def test_it_works_without_motion_or_storage(start: Start, open_page: Open) -> None:
    """A browser that keeps nothing still shows the page, with the system's theme."""
    serve = start(*EXPORTER)
    serve.wait_ready()
    tab = open_page(serve)
    tab.context.add_init_script(
        "Object.defineProperty(window, 'localStorage', { get() { throw new Error('no'); } })"
    )
    tab.reload()
    expect(tab.locator("#gpus > li")).to_have_count(2)
    tab.get_by_label("Theme").select_option("dark")
    assert tab.locator("html").get_attribute("data-theme") == "dark"
