"""Settings: one name in three places, who wins, and what is said of a mistake."""

import os
import random
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

import click
import pytest
import yaml
from hypothesis import HealthCheck, example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from gpuglass import cli
from gpuglass.cli import serve, settings_file
from gpuglass.cli.settings import environment_name, settings_of

SETTINGS = {
    name: option
    for name, option in settings_of(serve.command).items()
    if name not in ("config.file", "help")
}
COLLECTORS = [name for name in SETTINGS if name.startswith("collector.")]


def values(
    *flags: str, file: Path | None = None, environment: dict[str, str] | None = None
) -> dict[str, Any]:
    """What `gpuglass serve` would run with, by the names of its settings."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith("GPUGLASS_")}
    arguments = [*flags, *(("--config.file", str(file)) if file else ())]
    with mock.patch.dict(os.environ, {**clean, **(environment or {})}, clear=True):
        parameters = serve.command.make_context("gpuglass serve", arguments).params
    return {name: parameters[str(option.name)] for name, option in SETTINGS.items()}


class Outcome(NamedTuple):
    code: int
    out: str
    lines: list[str]


Gpuglass = Callable[..., Outcome]


@pytest.fixture
def gpuglass(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Gpuglass:
    """Runs the command line in this process, to its exit code and output."""

    def run(*arguments: str, **environment: str) -> Outcome:
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(sys, "argv", ["gpuglass", *arguments])
        with pytest.raises(SystemExit) as caught:
            cli.main()
        out, err = capsys.readouterr()
        return Outcome(int(caught.value.code or 0), out, err.splitlines())

    return run


@pytest.fixture
def file(tmp_path: Path) -> Callable[[str], Path]:
    def write(text: str) -> Path:
        path = tmp_path / "gpuglass.yml"
        path.write_text(text)
        return path

    return write


# Precedence


@pytest.mark.parametrize(
    ("name", "of_file", "of_environment", "of_flag", "meant"),
    [
        ("node.name", "f", "e", "--node.name=c", ["f", "e", "c"]),
        ("web.telemetry-path", "/f", "/e", "--web.telemetry-path=/c", ["/f", "/e", "/c"]),
        ("probe.interval", "2s", "300ms", "--probe.interval=1m", [2.0, 0.3, 60.0]),
        ("collector.cpu", "false", "true", "--no-collector.cpu", [False, True, False]),
        ("collector.nvml", "false", "no", "--collector.nvml", [False, False, True]),
        ("log.level", "warn", "error", "--log.level=debug", ["warn", "error", "debug"]),
        ("path.procfs", "/usr", "/etc", "--path.procfs=/", [Path("/usr"), Path("/etc"), Path("/")]),
        (
            "web.listen-address",
            "['f:1', ':2']",
            "e:3 [::1]:4",
            "--web.listen-address=c:5",
            [(("f", 1), ("", 2)), (("e", 3), ("::1", 4)), (("c", 5),)],
        ),
    ],
)
def test_flag_over_environment_over_file_over_default(
    name: str,
    of_file: str,
    of_environment: str,
    of_flag: str,
    meant: list[Any],
    file: Callable[[str], Path],
) -> None:
    default = values()[name]
    path = file(f"{name}: {of_file}\n")
    environment = {environment_name(name): of_environment}
    assert values(file=path)[name] == meant[0] != default
    assert values(environment=environment)[name] == meant[1]
    assert values(file=path, environment=environment)[name] == meant[1]
    assert values(of_flag, file=path)[name] == meant[2]
    assert values(of_flag, environment=environment)[name] == meant[2]
    assert values(of_flag, file=path, environment=environment)[name] == meant[2]


def test_a_repeated_flag_adds_and_replaces_what_the_file_has(file: Callable[[str], Path]) -> None:
    path = file("web.listen-address: ':1'\n")
    flags = ("--web.listen-address", ":2", "--web.listen-address", "[::]:3")
    assert values(file=path)["web.listen-address"] == (("", 1),)
    assert values(*flags, file=path)["web.listen-address"] == (("", 2), ("::", 3))


def test_the_file_may_be_named_by_the_environment(file: Callable[[str], Path]) -> None:
    path = file("node: {name: from-file}\n")
    assert values(environment={"GPUGLASS_CONFIG_FILE": str(path)})["node.name"] == "from-file"


def test_an_empty_variable_is_one_that_is_not_set() -> None:
    assert values(environment={"GPUGLASS_WEB_TELEMETRY_PATH": ""}) == values()


def test_an_empty_file_changes_nothing(file: Callable[[str], Path]) -> None:
    for text in ("", "# nothing\n", "---\n"):
        assert values(file=file(text)) == values()


def test_each_name_has_its_variable() -> None:
    assert environment_name("web.listen-address") == "GPUGLASS_WEB_LISTEN_ADDRESS"
    names = [option.envvar for option in SETTINGS.values()]
    assert names == [environment_name(name) for name in SETTINGS]
    assert len(set(names)) == len(names)


# The same values in a file, flat or nested, and as flags

durations = st.builds(
    lambda number, unit: f"{number}{unit}", st.integers(1, 59), st.sampled_from(["s"])
) | st.builds(lambda number: f"{number}ms", st.integers(50, 60_000))
hosts = st.sampled_from(["", "localhost", "127.0.0.1", "[::1]", "node.example.com"])
addresses = st.builds(lambda host, port: f"{host}:{port}", hosts, st.integers(0, 65535))
folders = st.sampled_from(["/", "/usr", "/etc"])
VALID: dict[str, st.SearchStrategy[Any]] = {
    "web.listen-address": st.lists(addresses, min_size=1, max_size=3),
    "web.telemetry-path": st.from_regex(r"/[a-z0-9/_.-]{0,10}", fullmatch=True).filter(
        lambda path: not path.startswith(("/api/", "/static/"))
    ),
    "web.config.file": folders,
    "web.max-requests": st.integers(1, 10_000),
    "web.max-pages": st.integers(0, 1000),
    "web.timeout": durations.filter(lambda text: not text.endswith("ms")),
    "node.name": st.text(st.characters(exclude_categories=["Cs"]), min_size=1),
    "probe.interval": durations,
    "probe.slow-interval": durations,
    "probe.deadline": durations.filter(lambda text: not text.endswith("ms")),
    "nvlink.links": st.sampled_from(["sum", "each"]),
    "probe.sleep": st.booleans(),
    "probe.sleep-after": durations.filter(lambda text: not text.endswith("ms")),
    "path.procfs": folders,
    "path.sysfs": folders,
    "path.rootfs": folders,
    "path.kmsg": folders,
    "path.job-files": st.lists(folders, min_size=1, max_size=3),
    "processes.most": st.integers(0, 1000),
    "processes.commands": st.booleans(),
    "control.socket": st.sampled_from(["none", "/run/a.sock"]),
    "push.url": st.sampled_from(["https://a:8427", "https://[::1]:8427"]),
    "push.dir": folders,
    "push.vmagent-url": st.just("http://127.0.0.1:8429"),
    "log.level": st.sampled_from(["debug", "info", "warn", "error"]),
    "log.format": st.sampled_from(["logfmt", "json"]),
    "once": st.booleans(),
    **{name: st.booleans() for name in COLLECTORS},
    **{name: durations for name in SETTINGS if name.startswith("interval.")},
}


def test_every_setting_is_drawn() -> None:
    assert VALID.keys() == SETTINGS.keys()


def as_flags(chosen: dict[str, Any]) -> list[str]:
    flags = []
    for name, value in chosen.items():
        if isinstance(value, bool):
            if value:
                flags.append(f"--{name}")
            elif name != "once":
                flags.append(f"--no-{name}")
        else:
            items = value if isinstance(value, list) else [value]
            flags += [f"--{name}={item}" for item in items]
    return flags


def nested(chosen: dict[str, Any], seed: random.Random) -> dict[str, Any]:
    """The same settings with some names' parts written as groups."""
    tree: dict[str, Any] = {}
    for name, value in chosen.items():
        group, dot, rest = name.partition(".")
        if dot and seed.random() < 0.6:
            tree.setdefault(group, {})[rest] = value
        else:
            tree[name] = value
    return tree


