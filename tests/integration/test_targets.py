"""The users' targets on their way to vmagent."""

import subprocess
import time
from pathlib import Path

from tests.integration.conftest import Fleet
from tests.integration.stack import GPUGLASS, Stack, environment, get, wait_for
from tests.ports import free_port

PROMISED = 30.0


def test_a_target_is_visible_within_30_seconds(fleet: Fleet, simulator: Path) -> None:
    """One that somebody wrote by hand, and one that a command added; commands take both away."""
    stack = fleet.stack
    address = stack.exporter("late", "gpus 1 preset=l40s\n", simulator)
    silent = f"127.0.0.1:{free_port()}"
    begun = time.monotonic()
    note = "é \U0001f600"
    labels = f"{{node: late, __gpus__: '2', note: {note}}}  # of the lab"
    by_hand, added = stack.targets / "late.yml", stack.targets / "nodes.yml"
    by_hand.write_text(f"- targets: ['{address}']\n  labels: {labels}\n")
    places = ("--label", "node=away", "--label", "cluster=prod", "--label", "datacenter=north")
    told = gpuglass(stack, "add", silent, *places)
    assert told[:2] == (0, f"{added}: 1 target added\n")
    wait_for("the new node is up", lambda: stack.values('up{node="late"}') == [1], PROMISED)
    took = time.monotonic() - begun
    print(f"visible after {took:.1f} s")
    away = 'up{node="away",cluster="prod",datacenter="north"}'
    wait_for("the other is seen as down", lambda: stack.values(away) == [0], PROMISED)
    wait_for("its GPU is there", lambda: stack.query('gpu_info{node="late"}'), 10)

    ((series, _),) = stack.query(f'up{{note="{note}"}}')
    assert not any("gpus" in name for name in series)

    code, output, _ = gpuglass(stack, "check")
    assert (code, output.count(": ok, ")) == (1, 3)
    assert f"{by_hand}:1: {address} 1 of 2 GPUs answer; " in output
    assert f"{added}:1: {silent} does not answer (Connection refused); " in output
    assert len(output.splitlines()) == 5

    assert gpuglass(stack, "remove", "late", silent)[0] == 0
    assert by_hand.read_text() == added.read_text() == "[]\n"
    gone = {address, silent}
    wait_for("they are dropped", lambda: not gone & stack.scraped().keys(), PROMISED)
    for file in (by_hand, added):
        file.unlink()
    published = stack.published / "late.yml.json"
    wait_for("what was published is withdrawn", lambda: not published.exists(), PROMISED)
    assert set(stack.scraped()) == {fleet.frozen, fleet.moving}


def gpuglass(stack: Stack, *arguments: str) -> tuple[int, str, str]:
    """A command on targets, as the installed one is told where they are."""
    done = subprocess.run(
        [*GPUGLASS, "targets", *arguments],
        env=environment(
            GPUGLASS_TARGETS_DIR=str(stack.targets),
            GPUGLASS_SCRAPE_CONFIG=str(stack.targets.parent / "scrape.yml"),
        ),
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


def test_a_broken_file_changes_nothing_but_a_message(fleet: Fleet) -> None:
    stack = fleet.stack
    file = stack.targets / "fleet.yml"
    good = file.read_text()
    before = stack.scraped()
    assert before == {fleet.frozen: "up", fleet.moving: "up"}

    file.write_text(good.replace("labels:", "lables:", 1))
    problem = f'{file}:2: unknown key "lables"; did you mean "labels"?'
    wait_for("the keeper complains", lambda: problem in stack.keeper.log.replace('\\"', '"'))
    # vmagent looks every 5 s: after 11 s it has looked twice.
    time.sleep(11)
    assert stack.scraped() == before
    assert stack.keeper.log.count("lables") == 1
    page = get(f"{stack.keeper_url}/metrics")
    assert 'gpuglass_keeper_targets_file_valid{file="fleet.yml"} 0.0' in page
    assert 'gpuglass_keeper_targets{file="fleet.yml"} 2.0' in page
    valid = 'gpuglass_keeper_targets_file_valid{file="fleet.yml"}'
    wait_for("the alert's metric is stored", lambda: stack.values(valid) == [0])

    # The keeper's restart does not make the broken file count.
    assert stack.keeper.stop() == 0
    stack.keeper.start()
    time.sleep(6)
    assert stack.scraped() == before

    file.write_text(good)
    wait_for("the fix is taken", lambda: stack.values(valid) == [1])
    assert stack.scraped() == before


def test_vmagent_itself_would_drop_them(fleet: Fleet) -> None:
    """The reason for the keeper: what it publishes is all that stands between."""
    stack = fleet.stack
    # No name of the keeper's: it would withdraw what it has not published.
    published = stack.published / "unguarded.json"
    published.write_text('[{"targets": ["127.0.0.1:1"]}]')
    wait_for("it is taken", lambda: "127.0.0.1:1" in stack.scraped())
    published.write_text('[{"targets": ["127.0.0.1:1"], "lables": {}}]')
    wait_for("it is dropped", lambda: "127.0.0.1:1" not in stack.scraped())
    published.unlink()


def test_our_own_components_are_scraped(fleet: Fleet) -> None:
    components = ["keeper", "victoriametrics", "vmagent"]
    up = 'up{job=~"vmagent|victoriametrics|keeper"}'

    def found() -> list[str]:
        return sorted(labels["job"] for labels, value in fleet.stack.query(up) if value == 1)

    wait_for("our components are up", lambda: found() == components)
