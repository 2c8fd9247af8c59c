"""Ansible, which asks a machine what it is, and makes it something else."""

import os
import re
import subprocess
from pathlib import Path

import yaml
from tests.e2e.clone import REPOSITORY
from tests.e2e.containers.engine import Engine
from tests.e2e.containers.site import working_tree
from tests.e2e.containers.systemd import SystemdMachine

ANSIBLE = REPOSITORY / ".cache/ansible/bin"
PLAYBOOK = REPOSITORY / "deploy/ansible/playbook.yml"
# Ansible's own connection by SSH, which takes the container's shell for the machine's.
SSH = """\
#!/bin/sh
for command; do :; done
exec docker exec --interactive {machine} sh -c "$command"
"""


class Controller:
    """What runs the playbook against a machine."""

    def __init__(self, engine: Engine, machine: SystemdMachine, folder: Path) -> None:
        self._engine, self._folder = engine, folder
        ssh = folder / "ssh"
        ssh.write_text(SSH.format(machine=machine.name))
        ssh.chmod(0o755)
        archive = folder / "gpuglass.tar"
        archive.write_bytes(working_tree())
        self._variables = {
            "ansible_ssh_executable": str(ssh),
            "ansible_ssh_transfer_method": "piped",
            "ansible_pipelining": True,
            "ansible_become": False,
            "ansible_python_interpreter": "/usr/bin/python3",
            "gpuglass_worker_archive": str(archive),
        }

    def play(self, **variables: object) -> tuple[int, str]:
        """Exit code and output of a run, as talkative as can be."""
        inventory = self._folder / "inventory.yml"
        hosts = {"gpu_nodes": {"hosts": {"gpu01": {**self._variables, **variables}}}}
        inventory.write_text(yaml.safe_dump(hosts))
        done = subprocess.run(
            [ANSIBLE / "ansible-playbook", "-vvv", f"--inventory={inventory}", PLAYBOOK],
            env={
                **self._engine.environment,
                "PATH": f"{ANSIBLE}:{os.environ['PATH']}",
                "ANSIBLE_HOME": str(self._folder / "home"),
                "ANSIBLE_NOCOLOR": "1",
                "ANSIBLE_SSH_ARGS": "",
            },
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        return done.returncode, done.stdout + done.stderr

    def changed(self, **variables: object) -> list[str]:
        """The tasks of a run that changed something; an error if it fails."""
        code, output = self.play(**variables)
        assert code == 0, output[-3000:]
        task = r"^TASK \[gpuglass_worker : ([^]]+)\](?:(?!^TASK).)*?^changed:"
        return re.findall(task, output, re.MULTILINE | re.DOTALL)