@hypothesis_settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.fixed_dictionaries({}, optional=VALID), st.randoms(use_true_random=False), st.booleans())
def test_a_file_means_what_the_flags_mean(
    tmp_path: Path, chosen: dict[str, Any], seed: random.Random, flow: bool
) -> None:
    path = tmp_path / "settings.yml"
    path.write_text(yaml.safe_dump(nested(chosen, seed), default_flow_style=flow))
    assert settings_file.load(serve.command, click.Context(serve.command), path)[1] == []
    assert values(file=path) == values(*as_flags(chosen))


yaml_like = st.text("abcnode.iw: -[]{}&*!|>'\"#%@`\n\t?<=~0159éx,", max_size=60)


@hypothesis_settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary() | yaml_like.map(str.encode))
@example(b"[" * 1000)
@example(b"{a: " * 1000)
@example(b"? [a]\n: b\n")
@example(b"? {a: b}\n: c\n")
@example(b"web: &a {listen-address: *a}\n")
@example(b"web: &a\n  web: *a\n")
@example(b"node.name: !!python/object/apply:os.system [x]\n")
@example(b"node.name: 2021-99-99\n")
@example(b"node.name: !!binary x\n")
@example(b"%YAML 9.9\n---\na: b\n")
@example(b"\xff\xfe")
@example(b"node.name: 'a\x00b'\n")
@example(b"probe.interval: 1e999\n")
@example(b"probe.interval: !!float x\n")
@example(b"probe.interval: !!int 0o9\n")
@example(b"probe.interval: !!bool x\n")
@example(b"collector.nvml: !!timestamp x\n")
def test_any_file_is_read_or_refused_in_lines(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "settings.yml"
    path.write_bytes(content)
    for problem in settings_file.load(serve.command, click.Context(serve.command), path)[1]:
        assert problem.startswith(f"{path}:")
        assert len(problem.splitlines()) == 1


# Mistakes

# What is wrong, and a word that the message must have.
BAD: list[tuple[str, str, str]] = [
    ("web.listen-address", "9400", "no address"),
    ("web.listen-address", "host", "no address"),
    ("web.listen-address", "host:http", "no address"),
    ("web.listen-address", "host:", "no address"),
    ("web.listen-address", "host:-1", "no address"),
    ("web.listen-address", "host:65536", "65535"),
    ("web.listen-address", "::1:9400", "no address"),
    ("web.telemetry-path", "metrics", "no path"),
    ("web.telemetry-path", "/{a}", "no path"),
    ("web.telemetry-path", "/a?b", "no path"),
    ("web.telemetry-path", "/-/ready", "taken"),
    ("web.telemetry-path", "/api/v1/stream", "taken"),
    ("web.max-requests", "0", "0"),
    ("web.max-pages", "-1", "-1"),
    ("web.timeout", "0s", "between"),
    ("probe.interval", "1", "no duration"),
    ("probe.interval", "-1s", "no duration"),
    ("probe.interval", "1w", "no duration"),
    ("probe.interval", "nan", "no duration"),
    ("probe.interval", "1ms", "between"),
    ("probe.interval", "61s", "between"),
    ("probe.slow-interval", "601s", "between"),
    ("probe.deadline", "999ms", "between"),
    ("path.procfs", "/nonexistent", "does not exist"),
    ("path.sysfs", "/etc/passwd", "is a file"),
    ("log.level", "loud", "debug"),
    ("log.format", "xml", "logfmt"),
]


@pytest.mark.parametrize(("name", "value", "word"), BAD)
def test_bad_values_as_flags(gpuglass: Gpuglass, name: str, value: str, word: str) -> None:
    outcome = gpuglass("serve", f"--{name}={value}")
    assert outcome.code == 2
    assert outcome.out == ""
    (line,) = outcome.lines
    assert line.startswith("gpuglass: error: ")
    assert name in line
    assert word in line


@pytest.mark.parametrize(("name", "value", "word"), BAD)
def test_bad_values_in_the_environment(
    gpuglass: Gpuglass, name: str, value: str, word: str
) -> None:
    outcome = gpuglass("serve", **{environment_name(name): value})
    assert (outcome.code, outcome.out) == (2, "")
    (line,) = outcome.lines
    assert environment_name(name) in line
    assert word in line


@pytest.mark.parametrize(("name", "value", "word"), BAD)
def test_bad_values_in_the_file(
    gpuglass: Gpuglass, file: Callable[[str], Path], name: str, value: str, word: str
) -> None:
    group, rest = name.split(".")
    path = file(f"# settings\n{group}:\n  {rest}: {value!r}\n")
    for arguments in (("serve", "--config.file", str(path)), ("config", "check", str(path))):
        outcome = gpuglass(*arguments)
        assert (outcome.code, outcome.out) == (2, "")
        (line,) = outcome.lines
        assert f"{path}:3: {name}: " in line
        assert word in line


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("nodename: x\n", 1, ["unknown setting nodename", "did you mean node.name?"]),
        ("web:\n  adress: ':1'\n", 2, ["unknown setting web.adress"]),
        ("colector: {disk: false}\n", 1, ["unknown setting colector", "did you mean collector?"]),
        ("a: 1\n", 1, ["unknown setting a;", "--help"]),
        ("config.file: x\n", 1, ["unknown setting config.file"]),
        ("node: x\n", 1, ["node groups settings"]),
        ("- node.name\n", 1, ["holds a mapping"]),
        ("just text\n", 1, ["holds a mapping"]),
        ("node.name: 5\n", 1, ["5 is not text", "quotes"]),
        ("node.name: ~\n", 1, ["not text"]),
        ("node.name: [a]\n", 1, ["not text"]),
        ("probe.interval: 1\n", 1, ["not text"]),
        ("collector.nvml: 'yes'\n", 1, ["not true or false"]),
        ("collector.nvml: 1\n", 1, ["not true or false"]),
        ("once: maybe\n", 1, ["not true or false"]),
        ("web.listen-address: []\n", 1, ["empty"]),
        ("web.listen-address: [':1', 2]\n", 1, ["2 is not text"]),
        ("web.listen-address: {a: b}\n", 1, ["not text"]),
        ("node: {name: a}\nnode.name: b\n", 2, ["node.name is set twice"]),
        ("node.name: a\nnode.name: b\n", 2, ["node.name is set twice"]),
        ("\n\nnode.name: 'a\n", 4, ["is not YAML"]),
        ("a:\n\t- b\n", 2, ["is not YAML"]),
        ("? [a]\n: b\n", 1, ["a setting's name is text"]),
        ("node.name: !!python/name:os.system x\n", 1, ["not a plain value"]),
        ("node.name: &a [*a]\n", 1, ["not a plain value"]),
    ],
)
def test_mistakes_in_the_file(
    gpuglass: Gpuglass, file: Callable[[str], Path], text: str, line: int, words: list[str]
) -> None:
    path = file(text)
    outcome = gpuglass("config", "check", str(path))
    assert outcome.code == 2
    (said,) = outcome.lines
    assert said.startswith(f"{path}:{line}: ")
    assert all(word in said for word in words), said
    served = gpuglass("serve", "--config.file", str(path))
    assert (served.code, served.lines) == (2, [f"gpuglass: error: {said}"])


