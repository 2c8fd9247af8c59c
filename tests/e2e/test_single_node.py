"""One command from a clone to live series, and back to nothing."""

import base64
import json
import os
import re
import shutil
import signal
import ssl
import stat
import subprocess
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.e2e.clone import (
    GRAFANA,
    NOBODY,
    OWN_GRAFANA,
    PROGRAMS,
    REPOSITORY,
    TIERS,
    Clone,
    as_ordinary_user,
    is_root,
    wait_for,
)

from gpuglass.keeper.http import basic

DEMO = ("--single-node", "--demo", "--no-docker")
# As the kernel spells it.
LOOPBACK = "0100007F"
RULES = REPOSITORY / "victoriametrics/rules"


def scraped(clone: Clone, programs: Sequence[str]) -> bool:
    """Wait until vmagent has scraped these programs, and no others."""
    wanted = {f"127.0.0.1:{clone.ports[program]}" for program in programs}

    def up() -> dict[str, str]:
        found = clone.query("last_over_time(up[10s])")
        return {r["metric"]["instance"]: r["value"][1] for r in found}

    return bool(wait_for("up of every component", lambda: up() == dict.fromkeys(wanted, "1")))


def test_eight_gpus_arrive(running: Clone) -> None:
    gpus = wait_for("eight GPUs", lambda: running.query("count(gpu_info) == 8"))
    assert gpus[0]["value"][1] == "8"
    assert {r["metric"]["node"] for r in running.query("gpu_info")} == {"testnode"}
    assert {r["metric"]["node"] for r in running.query('up{node!=""}')} == {"testnode"}


def test_processes_and_xids_of_the_demo_are_shown_as_they_are(running: Clone) -> None:
    names = 'gpu_process_info{name=~"demo-.+",user!=""}'
    found = wait_for("processes", lambda: running.query(names), 60)
    assert len(found) == 9
    for process in found:
        name = Path(f"/proc/{process['metric']['pid']}/comm").read_text().strip()
        assert process["metric"]["name"] == name
    users = {process["metric"]["user"] for process in found}
    (owner,) = users
    held = running.query(f'sum(gpu_owner_memory_used_bytes{{user="{owner}"}})')
    assert float(held[0]["value"][1]) > 500 * 2**30
    (source,) = running.query("gpuglass_xid_source_info")
    assert source["metric"]["source"] == "nvml_events"


def test_all_our_components_are_scraped(running: Clone) -> None:
    assert scraped(running, PROGRAMS)


@pytest.fixture(scope="module")
def own_rule(running: Clone) -> str:
    """The name of a rule that the user of the install wrote."""
    own = {"groups": [{"name": "mine", "rules": [{"record": "mine:up:sum", "expr": "sum(up)"}]}]}
    (running.folder / "victoriametrics/rules/custom/mine.yml").write_text(yaml.safe_dump(own))
    return "mine:up:sum"


def test_vmalert_evaluates_every_rule_and_a_users_own(running: Clone, own_rule: str) -> None:
    def evaluated() -> set[str]:
        rules = [rule for group in groups() for rule in group["rules"]]
        return {rule["name"] for rule in rules if rule["lastEvaluation"][:4] > "2000"}

    def groups() -> list[dict[str, Any]]:
        return list(running.ask("vmalert", "/api/v1/rules")["data"]["groups"])

    files = [*(RULES / "alerts").glob("*.yml"), *(RULES / "records").glob("*.yml")]
    shipped = [group for path in files for group in yaml.safe_load(path.read_text())["groups"]]
    names = {rule.get("alert") or rule["record"] for group in shipped for rule in group["rules"]}
    wait_for("every rule", lambda: evaluated() == {*names, own_rule}, 120)
    assert [r for group in groups() for r in group["rules"] if r["lastError"]] == []


def test_installed_command_asks_this_install(running: Clone) -> None:
    wait_for("an alert", lambda: "GPUStackWatchdog" in running.gpuglass("alerts", "list"))
    assert "H200" in running.gpuglass("status")


