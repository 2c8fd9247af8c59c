import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpuglass.owners.cgroup import Group, parse

ID = "4d1626e6659f569c36e5312ff1a3217014a65fd830b08382ccc45df2460efb34"
OUTER = "e79cc69f5c37b3b60f299b1af7d0697c0e0bcf7eb330448fdb5c4f2cb528ffd2"
POD = "0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9"
POD_ = POD.replace("-", "_")
STATIC = POD.replace("-", "")
OTHER_POD = "ffffffff-4e5f-6071-8293-a4b5c6d7e8f9"
SLUID = "s791M7XSAQ2600"
USER = "/user.slice/user-1000.slice/user@1000.service"
BURST = "kubepods.slice/kubepods-burstable.slice"
POD_SLICE = f"/{BURST}/kubepods-burstable-pod{POD_}.slice"
KIND = "/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-burstable.slice"
KIND_POD = f"{KIND}/kubelet-kubepods-burstable-pod{POD_}.slice"
SCOPE = "/system.slice/slurmstepd.scope"

PATHS = [
    # docker
    (f"/docker/{ID}", Group(ID)),
    (f"/system.slice/docker-{ID}.scope", Group(ID)),
    (f"{USER}/user.slice/docker-{ID}.scope", Group(ID, of_user=True)),
    (f"{USER}/app.slice/docker.service/docker/{ID}", Group(ID, of_user=True)),
    (f"/system.slice/docker-{ID}.scope/init.scope", Group(ID)),
    (f"/system.slice/docker-{ID}.scope (deleted)", Group(ID)),
    # the kubelet with cgroupfs
    (f"/kubepods/pod{POD}/{ID}", Group(ID, POD)),
    (f"/kubepods/burstable/pod{POD}/{ID}", Group(ID, POD)),
    (f"/kubepods/besteffort/pod{POD}/{ID}", Group(ID, POD)),
    (f"/kubepods/besteffort/pod{POD}/crio-{ID}", Group(ID, POD)),
    (f"/kubepods/burstable/pod{STATIC}/{ID}", Group(ID, STATIC)),
    # the kubelet with systemd
    (f"/kubepods.slice/kubepods-pod{POD_}.slice/cri-containerd-{ID}.scope", Group(ID, POD)),
    (f"{POD_SLICE}/cri-containerd-{ID}.scope", Group(ID, POD)),
    (f"{POD_SLICE}/crio-{ID}.scope", Group(ID, POD)),
    (f"{POD_SLICE}/crio-{ID}.scope/container", Group(ID, POD)),
    (f"{POD_SLICE}/crio-conmon-{ID}.scope", Group("", POD)),
    (f"{POD_SLICE}/docker-{ID}.scope", Group(ID, POD)),
    (f"{POD_SLICE}/cri-containerd-{ID}.scope/sub/group", Group(ID, POD)),
    (
        f"/system.slice/containerd.service/kubepods-burstable-pod{POD_}.slice:cri-containerd:{ID}",
        Group(ID, POD),
    ),
    (f"{KIND_POD}/cri-containerd-{ID}.scope", Group(ID, POD)),
    # kind, docker in docker: the innermost
    (f"/system.slice/docker-{OUTER}.scope{KIND_POD}/cri-containerd-{ID}.scope", Group(ID, POD)),
    (f"/docker/{OUTER}/kubelet/kubepods/burstable/pod{POD}/{ID}", Group(ID, POD)),
    (f"/docker/{OUTER}/docker/{ID}", Group(ID)),
    (f"/kubepods/burstable/pod{POD}/{OUTER}/docker/{ID}", Group(ID, POD)),
    (f"/kubepods/pod{OTHER_POD}/{OUTER}/kubepods/pod{POD}/{ID}", Group(ID, POD)),
    # seen from another cgroup namespace
    (f"/../../kubepods-besteffort.slice/kubepods-besteffort-pod{POD_}.slice", Group("", POD)),
    (f"/../cri-containerd-{ID}.scope", Group(ID)),
    (f"/../../pod{POD}/{ID}", Group(ID, POD)),
    (f"/../../../system.slice/docker-{ID}.scope", Group(ID)),
    (f"/../../slurmstepd.scope/{SLUID}/step_0/user/task_0", Group(sluid=SLUID)),
    # containerd alone, nerdctl
    (f"/k8s.io/{ID}", Group(ID)),
    (f"/default/{ID}", Group(ID)),
    ("/default/my-box", Group("my-box")),
    (f"/system.slice/nerdctl-{ID}.scope", Group(ID)),
    # podman
    (f"/machine.slice/libpod-{ID}.scope", Group(ID)),
    (f"/machine.slice/libpod-{ID}.scope/container", Group(ID)),
    (f"/machine.slice/machine-libpod_pod_{OUTER}.slice/libpod-{ID}.scope", Group(ID)),
    (f"/libpod_parent/libpod-{ID}", Group(ID)),
    (f"/machine.slice/libpod-conmon-{ID}.scope", Group()),
    (f"{USER}/user.slice/libpod-{ID}.scope/container", Group(ID, of_user=True)),
    (f"/system.slice/trainer.service/libpod-payload-{ID}", Group(ID)),
    (f"{USER}/app.slice/trainer.service/libpod-payload-{ID}", Group(ID, of_user=True)),
    # machines
    (r"/machine.slice/machine-qemu\x2d1\x2dbig\x2dbox.scope", Group("big-box")),
    (r"/machine.slice/machine-qemu\x2d12\x2dweb.scope/libvirt/emulator", Group("web")),
    (r"/machine.slice/machine-caf\xc3\xa9.scope/payload", Group("café")),
    ("/machine.slice/systemd-nspawn@lab.service/payload", Group("lab")),
    ("/lxc.payload.web1/system.slice/cron.service", Group("web1")),
    ("/lxc.payload/web1", Group("web1")),
    ("/lxc/101/ns/user.slice", Group("101")),
    ("/lxc.monitor.web1", Group()),
    (f"/lxc.payload.web1/system.slice/docker-{ID}.scope", Group(ID)),
    # ECS
    (f"/ecs/5b1c/{ID}", Group(ID)),
    (f"/ecs/cluster/5b1c/{ID}", Group(ID)),
    ("/ecs/" + STATIC + "/" + STATIC + "-1234567890", Group(STATIC + "-1234567890")),
    # Slurm
    ("/slurm/uid_1000/job_123/step_0/task_0", Group(job_id="123")),
    ("/slurm_node7/uid_1000/job_123/step_batch", Group(job_id="123")),
    ("/slurm/uid_1000/job_123", Group(job_id="123")),
    (f"{SCOPE}/job_123/step_0/user/task_0", Group(job_id="123")),
    (f"{SCOPE}/job_123/step_batch/slurm", Group(job_id="123")),
    ("/system.slice/n1_slurmstepd.scope/job_9/step_extern/user/task_special", Group(job_id="9")),
    (f"{SCOPE}/{SLUID}/step_interactive/user/task_0", Group(sluid=SLUID)),
    (f"{SCOPE}/{SLUID}", Group(sluid=SLUID)),
    (f"{SCOPE}/system", Group()),
    (f"{SCOPE}/{SLUID}0/step_0", Group()),
    # a node that is itself a pod
    (f"{POD_SLICE}/cri-containerd-{ID}.scope{SCOPE}/job_5/step_0", Group(ID, POD, "5")),
    # a group that a user may have made himself
    (f"{USER}/app.slice/slurmstepd.scope/job_5/step_0", Group()),
    ("/user.slice/slurm/uid_0/job_5", Group()),
    (f"{SCOPE}/job_5/step_0/user/task_0/slurmstepd.scope/job_6", Group(job_id="5")),
    (f"{USER}/kubepods/pod{POD}/{ID}", Group(ID, POD, of_user=True)),
    # users inside a pod, which they did not name
    (f"{POD_SLICE}/cri-containerd-{ID}.scope{USER}/app.slice/x.service", Group(ID, POD)),
    # none
    ("/", Group()),
    ("/user.slice/user-1000.slice/session-3.scope", Group()),
    ("/system.slice/ollama.service", Group()),
    (f"/system.slice/{ID[:63]}", Group()),
    (f"/system.slice/a{ID}", Group()),
    ("/default", Group()),
    ("/default/..", Group()),
    ("/system.slice/default/thing", Group()),
]


