"""A single node on a machine of its own, and what it holds."""

from tests.e2e.clone import wait_for
from tests.e2e.containers.site import Machine, previous_commit

WHOLE = ("--single-node", "--demo")


class Node:
    """The machine, and since when it has data."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.bare = self.state()
        machine.put_clone(previous_commit())
        self.first_install = self.install()
        self.began = self.first_sample()

    def install(self) -> str:
        """Install what the clone holds, building its images."""
        build = ["--build"] if "--build" in self.machine.run("./setup.sh", "--help") else []
        return self.machine.setup(*WHOLE, *build)

    def state(self) -> dict[str, set[str]]:
        """All that the machine's engine holds."""
        listings = {
            "containers": ("ps", "--all", "--format={{.Names}}"),
            "images": ("images", "--format={{.Repository}}:{{.Tag}}"),
            "networks": ("network", "ls", "--format={{.Name}}"),
            "volumes": ("volume", "ls", "--format={{.Name}}"),
        }
        return {
            kind: set(self.machine.run("docker", *listing).splitlines())
            for kind, listing in listings.items()
        }

    def first_sample(self) -> float:
        """When the oldest sample was taken."""
        oldest = 'tfirst_over_time(up{job="gpu"}[1h])'
        found = wait_for("a sample", lambda: self.machine.value(oldest))
        assert isinstance(found, float)
        return found

    def states(self) -> dict[str, str]:
        """Each container's state and health by its service."""
        form = "{{.Service}} {{.State}} {{.Health}}"
        lines = self.machine.run(
            *("docker", "compose", "-p", "gpuglass", "ps", "--all", "--format", form)
        )
        return dict(line.split(" ", 1) for line in lines.splitlines())