@pytest.mark.usefixtures("own_rule")
def test_installed_command_finds_the_programs_beside_it(running: Clone) -> None:
    folder = running.folder / "victoriametrics/alertmanager"
    assert running.gpuglass("rules", "check") == "1 rule in 1 file: ok\n"
    checked = running.gpuglass("alertmanager", "check", str(folder / "receivers.example.yml"))
    assert "receivers.example.yml: ok, " in checked
    missing = running.command("alertmanager", "check").stderr
    assert missing.startswith(f"gpuglass: error: {folder}/receivers.yml: there is no such file")


def test_installed_command_looks_after_the_targets(running: Clone) -> None:
    address = f"127.0.0.1:{running.ports['exporter']}"
    assert running.gpuglass("targets", "list").split()[4:6] == ["testnode", address]
    # Which asks the exporter, too.
    assert running.gpuglass("targets", "check").endswith("/this-node.yml: ok, 1 target\n")
    added = running.gpuglass("targets", "add", "n9.invalid:9400", "--file", "more.yml")
    file = running.folder / "victoriametrics/targets/more.yml"
    assert added == f"{file}: 1 target added\n"
    assert running.gpuglass("targets", "remove", "n9.invalid") == f"{file}: 1 target removed\n"
    file.unlink()


def test_the_doctor_finds_a_new_install_well(running: Clone) -> None:
    def look() -> dict[str, str]:
        told = json.loads(running.command("doctor", "--json").stdout)
        return {check["id"]: check["status"] for check in told["checks"]}

    def well() -> dict[str, str] | None:
        found = look()
        evaluated = found["rules"] == found["test-alert"] == "ok"
        return found if evaluated and "failed" not in found.values() else None

    # Rules are evaluated, and alerts fire, after a while.
    found = wait_for("all is well", well, 240)
    for id in ("nvml", "hidepid", "exporter", "ports", "exposure", "targets", "series", "rules"):
        assert found[id] == "ok", id
    for id in ("passwords", "node-clocks", "test-alert", "disk"):
        assert found[id] == "ok", id
    assert (found["receivers"], found["rollups"]) == ("warning", "skipped")
    broken = running.command("doctor", "--alertmanager.url", "http://127.0.0.1:1")
    assert broken.returncode == 1
    (line,) = (line for line in broken.stdout.splitlines() if line.startswith("failed"))
    assert "no answer from alertmanager at http://127.0.0.1:1 (" in line


def test_nobody_deletes_samples_by_a_link(running: Clone) -> None:
    path = "/api/v1/admin/tsdb/delete_series?match[]=nothing"
    for key in ("", "&authKey=file:///proc/sys/kernel/random/uuid"):
        for headers in ({}, running.login()):
            assert running.status("victoria-metrics", path + key, headers) == 401


def test_who_does_not_know_the_password_gets_nothing(running: Clone) -> None:
    asked = {
        "victoria-metrics": ("/api/v1/query?query=up", "/api/v1/export", "/vmui/", "/metrics"),
        "vmagent": ("/targets", "/config", "/api/v1/import/prometheus", "/metrics"),
        "vmalert": ("/", "/api/v1/rules", "/-/reload", "/metrics"),
        "alertmanager": ("/", "/api/v2/silences", "/-/reload", "/metrics"),
    }
    wrong = basic("gpuglass", "gpuglass")
    for program, paths in asked.items():
        for path in paths:
            for headers in ({}, wrong):
                assert running.status(program, path, headers) == 401, (program, path)
    written = running.status("victoria-metrics", "/api/v1/import/prometheus", {}, b"intruder 1")
    assert written == 401
    for program in ("victoria-metrics", "vmagent", "vmalert"):
        assert running.status(program, "/health", {}) == 200


def test_the_password_is_in_one_place_for_its_owner_alone(running: Clone) -> None:
    password = running.password.read_text().strip()
    found = running.password.stat()
    assert stat.S_IMODE(found.st_mode) == 0o600
    assert found.st_uid == (NOBODY if is_root() else os.getuid())
    assert stat.S_IMODE(running.password.parent.stat().st_mode) == 0o700
    search = ["grep", "-rlF", password, str(running.folder)]
    holders = subprocess.run(search, capture_output=True, text=True, check=True).stdout
    assert holders.splitlines() == [str(running.password)]
    for pid in running.pids().values():
        for name in ("cmdline", "environ"):
            assert password.encode() not in Path(f"/proc/{pid}/{name}").read_bytes()