@pytest.mark.parametrize(("path", "group"), PATHS)
def test_each_engine_by_its_path(path: str, group: Group) -> None:
    version1 = "".join(
        f"{number}:{controllers}:{path}\n"
        for number, controllers in ((11, "memory"), (4, "cpu,cpuacct"), (1, "name=systemd"))
    )
    assert parse(f"0::{path}\n") == group
    assert parse(version1) == group
    assert parse(version1 + "0::/\n") == group


def test_the_hierarchy_that_leads_deepest_counts() -> None:
    text = f"5:memory:/docker/{OUTER}/docker/{ID}\n1:name=systemd:/docker/{OUTER}\n"
    assert parse(text + f"0::/docker/{OUTER}\n").container == ID


def test_slurm_manages_some_hierarchies_only() -> None:
    text = f"6:freezer:/slurm_n1/uid_2001/job_1\n4:memory:/docker/{ID}\n0::/docker/{ID}\n"
    assert parse(text) == Group(ID, job_id="1")


def test_the_containers_pod_is_that_of_its_path() -> None:
    text = f"4:memory:/kubepods/pod{POD}/{ID}\n0::/kubepods/pod{OTHER_POD}\n"
    assert parse(text) == Group(ID, POD)


@given(st.text())
def test_no_text_is_an_error(text: str) -> None:
    parse(text)


parts = st.sampled_from(
    rf"/../lxc/default/ecs/slurm/uid_1/job_1/slurmstepd.scope/{SLUID}/docker-{ID}.scope/pod{POD}"
    rf"/machine-.scope/machine-\x0.scope/user.slice/lxc.payload./conmon/:/{ID}".split("/")
)


@given(st.lists(st.tuples(st.sampled_from(["0::", "1:memory:"]), st.lists(parts))))
def test_no_mixture_of_parts_is_an_error(lines: list[tuple[str, list[str]]]) -> None:
    group = parse("\n".join(head + "/" + "/".join(path) for head, path in lines))
    assert group.job_id == "" or group.sluid == ""
    assert ".." not in group
    assert not group.of_user or group.container or group.pod
