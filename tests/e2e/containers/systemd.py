"""A machine whose first process is systemd."""

from pathlib import Path

from tests import programs
from tests.e2e.clone import REPOSITORY, wait_for
from tests.e2e.containers.engine import Engine
from tests.e2e.containers.site import MACHINE, Machine

# As the kernel's command line: else it refuses the older kind of cgroups.
_FIRST_PROCESS = (
    *("/sbin/init", "SYSTEMD_CGROUP_ENABLE_LEGACY_FORCE=1"),
    "systemd.unified_cgroup_hierarchy=0",
)
_PROGRAMS = "/opt/programs"
_STATUS = """\
import ssl, sys, urllib.error, urllib.request
context = ssl._create_unverified_context()
try:
    print(urllib.request.urlopen(sys.argv[1], context=context).status)
except urllib.error.HTTPError as error:
    print(error.code)
"""


class SystemdMachine(Machine):
    """The machine; its clone lies in a home that others may not enter, under a name with a space.

    The programs that are not ours are on its PATH. It has this machine's kernel log, read-only, and
    may have devices with the numbers of NVIDIA's.

    Args:
        engine: The engine that runs it.
        name: Its name, also as a host.
        work: A folder for what is made.
    """

    folder = "/root/a clone"

    def __init__(self, engine: Engine, name: str, work: Path) -> None:
        found = programs.fetch(work / "components")
        pip = REPOSITORY / ".cache/containers/pip"
        pip.mkdir(parents=True, exist_ok=True)
        super().__init__(
            engine,
            name,
            *(
                "--cgroupns=host",
                "--stop-signal=SIGRTMIN+3",
                "--env=container=docker",
                f"--env=PATH={_PROGRAMS}:/usr/sbin:/usr/bin",
            ),
            *("--tmpfs=/run", "--tmpfs=/run/lock", "--tmpfs=/tmp:exec"),
            *("--device=/dev/kmsg:/dev/kmsg:r", "--device-cgroup-rule=c 195:* rwm"),
            *(f"--volume={found}:{_PROGRAMS}:ro", f"--volume={pip}:/root/.cache/pip"),
            *(MACHINE, *_FIRST_PROCESS),
        )
        self.await_boot()

    def await_boot(self) -> None:
        """Wait until all that starts with the machine has started."""
        states = ("running", "degraded")
        wait_for(
            "systemd", lambda: self.try_run("systemctl", "is-system-running")[1].strip() in states
        )

    def reboot(self) -> None:
        """Stop the machine in order, and start it again."""
        self._engine.docker("restart", "--time=60", self.name)
        self.await_boot()

    def shell(self, script: str) -> str:
        """What a shell prints; an error if it fails."""
        return self.run("bash", "-euo", "pipefail", "-c", script)

    def units(self) -> dict[str, str]:
        """The state of each of our units that are loaded, without reading instances."""
        listing = self.shell(
            "systemctl list-units --all --plain --no-legend 'gpuglass*' | awk '{print $1, $3}'"
        )
        found = dict(line.split() for line in listing.splitlines())
        return {unit: state for unit, state in found.items() if "@" not in unit}

    def property(self, program: str, name: str) -> str:
        """A property of a program's unit."""
        return self.run(
            "systemctl", "show", f"gpuglass-{program}", f"--property={name}", "--value"
        ).strip()

    def status(self, url: str) -> int:
        """With which status an address inside the machine answers who shows no password."""
        return int(self.run("python3", "-c", _STATUS, url))