def test_a_mistake_each_has_a_line_each(gpuglass: Gpuglass, file: Callable[[str], Path]) -> None:
    path = file("nodename: x\nlog: {level: loud}\nprobe.interval: 1h\n")
    outcome = gpuglass("config", "check", str(path))
    assert [line.split(":")[1] for line in outcome.lines] == ["1", "2", "3"]


def test_a_deep_file(gpuglass: Gpuglass, file: Callable[[str], Path]) -> None:
    outcome = gpuglass("config", "check", str(file("[" * 1000)))
    assert (outcome.code, len(outcome.lines)) == (2, 1)
    assert "nested too deep" in outcome.lines[0]


def test_a_file_that_grows_when_it_is_written_out(
    gpuglass: Gpuglass, file: Callable[[str], Path]
) -> None:
    levels = "".join(f"    - &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 9))
    path = file(f"web:\n  listen-address:\n    - &a0 [x]\n{levels}")
    outcome = gpuglass("config", "check", str(path))
    assert outcome.code == 2
    assert max(map(len, outcome.lines)) < 1000


def test_a_file_that_cannot_be_read(
    gpuglass: Gpuglass, file: Callable[[str], Path], tmp_path: Path
) -> None:
    binary = file("")
    binary.write_bytes(b"node.name: \xff\n")
    for path, word in (
        (tmp_path / "none.yml", "No such file"),
        (tmp_path, "directory"),
        (binary, "not UTF-8"),
    ):
        for arguments in (("config", "check", str(path)), ("serve", "--config.file", str(path))):
            outcome = gpuglass(*arguments)
            assert (outcome.code, len(outcome.lines)) == (2, 1)
            assert str(path) in outcome.lines[0]
            assert word in outcome.lines[0]


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (("serve", "--nodename=x"), "--node"),
        (("serve", "extra"), "extra"),
        (("serve", "--node.name"), "requires an argument"),
        (("serve", "--collector.nvml=yes"), "does not take a value"),
        (("serve", "--node.name="), "node.name is empty"),
        (("serve", "--probe.interval=20s"), "shorter than probe.interval"),
        (("server",), "serve"),
        (("config", "check"), "FILE"),
    ],
)
def test_wrong_use(gpuglass: Gpuglass, arguments: tuple[str, ...], word: str) -> None:
    outcome = gpuglass(*arguments)
    assert outcome.code == 2
    (line,) = outcome.lines
    assert word in line


@pytest.mark.parametrize("name", ["GPUGLASS_COLLECTOR_NVML", "GPUGLASS_ONCE"])
def test_bad_booleans_in_the_environment(gpuglass: Gpuglass, name: str) -> None:
    outcome = gpuglass("serve", **{name: "maybe"})
    assert (outcome.code, len(outcome.lines)) == (2, 1)
    assert "boolean" in outcome.lines[0]


def test_a_good_file(gpuglass: Gpuglass, file: Callable[[str], Path]) -> None:
    path = file("web:\n  listen-address: ':9401'\nprobe.interval: 500ms\n")
    assert gpuglass("config", "check", str(path)) == Outcome(0, f"{path}: ok\n", [])