def test_no_program_is_turned_away_by_another(running: Clone) -> None:
    for log in (running.prefix / "log").iterdir():
        lines = log.read_text().splitlines()
        assert [n for n in lines if re.search(r"Unauthorized|code .*\b401\b", n)] == [], log


def test_the_line_that_setup_shows_for_promql_works(running: Clone) -> None:
    (line,) = re.findall(r"^PromQL: +(.+)$", running.first_output, re.MULTILINE)
    done = subprocess.run(
        as_ordinary_user(["bash", "-c", line]), capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout)["status"] == "success"
    assert f"user gpuglass: {running.password}\n" in running.first_output


def test_output_shows_steps_table_and_addresses(running: Clone) -> None:
    output = running.first_output
    assert "[1/6] Stand-in driver" in output
    assert "[6/6] Data" in output
    assert output.count("H200") >= 1
    assert f"http://127.0.0.1:{running.ports['victoria-metrics']}" in output
    assert output.count("Nobody is told of alerts yet") == 1
    assert "\033" not in output


def opened(clone: Clone) -> dict[str, bool]:
    """Whether each program listens on all addresses; else it does on the loopback."""
    programs = {port: program for program, port in clone.ports.items()}
    found = {}
    for table in ("tcp", "tcp6"):
        for row in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            address, _, port = row.split()[1].rpartition(":")
            if row.split()[3] == "0A" and int(port, 16) in programs:
                assert address == LOOPBACK or not address.strip("0"), address
                found[programs[int(port, 16)]] = address != LOOPBACK
    return found


def test_everything_listens_on_loopback_alone(running: Clone) -> None:
    assert opened(running) == dict.fromkeys(PROGRAMS, False)


class Shown:
    """The Grafana of an install, asked as the admin whose password setup.sh tells of."""

    def __init__(self, clone: Clone) -> None:
        line = r"^Grafana: +(\S+)/ \(user admin, password: (.+)\)$"
        found = re.search(line, clone.first_output, re.MULTILINE)
        assert found, clone.first_output
        self._url, self.password = found[1], Path(found[2])

    def ask(self, path: str, *, password: str | None = None) -> Any:
        word = self.password.read_text().strip() if password is None else password
        token = base64.b64encode(f"admin:{word}".encode()).decode()
        headers = {"Authorization": f"Basic {token}"} if word else {}
        request = urllib.request.Request(f"{self._url}{path}", headers=headers)
        with urllib.request.urlopen(request, timeout=20) as answer:
            return json.load(answer)


@pytest.fixture(scope="module")
def shown(running: Clone) -> Shown:
    if not GRAFANA:
        pytest.skip("no Grafana is on PATH, and tests download none")
    return Shown(running)


def test_without_a_grafana_setup_says_so_and_goes_on(running: Clone) -> None:
    if GRAFANA:
        pytest.skip("a Grafana is on PATH")
    output = running.first_output
    assert output.count("no dashboards: grafana cannot be had") == 1
    page = f"http://127.0.0.1:{running.ports['exporter']}/"
    assert f"Grafana:   not here; this node shows itself at {page}\n" in output
    assert "grafana" not in running.pids()


def test_only_the_admin_gets_into_grafana(shown: Shown) -> None:
    assert stat.S_IMODE(shown.password.stat().st_mode) == 0o600
    assert shown.ask("/api/org")["id"] == 1
    for password in ("", "admin"):
        with pytest.raises(urllib.error.HTTPError, match="401"):
            shown.ask("/api/org", password=password)


def test_grafana_has_every_dashboard_and_the_data(shown: Shown, running: Clone) -> None:
    files = (running.folder / "grafana/dashboards").glob("*.json")
    uids = {json.loads(path.read_text())["uid"] for path in files}
    found = wait_for("dashboards", lambda: shown.ask("/api/search?type=dash-db"))
    assert {board["uid"] for board in found} == uids
    assert {board["folderUid"] for board in found} == {"gpuglass"}
    for tier in ("vm-raw", "vm-1m", "vm-1h"):
        place = f"/api/datasources/uid/{tier}"
        number = shown.ask(place)["id"]
        path = f"/api/datasources/proxy/{number}/api/v1/query?query=count(gpu_info)"
        assert shown.ask(path)["data"]["result"][0]["value"][1] == "8"


