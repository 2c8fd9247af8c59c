"""`gpuglass doctor` as people and programs read it."""

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from tests.ports import free_port
from tests.serving import serving
from tests.unit.doctor.test_node import PAGE

from gpuglass.cli.doctor import command
from gpuglass.doctor.model import BOTH, HOST, NODE
from gpuglass.doctor.registry import CHECKS

ROOT = Path(__file__).resolve().parents[3]
# Names that users may have written down somewhere: none goes, and none is changed.
IDS = (
    *("driver", "nvml", "permissions", "hidepid", "container-runtime", "exporter", "clock", "push"),
    *("ports", "exposure", "passwords", "targets", "series", "node-clocks"),
    *("rules", "test-alert", "receivers", "rollups", "disk", "grafana"),
)


def run(*arguments: str) -> Result:
    nobody = f"http://127.0.0.1:{free_port()}"
    programs = ("exporter", "keeper", "victoriametrics", "vmagent", "vmalert", "alertmanager")
    places = [word for name in programs for word in (f"--{name}.url", nobody)]
    return CliRunner().invoke(command, [*places, *arguments], catch_exceptions=False)


def told(*arguments: str) -> tuple[int, dict[str, dict[str, str]], int]:
    done = run(*arguments, "--json")
    answer = json.loads(done.stdout)
    checks = {each["id"]: each for each in answer["checks"]}
    return done.exit_code, checks, answer["failed"]


def test_ids_are_stable_and_each_check_says_why() -> None:
    assert tuple(check.id for check in CHECKS) == IDS
    assert all(check.why and not check.why.endswith(".") for check in CHECKS)
    assert {check.parts for check in CHECKS} == {NODE, HOST, BOTH}


def test_each_check_is_in_the_document() -> None:
    text = (ROOT / "docs/troubleshooting.md").read_text()
    assert tuple(re.findall(r"^\| `([a-z-]+)` \| ", text, re.MULTILINE)) == IDS
    symptoms = text.partition("What the checks look at")[0]
    assert {id for id in IDS if f"`{id}`" in symptoms} == {*IDS}


def test_the_role_says_which_checks_make_sense() -> None:
    _, worker, _ = told("--role", "worker")
    assert tuple(worker) == IDS[:8]
    _, host, _ = told("--role", "host")
    assert tuple(host) == tuple(id for id in IDS[6:] if id != "push")


def test_where_nothing_runs_that_is_the_finding_and_the_rest_is_passed_over() -> None:
    code, checks, wrong = told("--targets.dir", str(ROOT / "victoriametrics/targets"))
    assert code == 1
    failed = {id for id, each in checks.items() if each["status"] == "failed"}
    assert failed == {"exporter", "ports"} and wrong == 2
    ports = checks["ports"]
    assert ports["finding"].startswith("no answer from victoria-metrics at http://127.0.0.1:")
    assert ports["finding"].count("Connection refused") == 5
    assert ports["why"] and ports["do"]
    for id in ("series", "rules", "test-alert", "receivers", "disk"):
        assert checks[id]["status"] == "skipped"


def test_single_checks_by_their_ids() -> None:
    with serving({"/metrics": PAGE}) as url:
        done = run("exporter", "nvml", "--exporter.url", url)
    assert done.exit_code == 0
    assert done.stdout.splitlines() == [
        "ok       exporter           gpuglass 1.2.3 answers as n1",
        "ok       nvml               2 GPUs can be read",
    ]


def test_people_are_told_why_and_what_to_do() -> None:
    done = run("exporter")
    assert done.exit_code == 1
    first, why, do = done.stdout.splitlines()
    assert re.match(r"failed   exporter           no exporter answers at http://127", first)
    assert why.strip().startswith("why: nothing is known of this machine")
    assert do.strip() == "do:  ./setup.sh --status, and start what is down"


def test_a_warning_is_no_failure() -> None:
    page = PAGE + 'gpuglass_collector_failure_info{collector="disk",reason="eacces"} 1\n'
    with serving({"/metrics": page}) as url:
        done = run("exporter", "--exporter.url", url)
    assert done.exit_code == 0
    assert done.stdout.startswith("warning  exporter           it cannot read: disk (eacces)\n")


def test_a_check_that_is_not_there() -> None:
    done = run("gpus")
    assert done.exit_code == 2
    assert f"there is no check gpus; there are: {', '.join(IDS)}" in done.stderr


@pytest.mark.parametrize(("runtimes", "status"), [('{"nvidia":{}}', "ok"), ("", "skipped")])
def test_runtimes_may_be_told(runtimes: str, status: str) -> None:
    _, checks, _ = told("container-runtime", "--container.runtimes", runtimes)
    assert checks["container-runtime"]["status"] == status
