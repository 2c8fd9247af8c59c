"""Acknowledgements and maintenance, on a real Alertmanager."""

import json
import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from tests.integration.alertmanager import TestedAlertmanager
from tests.integration.stack import Stack, wait_for

from gpuglass.cli import gpuglass_command
from gpuglass.keeper.alertmanager import silences
from gpuglass.keeper.alertmanager.acknowledgements import WATCHDOG, AcknowledgementsKeeper
from gpuglass.keeper.alertmanager.api import Alertmanager, AlertmanagerError, Matcher, Silence

WATCHDOG_LABELS = {"alertname": WATCHDOG, "severity": "none"}


def lost(node: str, gpu: str, **more: str) -> dict[str, str]:
    return {"alertname": "GPULost", "severity": "critical", "node": node, "gpu": gpu, **more}


@pytest.fixture(scope="module")
def running(
    tmp_path_factory: pytest.TempPathFactory, components: Path
) -> Iterator[TestedAlertmanager]:
    program = TestedAlertmanager(components, tmp_path_factory.mktemp("alertmanager"))
    try:
        program.start()
        yield program
    finally:
        program.stop()


@pytest.fixture
def alertmanager(running: TestedAlertmanager) -> Iterator[TestedAlertmanager]:
    """One on which nothing fires, and nothing is silent."""
    yield running
    api = Alertmanager(running.base)
    firing = [alert.labels for alert in api.alerts()]
    running.fire(*firing, seconds=-1)
    for silence in api.silences():
        api.expire(silence.id)
    wait_for("nothing fires", lambda: not api.alerts())


@pytest.fixture(scope="module")
def storage(tmp_path_factory: pytest.TempPathFactory, components: Path) -> Iterator[Stack]:
    stack = Stack(tmp_path_factory.mktemp("stack"), components)
    try:
        stack.victoriametrics.start()
        yield stack
    finally:
        stack.stop()


Run = Callable[..., Result]


@pytest.fixture
def run(alertmanager: TestedAlertmanager) -> Run:
    """Runs `gpuglass` with this Alertmanager, and no VictoriaMetrics unless it is named."""

    def run(*arguments: str, victoriametrics: str = "http://127.0.0.1:1") -> Result:
        env = {
            "GPUGLASS_ALERTMANAGER_URL": alertmanager.base,
            "GPUGLASS_VICTORIAMETRICS_URL": victoriametrics,
            "GPUGLASS_AUTHOR": "ada",
        }
        return CliRunner(env=env).invoke(gpuglass_command, arguments, prog_name="gpuglass")

    return run


def states(run: Run) -> dict[str, str]:
    """The state of each alert, by its name, node and GPU."""
    alerts = json.loads(run("alerts", "list", "--json").output)["alerts"]
    names = ("alertname", "node", "gpu")
    return {"/".join(a["labels"][n] for n in names if n in a["labels"]): a["state"] for a in alerts}


def test_an_acknowledgement_silences_one_alert_and_can_be_taken_back(
    alertmanager: TestedAlertmanager, run: Run
) -> None:
    alertmanager.fire(lost("n1", "0"), lost("n1", "1"), WATCHDOG_LABELS)
    assert run("alerts", "ack", "GPULost/n1/0", "--comment", "card is ordered").exit_code == 0
    assert states(run) == {
        "GPULost/n1/0": "silenced",
        "GPULost/n1/1": "firing",
        WATCHDOG: "firing",
    }
    table = run("alerts", "list").output.splitlines()
    assert [line.split()[1] for line in table] == ["SEVERITY", "critical", "none", "critical"]
    id = table[3].split()[0]
    assert "acknowledged by ada: card is ordered" in table[3]

    taken = run("alerts", "unack", id[:5])
    assert taken.output == f"GPULost/n1/0 ({id}) is not acknowledged any more\n"
    assert "silenced" not in states(run).values()