def test_grafana_is_closed_and_quiet(shown: Shown, running: Clone) -> None:
    settings = shown.ask("/api/admin/settings")
    assert settings["auth.anonymous"]["enabled"] == "false"
    assert settings["analytics"]["reporting_enabled"] == "false"
    assert settings["plugins"]["preinstall_disabled"] == "true"
    log = (running.prefix / "log/grafana.log").read_text()
    # But for a wrong password, which the test before has tried.
    errors = [line for line in log.splitlines() if "level=error" in line]
    assert [line for line in errors if "invalid username or password" not in line] == []


def test_second_run_changes_nothing(running: Clone) -> None:
    before = running.pids()
    code, output = running.setup(*DEMO)
    assert code == 0, output
    assert "Already running, nothing changed" in output
    assert running.pids() == before
    assert set(before) == set(PROGRAMS)


def test_status_shows_programs_and_table(running: Clone) -> None:
    code, output = running.setup("--status")
    assert code == 0, output
    assert all(f"{program} RUNNING" in output for program in PROGRAMS)
    assert "H200" in output


def test_killed_program_comes_back(running: Clone) -> None:
    before = running.pids()["vmagent"]
    os.kill(before, signal.SIGKILL)
    wait_for("a new vmagent", lambda: running.pids().get("vmagent", before) != before, 20)


def test_vmagent_starts_without_the_tail_of_a_killed_one(running: Clone) -> None:
    before = running.pids()["vmagent"]
    (file,) = running.prefix.glob("data/vmagent/persistent-queue/*/0000000000000000")
    size = file.stat().st_size
    with file.open("ab") as queue:
        queue.write(b"a tail")
    os.kill(before, signal.SIGKILL)
    wait_for("a new vmagent", lambda: running.pids().get("vmagent", before) != before, 20)
    assert file.stat().st_size == size
    assert f"{file}: cut 6 bytes" in (running.prefix / "log/vmagent.log").read_text()


def test_programs_of_a_killed_supervisor_are_found(running: Clone) -> None:
    supervisor = int((running.prefix / "run/supervisord.pid").read_text())
    before = running.pids()
    os.kill(supervisor, signal.SIGKILL)
    wait_for("its end", lambda: not Path(f"/proc/{supervisor}").exists(), 10)
    code, output = running.setup(*DEMO)
    assert code == 0, output
    assert "Ended what an earlier run had left behind." in output
    assert not set(before.values()) & set(running.pids().values())
    assert not any(Path(f"/proc/{pid}").exists() for pid in before.values())


def test_changed_setting_restarts_only_what_it_changes(running: Clone) -> None:
    wait_for("all programs", lambda: len(running.pids()) == len(PROGRAMS), 20)
    before = running.pids()
    code, output = running.setup(*DEMO, env={"GPUGLASS_SCRAPE_INTERVAL": "2s"})
    assert code == 0, output
    after = running.pids()
    changed = {program for program in PROGRAMS if before[program] != after[program]}
    assert changed == {"vmagent", *OWN_GRAFANA}


def test_changed_script_restarts_only_vmagent(running: Clone) -> None:
    running.setup(*DEMO)
    before = running.pids()
    with (running.folder / "victoriametrics/vmagent.sh").open("a") as script:
        script.write("# newer\n")
    code, output = running.setup(*DEMO)
    assert code == 0, output
    after = running.pids()
    assert {program for program in PROGRAMS if before[program] != after[program]} == {"vmagent"}


def test_other_role_ends_only_what_it_lacks(running: Clone) -> None:
    running.setup(*DEMO)
    before = running.pids()
    code, output = running.setup("--host", "--no-docker")
    assert code == 0, output
    assert "VictoriaMetrics answers." in output
    assert "Nobody is told of alerts yet" in output
    assert running.pids() == {p: pid for p, pid in before.items() if p != "exporter"}
    assert not (running.folder / "victoriametrics/targets/this-node.yml").exists()
    code, output = running.setup(*DEMO)
    assert code == 0, output
    assert (running.folder / "victoriametrics/targets/this-node.yml").exists()


