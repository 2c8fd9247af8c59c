"""vmagent's scrape config, as vmagent reads it."""

import subprocess
from pathlib import Path

import pytest
from tests.integration.stack import ROOT, environment

SCRAPE = ROOT / "victoriametrics/scrape.yml"
PLACES = {
    "GPUGLASS_SCRAPE_INTERVAL": "5s",
    "GPUGLASS_SCRAPE_TIMEOUT": "4500ms",
    "GPUGLASS_TARGETS_PUBLISHED": "/nowhere",
    "GPUGLASS_TLS_DIR": "/nowhere",
    "GPUGLASS_PASSWORD_FILE": "/nowhere",
    "GPUGLASS_VMAGENT_ADDRESS": "127.0.0.1:8429",
    "GPUGLASS_VICTORIAMETRICS_ADDRESS": "127.0.0.1:8428",
    "GPUGLASS_VICTORIAMETRICS_1M_ADDRESS": "127.0.0.1:8438",
    "GPUGLASS_VICTORIAMETRICS_1H_ADDRESS": "none",
    "GPUGLASS_KEEPER_ADDRESS": "127.0.0.1:9401",
    "GPUGLASS_VMALERT_ADDRESS": "127.0.0.1:8880",
    "GPUGLASS_VMAUTH_ADDRESS": "127.0.0.1:8426",
    "GPUGLASS_ALERTMANAGER_ADDRESS": "127.0.0.1:9093",
    "GPUGLASS_GRAFANA_ADDRESS": "127.0.0.1:3000",
}


def dry_run(components: Path, config: Path, places: dict[str, str]) -> int:
    command = [str(components / "vmagent"), f"-promscrape.config={config}"]
    return subprocess.run(
        [*command, "-promscrape.config.dryRun"],
        env=environment(**places),
        capture_output=True,
        timeout=30,
        check=False,
    ).returncode


def test_vmagent_accepts_it_with_every_place_filled(components: Path) -> None:
    assert dry_run(components, SCRAPE, PLACES) == 0


@pytest.mark.parametrize("place", ["GPUGLASS_SCRAPE_INTERVAL", "GPUGLASS_SCRAPE_TIMEOUT"])
def test_an_empty_place_does_not_go_unseen(components: Path, place: str) -> None:
    assert dry_run(components, SCRAPE, {k: v for k, v in PLACES.items() if k != place}) != 0


def test_a_key_that_vmagent_does_not_know_is_refused(components: Path, tmp_path: Path) -> None:
    config = tmp_path / "scrape.yml"
    config.write_text(SCRAPE.read_text().replace("honor_labels", "honour_labels"))
    assert dry_run(components, config, PLACES) != 0
