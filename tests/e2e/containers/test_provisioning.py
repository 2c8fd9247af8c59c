"""Ansible and cloud-init make machines workers."""

import re

import pytest
from tests.e2e.clone import REPOSITORY
from tests.e2e.containers.ansible import Controller
from tests.e2e.containers.engine import Engine
from tests.e2e.containers.site import working_tree
from tests.e2e.containers.systemd import SystemdMachine

from gpuglass.keeper.enrolment import Enrolment

FOLDER = "/opt/gpuglass"
USER_DATA = REPOSITORY / "deploy/cloud-init/worker.yml"
SEED = "/var/lib/cloud/seed/nocloud"
# Those alone whose work is asked for: the rest is the cloud's business.
CONFIG = """\
datasource_list: [NoCloud]
cloud_init_modules: [write-files]
cloud_config_modules: [runcmd]
cloud_final_modules: [package-update-upgrade-install, scripts-user]
"""
ORIGIN = """\
cd '{folder}'
git init --quiet --initial-branch=master
git add --all
git -c user.name=t -c user.email=t@localhost commit --quiet --message=one
ln -s '{folder}' /srv/gpuglass
"""
# What the units of cloud-init do at a machine's start.
BOOT = """\
rm /etc/cloud/cloud-init.disabled
cloud-init init --local
cloud-init init
cloud-init modules --mode=config
cloud-init modules --mode=final
"""
OF_CLOUD = "/opt/of-cloud"


@pytest.fixture(scope="module")
def bare(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> SystemdMachine:
    """A machine that each test makes a worker, and leaves as it was."""
    return SystemdMachine(engine, "gpu01", tmp_path_factory.mktemp("bare"))


@pytest.fixture(scope="module")
def controller(
    engine: Engine, bare: SystemdMachine, tmp_path_factory: pytest.TempPathFactory
) -> Controller:
    return Controller(engine, bare, tmp_path_factory.mktemp("ansible"))


@pytest.fixture(scope="module")
def enrolment(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What ``gpuglass enrol`` prints."""
    return Enrolment(tmp_path_factory.mktemp("tls")).web_configuration(["gpu01"], 1)


def test_a_machine_becomes_a_worker_once(
    bare: SystemdMachine, controller: Controller, enrolment: str
) -> None:
    settings = {"GPUGLASS_EXPORTER_PORT": 9555}
    given = {"gpuglass_worker_enrolment": enrolment, "gpuglass_worker_settings": settings}
    code, output = controller.play(**given)
    assert code == 0, output[-3000:]
    for secret in re.findall(r"^ {4}(\w\S{40,})$", enrolment, re.MULTILINE):
        assert secret not in output
    assert bare.units()["gpuglass-exporter.service"] == "active"
    assert bare.status("https://127.0.0.1:9555/metrics") == 401
    assert bare.run("stat", "--format=%a", f"{FOLDER}/.gpuglass/web/web.yml").strip() == "600"
    assert controller.changed(**given) == []


def test_a_refusal_is_told_in_the_words_of_setup(
    bare: SystemdMachine, controller: Controller
) -> None:
    code, output = controller.play(gpuglass_worker_enrolment="no such: thing")
    assert code != 0
    assert "setup.sh: error: --tls: -:" in output
    assert bare.status("https://127.0.0.1:9555/metrics") == 401


def test_it_is_removed(bare: SystemdMachine, controller: Controller) -> None:
    gone = {"gpuglass_worker_state": "absent", "gpuglass_worker_purge": True}
    assert controller.changed(**gone) == ["Remove the worker"]
    assert bare.units() == {}


def filled(enrolment: str) -> str:
    """The user data with what people are to put into them."""
    text = USER_DATA.read_text()
    example = text[text.index("      tls_server_config:") : text.index("\nruncmd:")]
    indented = "".join(f"      {line}\n" for line in enrolment.splitlines())
    text = text.replace(example, indented)
    text = text.replace("_PORT=9400", "_PORT=9556").replace("/opt/gpuglass", OF_CLOUD)
    return re.sub(r"--branch v\S+ https://\S+", "--branch master file:///srv/gpuglass", text)


def test_the_user_data_make_a_worker(bare: SystemdMachine, enrolment: str) -> None:
    bare.put_clone(working_tree())
    bare.write("/root/worker.yml", USER_DATA.read_text())
    told = bare.run("cloud-init", "schema", "--config-file", "/root/worker.yml")
    assert told.startswith("Valid")
    bare.shell(ORIGIN.format(folder=bare.folder))
    bare.write("/etc/cloud/cloud.cfg.d/99-test.cfg", CONFIG)
    bare.shell(f"mkdir -p {SEED} && echo 'instance-id: first' >{SEED}/meta-data")
    bare.write(f"{SEED}/user-data", filled(enrolment))
    try:
        bare.shell(BOOT)
        assert bare.units()["gpuglass-exporter.service"] == "active"
        served = f"{OF_CLOUD}/.gpuglass/web/web.yml"
        assert bare.run("stat", "--format=%a", served).strip() == "600"
        assert bare.try_run("ls", "/etc/gpuglass/enrolment.yml")[0] != 0
        assert bare.status("https://127.0.0.1:9556/metrics") == 401
    finally:
        bare.try_run(f"{OF_CLOUD}/setup.sh", "--uninstall", "--purge")