def status(clone: Clone, scheme: str) -> int:
    """What the exporter answers to whoever asks for its metrics without a password."""
    context = ssl.create_default_context(cafile=clone.prefix / "data/tls/ca.crt")
    url = f"{scheme}://127.0.0.1:{clone.ports['exporter']}/metrics"
    try:
        with urllib.request.urlopen(url, timeout=10, context=context) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def test_worker_with_tls_and_without(running: Clone) -> None:
    worker, port = ("--worker", "--demo", "--no-docker"), running.ports["exporter"]
    tls = running.prefix / "data/tls"
    secret = [
        tls,
        tls.with_name("tls-ca"),
        tls.with_name("tls-ca") / "ca.key",
        tls / "scrape.password",
    ]
    assert [stat.S_IMODE(path.stat().st_mode) & 0o077 for path in secret] == [0] * 4
    enrolled = running.home / "pasted"
    enrolled.write_text(
        running.gpuglass("enrol", "127.0.0.1").partition("<<'END'\n")[2].partition("END\n")[0]
    )
    code, output = running.setup(*worker, "--tls", "-", stdin=enrolled)
    enrolled.unlink()
    assert code == 0, output
    line = f"targets add 127.0.0.1:{port} --label node=testnode --label __scheme__=https\n"
    assert line in output
    assert "Whoever reaches this port" not in output
    assert "write a name that it was enrolled by" not in output
    kept = running.prefix / "web/web.yml"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert status(running, "https") == 401

    broken = running.home / "broken.yml"
    broken.write_text("tls_server_config: {}\n")
    told = running.fails(*worker, "--tls", str(broken))
    broken.unlink()
    assert f"--tls: {broken}:1: tls_server_config has neither cert_file nor cert" in told
    code, output = running.setup(*worker)
    assert code == 0 and line in output, output
    assert status(running, "https") == 401, "what was chosen stays"
    assert "The exporter answers." in running.setup("--status")[1]

    code, output = running.setup(*worker, "--tls", "none")
    assert code == 0, output
    assert "To let in the monitoring host alone, as root:\n" in output
    assert "gpuglass enrol" in output
    assert status(running, "http") == 200
    assert not kept.exists()
    assert running.setup(*DEMO)[0] == 0


def test_tiered_storage_and_back(running: Clone) -> None:
    before = running.pids()
    stored = running.query("tfirst_over_time(gpuglass_build_info[1h])")
    code, output = running.setup(*DEMO, env={"GPUGLASS_STORAGE": "tiered"})
    assert code == 0, output
    assert "samples stay for 400d until minutes and hours are made of them" in output
    tiered = running.pids()
    assert set(tiered) == {*PROGRAMS, *TIERS}
    changed = {program for program in PROGRAMS if before[program] != tiered[program]}
    assert changed == {"victoria-metrics", "keeper", "vmagent", *OWN_GRAFANA}
    assert scraped(running, (*PROGRAMS, *TIERS))
    done = "count(gpuglass_keeper_rollup_last_success_timestamp_seconds > 0) == 2"
    wait_for("both tiers are looked after", lambda: running.query(done))
    assert running.query("sum(gpuglass_keeper_rollup_failures_total) == 0")

    assert "Minutes and hours are there" in running.gpuglass("rollups", "fill")
    code, output = running.setup(*DEMO)
    assert code == 0, output
    assert "those older than 7d are given up now" in output
    assert set(running.pids()) == {*PROGRAMS, *TIERS}, "what was chosen stays"

    code, output = running.setup(*DEMO, env={"GPUGLASS_STORAGE": "single"})
    assert code == 0, output
    assert "What the tiers hold stays on disk" in output
    assert set(running.pids()) == set(PROGRAMS)
    assert scraped(running, PROGRAMS)
    assert (
        running.query("tfirst_over_time(gpuglass_build_info[1h])")[0]["value"][1]
        == stored[0]["value"][1]
    )