def test_an_alert_that_is_acknowledged_again_has_the_last_comment(
    alertmanager: TestedAlertmanager, run: Run
) -> None:
    alertmanager.fire(lost("n1", "0"))
    for comment in ("first", "second"):
        run("alerts", "ack", "GPULost", "--comment", comment, "--author", "bob")
    (alert,) = json.loads(run("alerts", "list", "--json").output)["alerts"]
    (silence,) = alert["silences"]
    assert (silence["kind"], silence["author"], silence["comment"]) == (
        "acknowledgement",
        "bob",
        "second",
    )
    assert silence["end_timestamp_seconds"] - time.time() == pytest.approx(
        silences.ACK_SECONDS, abs=60
    )


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("GPULost", "2 alerts are that: GPULost/n1/0 "),
        ("GPULost/n2", "no such alert fires now; did you mean GPULost/n1/"),
        ("zzz", "no such alert fires now; see gpuglass alerts list"),
    ],
)
def test_a_word_that_does_not_mean_one_alert_acknowledges_none(
    alertmanager: TestedAlertmanager, run: Run, word: str, message: str
) -> None:
    alertmanager.fire(lost("n1", "0"), lost("n1", "1"), WATCHDOG_LABELS)
    refused = run("alerts", "ack", WATCHDOG, word, "--comment", "c")
    assert refused.exit_code == 1
    assert refused.output.startswith(f"Error: {word}: {message}")
    assert refused.output.count("\n") == 1
    assert set(states(run).values()) == {"firing"}


@pytest.mark.parametrize(
    "command",
    [
        ("alerts", "ack", "GPULost", "", "--comment", "c"),
        ("alerts", "unack", " "),
        ("maintenance", "", "--for", "1h"),
        ("maintenance", "end", ""),
    ],
)
def test_an_empty_word_means_nothing(
    alertmanager: TestedAlertmanager, run: Run, command: tuple[str, ...]
) -> None:
    alertmanager.fire(lost("n1", "0"))
    run("maintenance", "n2", "--for", "1h")
    refused = run(*command)
    assert refused.exit_code == 2
    assert "a name or an ID is empty; write it out" in refused.output
    assert states(run) == {"GPULost/n1/0": "firing"}
    assert "n2" in run("maintenance", "list").output


