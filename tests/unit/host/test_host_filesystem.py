import errno
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.unit.host.conftest import Facts, Gather, Read

from gpuglass.host import Paths
from gpuglass.host.filesystem import FilesystemCollector

ROOT = ("/", "/dev/nvme0n1p1", "ext4")
DATA = ("/mnt/my data", "/dev/sdb1", "xfs")
HOME = ("/home", "nas:/export/home", "nfs4")
SOFTWARE = ("/opt/software", "nas:/export/software", "nfs4")
RUN = ("/run", "tmpfs", "tmpfs")
SHM = ("/dev/shm", "tmpfs", "tmpfs")
ERROR = "host_filesystem_error"
SIZE = "host_filesystem_size_bytes"


def answer(blocks: int = 1000, files: int = 500) -> os.statvfs_result:
    return os.statvfs_result((8192, 4096, blocks, 400, 300, files, 200, 200, 0, 255))


class Kernel:
    """Answers in place of the kernel, refuses, or does not come back."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.answers: dict[str, os.statvfs_result | OSError] = {}
        self.hung: set[str] = set()
        self.release = threading.Event()
        self.root = b""

    def statvfs(self, path: bytes) -> os.statvfs_result:
        mountpoint = path.removeprefix(self.root).decode()
        self.asked.append(mountpoint)
        if mountpoint in self.hung:
            self.release.wait()
        found = self.answers.get(mountpoint, answer())
        if isinstance(found, OSError):
            raise found
        return found


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch, machine: Paths) -> Iterator[Kernel]:
    kernel = Kernel()
    kernel.root = os.fsencode(machine.rootfs)
    monkeypatch.setattr("os.statvfs", kernel.statvfs)
    yield kernel
    kernel.release.set()
    for thread in threading.enumerate():
        if thread.name == "statvfs":
            thread.join()


def of(facts: Facts, labels: tuple[str, ...]) -> dict[str, float]:
    return {key[0]: value for key, value in facts.items() if key[1:] == labels}


def test_the_mounts_of_the_fixture_machine(kernel: Kernel, read: Read) -> None:
    published = {key[1:] for key in read("filesystem")}
    assert published == {ROOT, DATA, HOME, SOFTWARE, RUN, SHM}


def test_values_are_bytes_and_files(kernel: Kernel, read: Read) -> None:
    assert of(read("filesystem"), ROOT) == {
        "host_filesystem_size_bytes": 1000 * 4096,
        "host_filesystem_free_bytes": 400 * 4096,
        "host_filesystem_available_bytes": 300 * 4096,
        "host_filesystem_files": 500,
        "host_filesystem_files_free": 200,
        "host_filesystem_readonly": 0,
        "host_filesystem_error": 0,
    }


def test_a_read_only_file_system(kernel: Kernel, read: Read) -> None:
    assert of(read("filesystem"), SOFTWARE)["host_filesystem_readonly"] == 1


def test_the_question_goes_through_rootfs_and_the_label_does_not(
    kernel: Kernel, machine: Paths, read: Read
) -> None:
    read("filesystem")
    assert "/mnt/my data" in kernel.asked
    kernel.root = b""
    read("filesystem")
    assert f"{machine.rootfs}/mnt/my data" in kernel.asked


def test_what_a_file_system_does_not_count_is_absent(kernel: Kernel, read: Read) -> None:
    kernel.answers["/"] = answer(files=0)
    kernel.answers["/home"] = answer(blocks=0, files=0)
    facts = read("filesystem")
    assert "host_filesystem_files" not in of(facts, ROOT)
    assert of(facts, ROOT)[SIZE] == 1000 * 4096
    assert of(facts, HOME) == {"host_filesystem_readonly": 0, ERROR: 0}


def test_a_refusal_is_an_error_without_sizes(kernel: Kernel, read: Read) -> None:
    kernel.answers["/home"] = OSError(errno.ESTALE, "Stale file handle")
    facts = read("filesystem")
    assert of(facts, HOME) == {"host_filesystem_readonly": 0, ERROR: 1}
    assert of(facts, ROOT)[ERROR] == 0


def test_a_hung_mount_has_an_error_and_hides_no_other(
    kernel: Kernel, machine: Paths, facts: Gather
) -> None:
    kernel.hung = {"/home", "/opt/software"}
    found = facts(FilesystemCollector(machine, deadline=1.0).read())
    assert {key[1:] for key, value in found.items() if key[0] == ERROR and value} == {
        HOME,
        SOFTWARE,
    }
    assert {key[1:] for key in found if key[0] == SIZE} == {ROOT, DATA, RUN, SHM}


def test_a_hung_mount_is_asked_again_only_when_it_has_answered(
    kernel: Kernel, machine: Paths, facts: Gather
) -> None:
    collector = FilesystemCollector(machine, deadline=1.0)
    kernel.hung = {"/home"}
    collector.read()
    for _ in range(3):
        assert of(facts(collector.read()), HOME)[ERROR] == 1
    assert kernel.asked.count("/home") == 1
    assert kernel.asked.count("/") == 4

    kernel.hung = set()
    kernel.release.set()
    for thread in threading.enumerate():
        if thread.name == "statvfs":
            thread.join()
    assert of(facts(collector.read()), HOME)[SIZE] == 1000 * 4096
    assert kernel.asked.count("/home") == 2


def test_the_threads_keep_no_process_alive(kernel: Kernel, machine: Paths) -> None:
    kernel.hung = {"/home"}
    FilesystemCollector(machine, deadline=0.2).read()
    stuck = [thread for thread in threading.enumerate() if thread.name == "statvfs"]
    assert stuck
    assert all(thread.daemon for thread in stuck)


def own_table(machine: Paths, *mounts: str) -> None:
    path = machine.procfs / "self/mountinfo"
    path.parent.mkdir()
    path.write_text("".join(mounts))


def own_mount(place: str | Path, number: str) -> str:
    return f"29 1 {number} / {place} rw,relatime - ext4 /dev/own rw\n"


def test_what_the_exporter_does_not_see_is_an_error_and_is_not_asked(
    kernel: Kernel, machine: Paths, read: Read
) -> None:
    root = machine.rootfs
    own_table(
        machine,
        own_mount("/", "0:99"),
        own_mount(root, "259:1"),
        own_mount(f"{root}/home", "0:77"),  # another file system than the machine has there
        own_mount(f"{root}/run", "0:26"),
    )
    facts = read("filesystem")
    assert of(facts, ROOT)[SIZE] == 1000 * 4096
    assert of(facts, RUN)[ERROR] == 0
    assert of(facts, HOME) == {"host_filesystem_readonly": 0, ERROR: 1}
    assert of(facts, DATA)[ERROR] == 1
    assert set(kernel.asked) == {"/", "/run"}


def test_without_process_1_the_own_mounts_under_rootfs_are_read(
    kernel: Kernel, machine: Paths, read: Read
) -> None:
    (machine.procfs / "1/mountinfo").unlink()
    root = machine.rootfs
    own_table(
        machine,
        own_mount("/", "0:99"),
        own_mount(root, "259:1"),
        own_mount(f"{root}-not", "0:5"),
        own_mount(f"{root}/srv", "8:1"),
    )
    assert {key[1] for key in read("filesystem")} == {"/", "/srv"}
    assert set(kernel.asked) == {"/", "/srv"}


def test_no_mountinfo_at_all_is_an_os_error(kernel: Kernel, machine: Paths, read: Read) -> None:
    (machine.procfs / "1/mountinfo").unlink()
    with pytest.raises(FileNotFoundError, match="mountinfo"):
        read("filesystem")


def test_a_mountinfo_of_nonsense_is_a_value_error_that_names_it(
    kernel: Kernel, machine: Paths, read: Read
) -> None:
    (machine.procfs / "1/mountinfo").write_text("nonsense\n")
    with pytest.raises(ValueError, match="1/mountinfo: "):
        read("filesystem")


def test_the_real_machine_agrees_with_the_system(real: Read) -> None:
    facts = real("filesystem")
    sizes = {key[1]: value for key, value in facts.items() if key[0] == SIZE}
    assert sizes
    for mountpoint, size in sizes.items():
        now = os.statvfs(mountpoint)
        assert size == now.f_blocks * now.f_frsize
