"""Grafana's settings: what both ways of an install give it, and its first password."""

import re
import stat
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.conftest import ROOT

PROVISIONING = ROOT / "grafana/provisioning"
START = ROOT / "grafana/start.sh"
NATIVE = (ROOT / "deploy/native/programs.sh").read_text()
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.host.yml").read_text())
OUR_NAME = re.compile(r"\$\{?(GPUGLASS_[A-Z0-9_]+)")
# Grafana takes any setting from a variable of the section's and its own name.
GRAFANA_NAME = re.compile(r"^GF_([A-Z]+)_([A-Z_]+)$")


def provisioned(kind: str) -> dict[str, Any]:
    """What the one file of a folder says."""
    (path,) = (PROVISIONING / kind).glob("*.yml")
    found: dict[str, Any] = yaml.safe_load(path.read_text())
    assert found["apiVersion"] == 1
    return found


def given_by_setup() -> set[str]:
    body = NATIVE.partition("grafana_settings() {")[2].partition("\n}")[0]
    names = set(re.findall(r"environment_line ([A-Z0-9_]+) ", body))
    tiers = NATIVE.partition("data_sources() {")[2].partition("\n}")[0]
    (listed,) = re.findall(r"for name in ([A-Z0-9_ ]+); do", tiers)
    return names | {f"GPUGLASS_{name}_URL" for name in listed.split()}


def test_what_the_files_ask_for_is_given_in_both_ways() -> None:
    asked = {
        name for path in PROVISIONING.glob("*/*.yml") for name in OUR_NAME.findall(path.read_text())
    }
    # Which start.sh makes of the file's place.
    asked = asked - {"GPUGLASS_PASSWORD"} | {"GPUGLASS_PASSWORD_FILE"}
    inside = set(COMPOSE["services"]["grafana"]["environment"])
    assert asked == {name for name in given_by_setup() if name.startswith("GPUGLASS_")}
    assert asked == {name for name in inside if name.startswith("GPUGLASS_")}
    native = {name for name in given_by_setup() if GRAFANA_NAME.match(name)}
    # In its container Grafana is reached from the host.
    assert native | {"GF_SERVER_HTTP_ADDR"} == {n for n in inside if GRAFANA_NAME.match(n)}


def test_data_sources_are_the_tiers() -> None:
    sources = provisioned("datasources")["datasources"]
    assert [source["uid"] for source in sources] == ["vm-raw", "vm-1m", "vm-1h"]
    assert [source["isDefault"] for source in sources] == [True, False, False]
    intervals = [source["jsonData"]["timeInterval"] for source in sources]
    assert intervals == ["$GPUGLASS_SCRAPE_INTERVAL", "1m", "1h"]
    for source in sources:
        assert source["editable"] is False
        assert source["jsonData"]["httpMethod"] == "POST"
        assert (source["basicAuth"], source["basicAuthUser"]) == (True, "gpuglass")
        assert source["secureJsonData"] == {"basicAuthPassword": "${GPUGLASS_PASSWORD}"}


def test_dashboards_cannot_be_changed_in_place() -> None:
    (provider,) = provisioned("dashboards")["providers"]
    assert provider["folderUid"] == "gpuglass"
    assert (provider["allowUiUpdates"], provider["disableDeletion"]) == (False, True)


def start(data: Path, name: str = "GF_SECURITY_ADMIN_PASSWORD", **more: str) -> str:
    """What Grafana would be told."""
    done = subprocess.run(
        ["sh", str(START), "sh", "-c", f"echo ${name}"],
        env={"PATH": "/usr/bin:/bin", "GF_PATHS_DATA": str(data), **more},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""
    return done.stdout.strip()


def test_the_first_start_makes_a_password_that_stays(tmp_path: Path) -> None:
    data = tmp_path / "data"
    password = data / "admin-password"
    assert start(data) == f"$__file{{{password}}}"
    first = password.read_text().strip()
    assert re.fullmatch(r"[A-Za-z0-9]{24}", first)
    assert stat.S_IMODE(password.stat().st_mode) == 0o600
    assert stat.S_IMODE(data.stat().st_mode) == 0o700
    start(data)
    assert password.read_text().strip() == first
    start(tmp_path / "another")
    assert (tmp_path / "another/admin-password").read_text().strip() != first


def test_the_storage_s_password_is_told_by_its_place(tmp_path: Path) -> None:
    file = tmp_path / "password"
    for name in ("GPUGLASS_PASSWORD", "GF_METRICS_BASIC_AUTH_PASSWORD"):
        assert start(tmp_path, name, GPUGLASS_PASSWORD_FILE=str(file)) == f"$__file{{{file}}}"
        assert start(tmp_path, name) == ""


def test_no_password_is_made_up_for_a_database_that_has_one(tmp_path: Path) -> None:
    (tmp_path / "grafana.db").touch()
    start(tmp_path)
    assert not (tmp_path / "admin-password").exists()


@pytest.mark.parametrize(
    ("section", "key", "value"),
    [
        ("auth.anonymous", "enabled", "false"),
        ("server", "http_addr", "127.0.0.1"),
        ("analytics", "reporting_enabled", "false"),
        ("analytics", "check_for_updates", "false"),
        ("plugins", "preinstall_disabled", "true"),
        ("users", "allow_sign_up", "false"),
        ("security", "disable_gravatar", "true"),
    ],
)
def test_nothing_is_open_or_asked_of_others(section: str, key: str, value: str) -> None:
    text = (ROOT / "grafana/grafana.ini").read_text()
    body = text.partition(f"\n[{section}]\n")[2].partition("\n[")[0]
    assert re.search(rf"^{key} = {re.escape(value)}$", body, re.MULTILINE)