def test_insecure_is_what_was_typed_until_secure(running: Clone) -> None:
    code, output = running.setup(*DEMO, "--insecure")
    assert code == 0, output
    assert "Password:  none, since --insecure" in output
    (line,) = re.findall(r"^PromQL: +(.+)$", output, re.MULTILINE)
    assert "gpuglass" not in line
    for program in ("victoria-metrics", "vmagent", "vmalert", "alertmanager"):
        assert running.status(program, "/metrics", {}) == 200
    assert "H200" in running.gpuglass("status")
    asked = running.command("doctor", "passwords").stdout
    assert "no password is asked for by victoria-metrics, vmagent, vmalert, alertmanager" in asked

    code, output = running.setup(*DEMO)
    assert (code, "Already running, nothing changed" in output) == (0, True), output
    told = running.fails(*DEMO, env={"GPUGLASS_OPEN": "grafana, victoriametrics"}, code=2)
    assert "GPUGLASS_OPEN: victoriametrics asks nobody for a password" in told
    told = running.fails(*DEMO, env={"GPUGLASS_OPEN": "keeper"}, code=2)
    assert "leave it out, or type --insecure to open it to everybody" in told


def test_secure_makes_a_password_that_is_gone_and_may_be_open(running: Clone) -> None:
    old = running.login()
    running.password.unlink()
    env = {"GPUGLASS_OPEN": "victoriametrics,alertmanager"}
    code, output = running.setup(*DEMO, "--secure", env=env)
    assert code == 0, output
    assert "Open:      victoriametrics,alertmanager, to all who reach this machine" in output
    assert running.login() != old
    for program in ("victoria-metrics", "vmagent", "vmalert", "alertmanager"):
        assert running.status(program, "/metrics", {}) == 401
        assert running.status(program, "/metrics", old) == 401
        assert running.status(program, "/metrics", running.login()) == 200
    reached = dict.fromkeys(("victoria-metrics", "alertmanager"), True)
    assert opened(running) == dict.fromkeys(PROGRAMS, False) | reached
    exposed = running.command("doctor", "exposure").stdout
    assert "ok       exposure           other machines reach alertmanager, victoria-" in exposed
    assert scraped(running, PROGRAMS)


def test_own_target_is_kept_once_edited(running: Clone) -> None:
    file = running.folder / "victoriametrics/targets/this-node.yml"
    text = file.read_text() + "# mine now\n"
    file.write_text(text)
    code, output = running.setup(*DEMO, env={"GPUGLASS_NODE_NAME": "renamed"})
    assert code == 0, output
    assert file.read_text() == text


def test_stop_ends_every_process_and_a_new_start_keeps_the_data(running: Clone) -> None:
    running.setup(*DEMO)
    running.gpuglass("backup", str(running.home / "backups"))
    refused = running.command("restore", "--replace", str(running.home / "backups"))
    assert (
        "in use by VictoriaMetrics, or by another restore; ./setup.sh --stop first"
        in refused.stderr
    )
    code, output = running.setup("--stop")
    assert (code, output.strip()) == (0, "Stopped.")
    assert running.processes() == []
    assert running.setup("--status")[0] == 1
    assert running.setup("--stop") == (0, "Nothing was running.\n")

    # What comes back are data that an install runs on.
    assert running.gpuglass("restore", "--replace", str(running.home / "backups"))
    shutil.rmtree(running.home / "backups")
    code, output = running.setup(*DEMO)
    assert code == 0, output
    seconds = "max(timestamp(gpu_info)) - min(min_over_time(timestamp(gpu_info)[1h:1s]))"
    assert float(running.query(seconds)[0]["value"][1]) > 10


def test_uninstall_leaves_data_and_targets_and_purge_nothing(running: Clone) -> None:
    mine = running.folder / "victoriametrics/targets/mine.yml"
    mine.write_text('- targets: ["127.0.0.1:9"]\n')
    code, output = running.setup("--uninstall")
    assert code == 0, output
    assert running.processes() == []
    assert {p.name for p in running.prefix.iterdir()} == {"data", ".gpuglass-install"}
    assert mine.exists()

    code, output = running.setup("--uninstall", "--purge")
    assert code == 0, output
    assert not running.prefix.exists()
    assert mine.exists()
    assert list(running.home.iterdir()) == []