def test_an_alert_that_is_held_back_for_an_unknown_reason_does_not_fire(
    alertmanager: TestedAlertmanager, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    alertmanager.fire(lost("n1", "0"))
    run("alerts", "ack", "GPULost", "--comment", "c")
    # The silence was made after silences had been asked for.
    with monkeypatch.context() as patch:
        patch.setattr(Alertmanager, "silences", lambda self: [])
        assert states(run) == {"GPULost/n1/0": "suppressed"}


def test_an_alert_that_is_named_twice_is_acknowledged_once(
    alertmanager: TestedAlertmanager, run: Run
) -> None:
    alertmanager.fire(lost("n1", "0"), lost("n2", "0"))
    api = Alertmanager(alertmanager.base)
    # Another one's, of which no command knew.
    api.put(silences.acknowledgement(lost("n1", "0"), "bob", "c", time.time()))
    api.put(silences.acknowledgement(lost("n1", "0"), "eve", "c", time.time()))
    done = run("alerts", "ack", "GPULost/n1/0", "GPULost/n1", "--comment", "c")
    assert done.output.count("GPULost/n1/0") == 1
    assert [silence.author for silence in api.silences()] == ["ada"]


def test_fingerprints_are_those_of_alertmanager(alertmanager: TestedAlertmanager) -> None:
    alertmanager.fire(lost("n1", "0"), lost("kölн-1", "0", a="\\|.*'\" ", Z=""), {"alertname": "x"})
    alerts = Alertmanager(alertmanager.base).alerts()
    assert len(alerts) == 3
    for alert in alerts:
        assert silences.fingerprint(alert.labels) == alert.fingerprint


def test_maintenance_silences_everything_of_a_node(
    alertmanager: TestedAlertmanager, run: Run
) -> None:
    alertmanager.fire(
        lost("n1", "0"), lost("n10", "0"), {"alertname": "GPUNodeUnreachable", "node": "n1"}
    )
    started = run("maintenance", "n1", "--for", "2h", "--comment", "new fans")
    assert started.exit_code == 0
    assert "warning: whether there is such a node is not known" in started.output
    assert states(run) == {
        "GPULost/n1/0": "silenced",
        "GPULost/n10/0": "firing",
        "GPUNodeUnreachable/n1": "silenced",
    }
    assert "maintenance until" in run("alerts", "list").output
    assert "n1  " in run("maintenance", "list").output
    assert "new fans" in run("maintenance", "list").output

    assert run("maintenance", "end", "n1").output == "n1: messages are sent again\n"
    assert set(states(run).values()) == {"firing"}
    assert run("maintenance", "list").output == "no node is in maintenance\n"


def test_maintenance_that_is_asked_for_again_has_another_end(run: Run) -> None:
    for seconds in ("1h", "3d"):
        assert run("maintenance", "--for", seconds, "n1", "n2").exit_code == 0
    held = json.loads(run("maintenance", "list", "--json").output)["maintenance"]
    assert [entry["nodes"] for entry in held] == [["n1"], ["n2"]]
    for entry in held:
        assert entry["end_timestamp_seconds"] - time.time() == pytest.approx(3 * 86400, abs=60)
    assert run("maintenance", "end", held[0]["id"][:8]).output == "n1: messages are sent again\n"


def test_maintenance_of_a_node_whose_names_have_changed_is_replaced(
    alertmanager: TestedAlertmanager, run: Run
) -> None:
    now = time.time()
    api = Alertmanager(alertmanager.base)
    for names in (("n1", "10.0.0.1"), ("n1", "n1.lab"), ("n2",)):
        api.put(silences.maintenance(names, "bob", "c", now, now + 86400))
    several = run("maintenance", "end", "n1")
    assert several.exit_code == 1
    assert all(s.id[:8] in several.output for s in api.silences() if "n1" in silences.nodes(s))
    assert run("maintenance", "n1", "n1", "--for", "1h").exit_code == 0
    ends = {tuple(silences.nodes(s)): round(s.ends - now, -2) for s in api.silences()}
    assert ends == {("n1",): 3600, ("n2",): 86400}


NODE = Matcher("node", "n1")


@pytest.mark.parametrize(
    "changed",
    [
        (NODE, Matcher("severity", "info")),
        (NODE._replace(value="n[12]", is_regex=True),),
        (Matcher("gpu", "0"),),
    ],
)
def test_maintenance_that_was_changed_elsewhere_is_a_silence_as_others(
    alertmanager: TestedAlertmanager, run: Run, changed: tuple[Matcher, ...]
) -> None:
    alertmanager.fire(lost("n1", "0"))
    now = time.time()
    made = silences.maintenance(["n1"], "bob", "c", now, now + 3600)
    api = Alertmanager(alertmanager.base)
    api.put(replace(made, matchers=made.matchers - {NODE} | {*changed}))
    assert run("maintenance", "list").output == "no node is in maintenance\n"
    assert run("maintenance", "n1", "--for", "1h").exit_code == 0
    assert run("maintenance", "end", "n1").exit_code == 0
    assert len(api.silences()) == 1


@pytest.mark.parametrize("node", ["list", "a|b.c", "[fe80::1]", "knöten", "back\\slash"])
def test_nodes_may_have_any_name(alertmanager: TestedAlertmanager, run: Run, node: str) -> None:
    alertmanager.fire(lost(node, "0"), lost("a", "0"), lost("axc", "0"))
    assert run("maintenance", "start", node, "--for", "1h").exit_code == 0
    assert states(run) == {
        f"GPULost/{node}/0": "silenced",
        "GPULost/a/0": "firing",
        "GPULost/axc/0": "firing",
    }
    assert run("maintenance", "end", node).exit_code == 0
    assert set(states(run).values()) == {"firing"}


def test_maintenance_goes_by_every_name_of_a_node(
    alertmanager: TestedAlertmanager, storage: Stack, run: Run
) -> None:
    """Its target may be called by an address, and its exporter by the machine's name."""
    of = 'job="gpu",instance="10.0.0.5:9400"'
    # VictoriaMetrics takes the present for the last whole second.
    now = (time.time() - 5) * 1000
    storage.write(
        f'up{{{of},node="10.0.0.5"}} 0 {now:.0f}',
        f'gpuglass_build_info{{{of},node="gpu.05"}} 1 {now - 3600e3:.0f}',
        f'up{{job="gpu",instance="gpu06:9400",node="gpu06"}} 1 {now:.0f}',
    )
    alertmanager.fire(lost("10.0.0.5", "0"), lost("gpu.05", "0"), lost("gpu-05", "0"))
    started = run("maintenance", "gpu.05", "--for", "1h", victoriametrics=storage.url)
    assert started.output.startswith("10.0.0.5 or gpu.05: no messages until ")
    assert states(run) == {
        "GPULost/10.0.0.5/0": "silenced",
        "GPULost/gpu.05/0": "silenced",
        "GPULost/gpu-05/0": "firing",
    }
    assert run("maintenance", "end", "gpu.05").exit_code == 0

    unknown = run("maintenance", "gpu-06", "--for", "1h", victoriametrics=storage.url)
    assert unknown.exit_code == 0
    assert unknown.output.startswith(
        "gpuglass: warning: no target is called gpu-06; did you mean gpu06?\ngpu-06: no messages"
    )


@pytest.mark.parametrize(
    "arguments",
    [
        ("alerts", "list"),
        ("alerts", "ack", "GPULost", "--comment", "c"),
        ("alerts", "unack", "GPULost"),
        ("maintenance", "list"),
        ("maintenance", "end", "n1"),
        ("maintenance", "n1", "--for", "1h"),
    ],
)
def test_without_alertmanager_there_is_one_line(arguments: tuple[str, ...], storage: Stack) -> None:
    runner = CliRunner(env={"GPUGLASS_VICTORIAMETRICS_URL": storage.url})
    command = [*arguments, "--alertmanager.url"]
    away = runner.invoke(gpuglass_command, [*command, "http://127.0.0.1:1"])
    line = away.output.splitlines()[-1]
    assert away.exit_code == 1
    assert line.startswith("Error: Alertmanager at http://127.0.0.1:1 cannot be reached")
    stranger = runner.invoke(gpuglass_command, [*command, storage.url])
    assert stranger.exit_code == 1
    assert "does not answer as Alertmanager does" in stranger.output.splitlines()[-1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("n1",), "Missing option '--for'"),
        (("n1", "--for", "2 hours"), "'2 hours' is no duration"),
        (("n1", "--for", "5s"), "5s is not between 60s and"),
        (("--for", "2h"), "Missing argument 'NODE...'"),
        (("end", "n1"), "n1: no such maintenance"),
    ],
)
def test_wrong_maintenance_is_refused(run: Run, arguments: tuple[str, ...], message: str) -> None:
    refused = run("maintenance", *arguments)
    assert refused.exit_code in (1, 2)
    assert message in refused.output
    assert run("maintenance", "list").output == "no node is in maintenance\n"


