"""Targets of other monitoring are taken over."""

from typing import Any

import pytest

from gpuglass.keeper.targets import importing
from gpuglass.keeper.targets.importing import Imported, ImportFailedError

ALGALON = """\
# Worker nodes
- targets:
    # - '10.0.1.99:9400'  # not yet
    - '10.0.1.100:9400'  # gpu-worker-01
    - 'localhost:9400'
  labels:
    job: 'all-smi'
    cluster: 'production'
    datacenter: 'dc1'

- targets: ['10.0.2.100:9400', '10.0.1.100:9400']
  labels: {job: 'all-smi', cluster: 'staging', rack: 12}
"""
PROMETHEUS = """\
global: {scrape_interval: 15s}
scrape_configs:
  - job_name: prometheus
    static_configs: [{targets: ['localhost:9090']}]
  - job_name: dcgm
    scheme: https
    metrics_path: /m
    basic_auth: {username: ada, password: secret}
    relabel_configs: [{action: drop, source_labels: [a, b], regex: x}]
    static_configs:
      - targets: [gpu1:9400, gpu2:9400]
        labels: {cluster: lab, __address__: x}
    file_sd_configs:
      - files: ['targets/*.yml', more.json]
    kubernetes_sd_configs: [{role: node}]
"""


def read(text: str, name: str = "f.yml", **more: Any) -> Imported:
    arguments = {"port": 9400, **more}
    return importing.read(name, text.encode(), **arguments)


def plain(found: Imported) -> list[tuple[str, dict[str, str]]]:
    assert found.problems == []
    return [(t.address, dict(t.labels)) for t in found.targets]


def test_an_algalon_targets_file() -> None:
    found = read(ALGALON)
    production = {"cluster": "production", "datacenter": "dc1"}
    assert plain(found) == [
        ("10.0.1.100:9400", {"node": "10.0.1.100", **production}),
        ("localhost:9400", {"node": "localhost", **production}),
        ("10.0.2.100:9400", {"node": "10.0.2.100", "cluster": "staging", "rack": "12"}),
    ]
    assert found.notes == ['label "job" left out: the scrape config sets it']


def test_another_exporters_port_is_replaced() -> None:
    found = read(ALGALON.replace("9400", "9090"), port=9500, ports_anew=True)
    assert [address for address, _ in plain(found)] == [
        *("10.0.1.100:9500", "localhost:9500", "10.0.2.100:9500")
    ]


def test_one_job_of_a_prometheus_configuration() -> None:
    config = PROMETHEUS.replace(", __address__: x", "")
    found = read(config, job="dcgm")
    way = {"__scheme__": "https", "__metrics_path__": "/m", "cluster": "lab"}
    assert plain(found) == [
        ("gpu1:9400", {"node": "gpu1", **way}),
        ("gpu2:9400", {"node": "gpu2", **way}),
    ]
    assert found.notes == [
        "f.yml:8: basic_auth left out: it was another's",
        "f.yml:13: import targets/*.yml, more.json as well",
        "f.yml:15: kubernetes_sd_configs left out: list the nodes it finds",
    ]
    # How another exporter was reached says nothing of ours.
    anew = plain(read(config, job="dcgm", port=9401, ports_anew=True))
    assert anew[0] == ("gpu1:9401", {"node": "gpu1", "cluster": "lab"})


def test_labels_of_a_prometheus_configuration_are_checked() -> None:
    (problem,) = read(PROMETHEUS, job="dcgm").problems
    assert str(problem).startswith('f.yml:12: label "__address__" begins with __; only ')


def test_a_job_has_to_be_named_where_there_are_several() -> None:
    several = "say --job prometheus (1 target) or dcgm (2 targets)"
    with pytest.raises(ImportFailedError) as error:
        read(PROMETHEUS)
    assert str(error.value) == f"f.yml has several jobs; {several}"
    with pytest.raises(ImportFailedError) as error:
        read(PROMETHEUS, job="x")
    assert str(error.value) == f"f.yml has no job x; {several}"
    one = "scrape_configs: [{job_name: a, static_configs: [{targets: [n:1]}]}]"
    assert plain(read(one)) == [("n:1", {"node": "n"})]


@pytest.mark.parametrize("name", ["hosts.txt", "standard input"])
def test_a_list_of_hosts(name: str) -> None:
    text = (
        "# mine\ngpu1\ngpu2:9500  # two\n\n2001:db8::1\n[2001:db8::2]:9401\n10.0.0.1\ngpu1:9400\n"
    )
    assert plain(read(text, name)) == [
        ("gpu1:9400", {"node": "gpu1"}),
        ("gpu2:9500", {"node": "gpu2"}),
        ("[2001:db8::1]:9400", {"node": "2001:db8::1"}),
        ("[2001:db8::2]:9401", {"node": "2001:db8::2"}),
        ("10.0.0.1:9400", {"node": "10.0.0.1"}),
    ]
    assert plain(read("- gpu1\n- gpu2:1\n")) == [
        ("gpu1:9400", {"node": "gpu1"}),
        ("gpu2:1", {"node": "gpu2"}),
    ]
    assert plain(read("", name)) == []


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("gpu1\ngpu 2\n", 'f:2: target "gpu 2" has white space in it; write host:port'),
        ("gpu1:0\n", "f:1: target \"gpu1:0\" has port '0'; write a number from 1 to 65535"),
        ("- labels: {a: b}\n", "f:1: a group has no list of targets; correct it"),
        ("- targets: [[a]]\n", "f:1: a target is not text; write host:port"),
        ("- targets: [a]\n  labels: {a-b: c}\n", 'f:2: label "a-b" is not a label name; '),
    ],
)
def test_what_is_wrong_is_named_with_its_line(text: str, problem: str) -> None:
    found = read(text, "f")
    assert [str(each)[: len(problem)] for each in found.problems] == [problem]


@pytest.mark.parametrize(
    ("text", "name", "message"),
    [
        ("gpu1\ngpu2: [\n", "f.yml", "f.yml:2: not valid YAML"),
        ("- targets: [a\n", "standard input", "standard input:1: not valid YAML"),
        ('[{"targets": ["a:1"],}]', "f.json", "f.json:1: not valid JSON"),
        ("services: {}\n", "f.yml", "f.yml: neither a list of groups nor scrape_configs is in it"),
        ("scrape_configs: []\n", "f.yml", "f.yml: its scrape_configs have no job"),
        ("\udcff", "f.yml", "f.yml:1: not UTF-8 text (byte 0xff)"),
    ],
)
def test_what_is_no_list_of_targets(text: str, name: str, message: str) -> None:
    with pytest.raises(ImportFailedError) as error:
        importing.read(name, text.encode(errors="surrogateescape"), 9400)
    assert str(error.value).startswith(message)
