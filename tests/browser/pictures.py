"""``python -m tests.browser.pictures``: the pictures of the live page in docs/images.

The demo's scenario, with processes of several users where root may start them, at a moment when
a GPU is too hot and another has had an XID.
"""

import argparse
import base64
import contextlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from playwright.sync_api import Browser, sync_playwright
from tests.bench.stage import build_driver
from tests.browser.conftest import CHROMIUM, EXPORTER, FLAGS, PATIENCE_MS
from tests.conftest import ROOT
from tests.exporter.process import Serve

FOLDER = ROOT / "docs/images"
# Seconds of the scenario at which the pictures are taken.
MOMENT = 433.0
FIRST_UID = 42001
USERS = {
    **{"train": "alice", "serve": "bob", "embed": "bob"},
    **{"notebook": "carol", "finetune": "dave", "simulate": "erin"},
}
NAMES = sorted(set(USERS.values()))


class Picture(NamedTuple):
    """A picture: its name, the window, and how many pixels of it stand for one."""

    name: str
    theme: str
    width: int
    height: int
    scale: float = 1.0


PICTURES = tuple(
    Picture(f"live-{name}-{theme}.webp", theme, *size)
    for theme in ("light", "dark")
    for name, size in (("desktop", (1440, 1190, 1.5)), ("phone", (390, 844, 1.5)))
)


@contextlib.contextmanager
def processes(scenario: str, folder: Path) -> Iterator[str]:
    """Start what the scenario's processes stand for; yields the scenario with their pids."""
    running = []
    folder.chmod(0o755)

    def begin(line: "re.Match[str]") -> str:
        name = line[3]
        program = folder / name
        if not program.exists():
            shutil.copy("/bin/sleep", program)
        uid = FIRST_UID + NAMES.index(USERS[name]) if os.geteuid() == 0 else None
        running.append(subprocess.Popen([program, "infinity"], user=uid))
        return f"{line[1]}{running[-1].pid}{line[2]}{name}"

    try:
        yield re.sub(r"(?m)^(process pid=)\d+(.* name=)(\S+)", begin, scenario)
    finally:
        for process in running:
            process.terminate()
            process.wait()


def take(minutes: float) -> None:
    """Take all pictures after so many minutes of history."""
    text = (ROOT / "simulator/scenarios/demo.conf").read_text()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        build_driver(folder)
        rootfs = folder / "rootfs"
        shutil.copytree(ROOT / "tests/fixtures/host/rootfs", rootfs)
        (rootfs / "etc").mkdir(exist_ok=True)
        lines = [f"{n}:x:{FIRST_UID + i}:100::/:/bin/sh\n" for i, n in enumerate(NAMES)]
        (rootfs / "etc/passwd").write_text("".join(lines))
        with processes(text, folder) as played:
            scenario = folder / "demo.conf"
            start = time.time() - (MOMENT - 60 * minutes)
            scenario.write_text(f"start {start:.0f}\n{played}")
            flags = (*EXPORTER, "--node.name", "gpu01", "--path.rootfs", str(rootfs))
            serve = Serve(flags, folder, scenario, {})
            try:
                time.sleep(max(0.0, start + MOMENT - time.time()))
                photograph(serve)
            finally:
                serve.close()


def photograph(serve: Serve) -> None:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        for picture in PICTURES:
            context = browser.new_context(
                viewport={"width": picture.width, "height": picture.height},
                color_scheme="light" if picture.theme == "light" else "dark",
                device_scale_factor=picture.scale,
            )
            page = context.new_page()
            page.set_default_timeout(PATIENCE_MS)
            page.goto(f"http://127.0.0.1:{serve.port}/")
            page.locator("#gpus canvas").first.wait_for()
            page.wait_for_timeout(2500)  # rates need two readings
            shot = page.screenshot()
            context.close()
            (FOLDER / picture.name).write_bytes(compact(browser, shot))
        browser.close()


# Takes a fifth of a PNG, and nobody sees what is lost.
TO_WEBP = """
async (png) => {
  const image = new Image();
  image.src = `data:image/png;base64,${png}`;
  await image.decode();
  const canvas = new OffscreenCanvas(image.width, image.height);
  canvas.getContext("2d").drawImage(image, 0, 0);
  const blob = await canvas.convertToBlob({ type: "image/webp", quality: 0.8 });
  return [...new Uint8Array(await blob.arrayBuffer())];
}
"""


def compact(browser: Browser, png: bytes) -> bytes:
    page = browser.new_page()
    try:
        return bytes(page.evaluate(TO_WEBP, base64.b64encode(png).decode()))
    finally:
        page.close()


def main() -> None:
    """Take them."""
    parser = argparse.ArgumentParser(prog="python -m tests.browser.pictures", description=__doc__)
    parser.add_argument("--minutes", type=float, default=5.0, help="of history (default 5)")
    arguments = parser.parse_args()
    if not CHROMIUM.exists():
        sys.exit(
            "pictures: error: there is no Chromium; run tests/chromium.sh .cache/tools/chromium"
        )
    FOLDER.mkdir(exist_ok=True)
    take(arguments.minutes)


if __name__ == "__main__":
    main()