class Kept:
    """The keeper of acknowledgements, at times of our own."""

    def __init__(self, url: str) -> None:
        self.now = time.time()
        self.api = Alertmanager(url)
        self.keeper = AcknowledgementsKeeper(
            self.api, patience=600, clock=lambda: self.now, steady=lambda: self.now
        )

    def check(self, after: float) -> None:
        self.now += after
        self.keeper.check()

    @property
    def ends(self) -> list[float]:
        return [silence.ends for silence in self.api.silences()]


def test_an_acknowledgement_ends_some_minutes_after_its_alert(
    alertmanager: TestedAlertmanager, run: Run
) -> None:
    kept = Kept(alertmanager.base)
    alertmanager.fire(lost("n1", "0"), lost("n2", "0"), WATCHDOG_LABELS)
    run("alerts", "ack", "GPULost/n1", "GPULost/n2", "--comment", "c")
    run("maintenance", "n3", "--for", "2h")
    kept.check(0)
    alertmanager.fire(lost("n1", "0"), seconds=-1)
    kept.check(30)
    assert states(run)["GPULost/n1/0"] == "ended"
    assert "ended, acknowledged by ada: c" in run("alerts", "list").output
    kept.check(590)
    assert len(kept.ends) == 3
    kept.check(20)
    assert len(kept.ends) == 2
    assert states(run) == {"GPULost/n2/0": "silenced", WATCHDOG: "firing"}
    alertmanager.fire(lost("n1", "0"))
    assert states(run)["GPULost/n1/0"] == "firing"


