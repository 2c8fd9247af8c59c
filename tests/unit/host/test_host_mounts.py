import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpuglass.host.mounts import parse, unescape, worthwhile

PLAIN = b"29 1 259:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n"
# What the kernel writes as an escape.
SPECIAL = b" \t\n\\#"

octets = st.binary(min_size=1, max_size=40).filter(lambda value: b"\0" not in value)


def escape(value: bytes) -> bytes:
    """Write a field as the kernel does."""
    return b"".join(b"\\%03o" % octet if octet in SPECIAL else bytes([octet]) for octet in value)


def line(
    mountpoint: bytes,
    device: bytes = b"/dev/sda1",
    fstype: bytes = b"ext4",
    number: bytes = b"8:1",
    options: bytes = b"rw",
) -> bytes:
    return b"29 1 %s / %s rw shared:1 master:2 - %s %s %s\n" % (
        number,
        escape(mountpoint),
        fstype,
        escape(device),
        options,
    )


@given(octets)
def test_escapes_are_undone(value: bytes) -> None:
    assert unescape(escape(value)) == value


@given(st.lists(st.tuples(octets, octets), min_size=1, max_size=8))
def test_any_name_survives(names: list[tuple[bytes, bytes]]) -> None:
    mounts = parse(b"".join(line(b"/" + path, device) for path, device in names))
    assert [mount.path for mount in mounts] == [b"/" + path for path, _ in names]
    for mount, (_, device) in zip(mounts, names, strict=True):
        assert mount.device == device.decode(errors="backslashreplace")
        assert mount.mountpoint.encode().decode() == mount.mountpoint


@given(st.binary(max_size=200))
def test_nonsense_loses_no_mount(noise: bytes) -> None:
    mounts = parse(PLAIN + noise.replace(b"\n", b" ") + b"\n" + line(b"/data"))
    assert {mount.mountpoint for mount in mounts} >= {"/", "/data"}


@pytest.mark.parametrize("content", [b"", b"\n", b"29 1 8:1 / / rw - ext4\n", b"- - - - - -\n"])
def test_nothing_readable_is_a_value_error(content: bytes) -> None:
    with pytest.raises(ValueError, match="no mount"):
        parse(content)


@pytest.mark.parametrize("optional", [b"", b"shared:1 ", b"shared:1 master:2 unbindable "])
def test_optional_fields_may_be_any_number(optional: bytes) -> None:
    (mount,) = parse(b"29 1 8:1 / /a ro,noatime %s- xfs /dev/sdb rw,inode64\n" % optional)
    assert (mount.mountpoint, mount.fstype, mount.device) == ("/a", "xfs", "/dev/sdb")
    assert mount.options == {b"ro", b"noatime", b"rw", b"inode64"}


def test_an_empty_device_is_a_name_like_others() -> None:
    (mount,) = parse(b"29 1 0:9 / /a rw - tmpfs  rw\n")
    assert (mount.fstype, mount.device) == ("tmpfs", "")


def mountpoints(*lines: bytes) -> list[str]:
    return [mount.mountpoint for mount in worthwhile(parse(b"".join(lines)))]


def test_one_file_system_has_one_mountpoint_the_shortest() -> None:
    lines = line(b"/a/long/name"), line(b"/data"), line(b"/home")
    assert mountpoints(*lines) == ["/data"]
    assert mountpoints(*reversed(lines)) == ["/data"]


def test_the_last_mount_on_a_place_hides_the_others() -> None:
    assert mountpoints(line(b"/a", number=b"8:1"), line(b"/a", fstype=b"proc", number=b"0:4")) == []


@given(st.permutations([line(b"/b", number=b"8:1"), line(b"/aa", number=b"8:2"), PLAIN]))
def test_the_order_is_that_of_the_names(lines: list[bytes]) -> None:
    assert mountpoints(*lines) == ["/", "/aa", "/b"]


@pytest.mark.parametrize(
    "fstype",
    [b"proc", b"sysfs", b"devtmpfs", b"cgroup2", b"autofs", b"squashfs", b"nsfs", b"fuse.lxcfs"],
)
def test_file_systems_without_space_are_ignored(fstype: bytes) -> None:
    assert mountpoints(line(b"/a", fstype=fstype)) == []


@pytest.mark.parametrize(
    "place",
    [
        b"/proc/driver/nvidia",
        b"/sys/fs/cgroup",
        b"/var/lib/docker/overlay2/1/merged",
        b"/var/lib/kubelet/pods/1/volumes/a",
        b"/run/containerd/io.containerd.runtime.v2.task/k8s.io/1/rootfs",
        b"/run/user/1000",
        b"/run/credentials/systemd-sysusers.service",
        b"/home/ada/.local/share/docker/overlay2/1/merged",
        b"/data/docker/overlay2/c0ffee/merged",
        b"/data/docker/containers/" + b"c0ffee42" * 8 + b"/mounts/shm",
    ],
)
def test_mounts_of_one_container_unit_or_login_are_ignored(place: bytes) -> None:
    assert mountpoints(line(place, fstype=b"overlay")) == []


@pytest.mark.parametrize(
    "place",
    [
        b"/",
        b"/data/containers/photos",
        b"/data/merged",
        b"/var/lib/docker",
        b"/dev/shm",
        b"/tmp",
        b"/run",
        b"/procession",
        b"/home/ada",
    ],
)
def test_other_places_are_not(place: bytes) -> None:
    assert mountpoints(line(place, fstype=b"tmpfs")) == [place.decode()]


@pytest.mark.parametrize(
    ("options", "published"),
    [
        (b"rw,user_id=1000,group_id=1000", False),
        (b"rw,user_id=1000,group_id=1000,allow_other", True),
        (b"rw,user_id=0,group_id=0", True),
    ],
)
def test_a_users_private_mount_is_ignored(options: bytes, published: bool) -> None:
    found = mountpoints(line(b"/a", fstype=b"fuse.sshfs", options=options))
    assert found == (["/a"] if published else [])
