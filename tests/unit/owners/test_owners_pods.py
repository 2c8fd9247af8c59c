from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.owners.machine import Machine

from gpuglass.owners.pods import PodName, PodNames, _containers, _pods

ID = "4d1626e6659f569c36e5312ff1a3217014a65fd830b08382ccc45df2460efb34"
UID = "0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9"
STATIC = UID.replace("-", "")


def test_the_pods_folder_names_a_pod(machine: Machine) -> None:
    machine.log_of(f"ml_trainer-0_{UID}", "init", "train")
    assert PodNames(machine.logs).name(UID, ID) == (PodName("ml", "trainer-0", ""), "")


def test_the_only_container_of_a_pod_is_named(machine: Machine) -> None:
    machine.log_of(f"kube-system_etcd-n1_{STATIC}", "etcd")
    assert PodNames(machine.logs).name(STATIC, ID) == (
        PodName("kube-system", "etcd-n1", "etcd"),
        "",
    )


def test_the_containers_folder_names_all(machine: Machine) -> None:
    folder = machine.logs / "containers"
    folder.mkdir(parents=True)
    (folder / f"trainer-0_ml_the-trainer-{ID}.log").symlink_to("/nowhere")
    names = PodNames(machine.logs)
    assert names.name("", ID) == (PodName("ml", "trainer-0", "the-trainer"), "")
    assert names.name(UID, "f" * 64) == (PodName(), "no_log_folder")


def test_names_with_dots_and_of_static_pods(machine: Machine) -> None:
    """As kubeadm's, whose names end with that of their node."""
    machine.log_of(f"kube-system_kube-apiserver-n1.example.com_{STATIC}", "kube-apiserver")
    machine.log_of(f"a-b_web-0.v2_{UID}", "main", "istio-proxy")
    folder = machine.logs / "containers"
    folder.mkdir()
    (folder / f"web-0.v2_a-b_istio-proxy-{ID}.log").touch()
    names = PodNames(machine.logs)
    static = PodName("kube-system", "kube-apiserver-n1.example.com", "kube-apiserver")
    assert names.name(STATIC, "f" * 64) == (static, "")
    assert names.name(UID, ID) == (PodName("a-b", "web-0.v2", "istio-proxy"), "")
    assert names.name(UID, "f" * 64) == (PodName("a-b", "web-0.v2"), "")


def test_what_the_kubelet_cuts_off_is_not_missed(machine: Machine) -> None:
    folder = machine.logs / "containers"
    folder.mkdir(parents=True)

    def log(pod: str, container: str, id: str) -> None:
        (folder / f"{f'{pod}_ml_{container}-{id}'[:251]}.log").touch()

    long, longer, longest = "p" * 200, "q" * 230, "r" * 227
    log(long, "train", ID)
    log(longer, "main", ID[::-1])
    log(longest, "sidecar-deadbeefdead", "a" * 64)
    names = PodNames(machine.logs)
    assert names.name("", ID) == (PodName("ml", long, "train"), "")
    assert names.name("", ID[:40] + "f" * 24) == (PodName(), "")
    assert names.name("", ID[::-1]) == (PodName("ml", longer, "main"), "")
    assert names.name("", "a" * 64) == (PodName(), "")
    # What is short without being cut off is no id.
    (folder / f"p_ml_train-{ID[:12]}.log").touch()
    assert PodNames(machine.logs).name("", ID[:12] + "f" * 52) == (PodName(), "")


def test_a_new_pod_is_seen(machine: Machine) -> None:
    names = PodNames(machine.logs)
    assert names.name(UID, ID) == (PodName(), "no_log_folder")
    machine.log_of(f"ml_other_{STATIC}", "train")
    assert names.name(UID, ID) == (PodName(), "pod_without_logs")
    machine.log_of(f"ml_trainer-0_{UID}", "train")
    assert names.name(UID, ID)[0].pod == "trainer-0"


def test_without_kubernetes_nothing_is_lacking(machine: Machine) -> None:
    assert PodNames(machine.logs).name("", ID) == (PodName(), "")


def test_a_file_in_place_of_the_folder(tmp_path: Path) -> None:
    (tmp_path / "pods").touch()
    assert PodNames(tmp_path).name(UID, ID) == (PodName(), "no_log_folder")


@pytest.mark.parametrize("name", ["a_b_c", f"a_b_c_{UID}", f"_b_{UID}", f"a\udc80_b_{UID}", ""])
def test_other_names_are_no_pods(name: str) -> None:
    assert _pods([name]) == {}
    assert _containers([name]) == {}


@given(st.lists(st.text()))
def test_no_name_is_an_error(names: list[str]) -> None:
    _pods(names)
    _containers(names)