def test_an_alert_that_comes_back_in_time_stays_acknowledged(
    alertmanager: TestedAlertmanager, run: Run
) -> None:
    kept = Kept(alertmanager.base)
    alertmanager.fire(lost("n1", "0"), WATCHDOG_LABELS)
    run("alerts", "ack", "GPULost", "--comment", "c")
    for _ in range(3):
        alertmanager.fire(lost("n1", "0"), seconds=-1)
        kept.check(30)
        kept.check(590)
        alertmanager.fire(lost("n1", "0"))
        kept.check(30)
    assert states(run)["GPULost/n1/0"] == "silenced"


def test_a_restart_of_alertmanager_or_vmalert_ends_no_acknowledgement(
    alertmanager: TestedAlertmanager, run: Run
) -> None:
    kept = Kept(alertmanager.base)
    alertmanager.fire(lost("n1", "0"), WATCHDOG_LABELS)
    run("alerts", "ack", "GPULost", "--comment", "c")
    kept.check(0)
    # Alertmanager keeps silences, but no alerts; while vmalert is down, all of them end.
    alertmanager.stop()
    kept.check(30)
    assert kept.keeper.state.errors == 1
    alertmanager.start()
    for _ in range(3):
        kept.check(3600)
    assert len(kept.ends) == 1
    alertmanager.fire(WATCHDOG_LABELS)
    kept.check(30)
    alertmanager.fire(lost("n1", "0"))
    kept.check(590)
    kept.check(590)
    assert states(run)["GPULost/n1/0"] == "silenced"


def test_the_acknowledgement_of_an_alert_that_goes_on_is_renewed(
    alertmanager: TestedAlertmanager, run: Run
) -> None:
    kept = Kept(alertmanager.base)
    alertmanager.fire(lost("n1", "0"), WATCHDOG_LABELS)
    run("alerts", "ack", "GPULost", "--comment", "c")
    (first,) = kept.ends
    kept.check(silences.ACK_SECONDS / 3)
    assert kept.ends == [first]
    kept.check(silences.ACK_SECONDS / 3)
    assert kept.ends == [pytest.approx(kept.now + silences.ACK_SECONDS, abs=1)]
    (alert,) = json.loads(run("alerts", "list", "--json").output)["alerts"][1:]
    assert alert["silences"][0]["comment"] == "c"


def test_an_acknowledgement_that_cannot_be_renewed_holds_up_no_other(
    alertmanager: TestedAlertmanager,
    run: Run,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    kept = Kept(alertmanager.base)
    alertmanager.fire(*(lost(node, "0") for node in ("n1", "n2", "n3")), WATCHDOG_LABELS)
    run("alerts", "ack", *(f"GPULost/{node}" for node in ("n1", "n2", "n3")), "--comment", "c")
    kept.check(0)
    alertmanager.fire(lost("n3", "0"), seconds=-1)
    kept.check(30)
    put = kept.api.put

    def refusing(silence: Silence) -> str:
        if silences.acknowledged(silence)["node"] == "n1":
            raise AlertmanagerError("refused")
        return put(silence)

    monkeypatch.setattr(kept.api, "put", refusing)
    kept.check(silences.ACK_SECONDS / 3 * 2)
    # n2's is renewed, and n3's has ended, though nothing is known of it but one refusal of n1's.
    assert sorted(end > kept.now + silences.ACK_SECONDS / 2 for end in kept.ends) == [False, True]
    assert (kept.keeper.state.held, kept.keeper.state.errors) == (2, 1)
    kept.check(30)
    assert kept.keeper.state.errors == 2
    assert [r.getMessage() for r in caplog.records if r.levelname == "WARNING"] == [
        "refused; acknowledgements stay as they are"
    ]
    monkeypatch.undo()
    kept.check(30)
    assert "Alertmanager answers: acknowledgements are looked after again" in caplog.text
