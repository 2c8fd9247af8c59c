"""The keeper on folders: what it publishes, keeps, removes and says."""

import json
import logging
import os
from pathlib import Path

import pytest
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from gpuglass.catalogue import keeper as catalogue
from gpuglass.keeper import metrics
from gpuglass.keeper.targets.keeper import TargetsKeeper

GOOD = "- targets: [n1:9400]\n"
BAD = "- targets: [n2:9400\n"


class House:
    """A keeper with its two folders and a clock that the test turns."""

    def __init__(self, folder: Path) -> None:
        self.source, self.published = folder / "targets", folder / "published"
        self.source.mkdir()
        self.now = 1000.0
        self.keeper = TargetsKeeper(self.source, self.published, clock=lambda: self.now)

    def restart(self) -> None:
        self.keeper = TargetsKeeper(self.source, self.published, clock=lambda: self.now)
        self.keeper.start()

    def write(self, name: str, text: str) -> None:
        (self.source / name).write_text(text)

    def settle(self) -> None:
        """Two looks: the first sees a change, the second that it has stayed."""
        self.now += 2
        self.keeper.check()
        self.now += 2
        self.keeper.check()

    def addresses(self) -> dict[str, list[str]]:
        return {
            path.name: [a for group in json.loads(path.read_bytes()) for a in group["targets"]]
            for path in sorted(self.published.iterdir())
        }

    def metric(self, name: str, **labels: str) -> list[float]:
        page = generate_latest(metrics.registry([self.keeper])).decode()
        return [
            sample.value
            for family in text_string_to_metric_families(page)
            for sample in family.samples
            if sample.name == name and sample.labels == labels
        ]


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


def test_the_start_publishes_at_once(house: House) -> None:
    house.write("a.yml", GOOD)
    house.write("b.json", '[{"targets": ["n2:1"]}]')
    house.keeper.start()
    assert house.addresses() == {"a.yml.json": ["n1:9400"], "b.json.json": ["n2:1"]}


@pytest.mark.parametrize("name", [".a.yml", "a.yml~", "#a.yml#", ".#a.yml", "a.yml.swp", "a.txt"])
def test_leftovers_are_no_targets(house: House, name: str) -> None:
    house.write(name, GOOD)
    house.keeper.start()
    assert house.addresses() == {}
    assert house.keeper.state.files == {}


def test_a_change_counts_when_it_has_stayed(house: House) -> None:
    house.write("a.yml", GOOD)
    house.keeper.start()
    house.write("a.yml", "- targets: [half:9400]\n")
    house.keeper.check()
    house.write("a.yml", "- targets: [half:9400, whole:9400]\n")
    house.keeper.check()
    assert house.addresses() == {"a.yml.json": ["n1:9400"]}
    house.keeper.check()
    assert house.addresses() == {"a.yml.json": ["half:9400", "whole:9400"]}


def test_a_file_that_is_away_for_a_moment_keeps_its_targets(house: House) -> None:
    house.write("a.yml", GOOD)
    house.keeper.start()
    (house.source / "a.yml").unlink()
    house.keeper.check()
    assert house.addresses() == {"a.yml.json": ["n1:9400"]}
    house.write("a.yml", GOOD)
    house.settle()
    assert house.addresses() == {"a.yml.json": ["n1:9400"]}


def test_a_removed_file_takes_its_targets_along(house: House) -> None:
    house.write("a.yml", GOOD)
    house.keeper.start()
    (house.source / "a.yml").unlink()
    house.settle()
    assert house.addresses() == {}
    assert house.keeper.state.files == {}


def test_a_bad_edit_is_told_once_and_changes_nothing(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    house.write("a.yml", GOOD)
    house.keeper.start()
    house.write("a.yml", "- targets: [n1]\n- target: [n2:1]\n")
    for _ in range(4):
        house.settle()
    assert house.addresses() == {"a.yml.json": ["n1:9400"]}
    errors = [r.getMessage() for r in caplog.records if r.levelno == logging.ERROR]
    assert errors == [
        f'{house.source}/a.yml:1: target "n1" has no port; write host:port, such as node1:9400 '
        "(and 2 more) (published: 1 target of its last good version)"
    ]
    house.write("a.yml", "- targets: [n1:9400]\n- target: [n2:1]\n")
    house.settle()
    assert len([r for r in caplog.records if r.levelno == logging.ERROR]) == 2


def test_the_metrics_of_a_bad_edit_and_its_repair(house: House) -> None:
    house.write("a.yml", GOOD)
    house.keeper.start()
    house.write("a.yml", BAD)
    house.settle()
    success = catalogue.FILE_LAST_SUCCESS.name
    assert house.metric(catalogue.FILE_VALID.name, file="a.yml") == [0]
    assert house.metric(catalogue.TARGETS.name, file="a.yml") == [1]
    assert house.metric(success, file="a.yml") == [1000]
    house.write("a.yml", "- targets: [n1:9400, n2:9400]\n")
    house.settle()
    house.settle()
    assert house.metric(catalogue.FILE_VALID.name, file="a.yml") == [1]
    assert house.metric(catalogue.TARGETS.name, file="a.yml") == [2]
    assert house.metric(success, file="a.yml") == [1008]


def test_a_file_that_was_never_good_publishes_nothing(house: House) -> None:
    house.write("a.yml", BAD)
    house.keeper.start()
    assert house.addresses() == {}
    assert house.metric(catalogue.FILE_VALID.name, file="a.yml") == [0]
    assert house.metric(catalogue.TARGETS.name, file="a.yml") == [0]
    assert house.metric(catalogue.FILE_LAST_SUCCESS.name, file="a.yml") == []


def test_the_last_good_version_outlives_the_keeper(house: House) -> None:
    house.write("a.yml", GOOD)
    house.write("gone.yml", "- targets: [n3:9400]\n")
    house.keeper.start()
    os.utime(house.published / "a.yml.json", (500, 500))
    house.write("a.yml", BAD)
    (house.source / "gone.yml").unlink()
    house.restart()
    assert house.addresses() == {"a.yml.json": ["n1:9400"]}
    assert house.metric(catalogue.FILE_LAST_SUCCESS.name, file="a.yml") == [500]


def test_what_others_put_into_the_published_folder_is_left_alone(house: House) -> None:
    house.published.mkdir()
    (house.published / "mine.json").write_text("[]")
    house.keeper.start()
    house.settle()
    assert house.addresses() == {"mine.json": []}


def test_of_two_files_with_an_address_the_later_is_wrong(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    house.write("b.yml", "- targets: [n1:9400]\n- targets: [n2:9400]\n")
    house.keeper.start()
    house.write("a.yml", "# new\n- targets: [N1:9400]\n")
    house.settle()
    assert house.addresses() == {"a.yml.json": ["N1:9400"], "b.yml.json": ["n2:9400"]}
    assert "b.yml:1: n1:9400 is already a target at a.yml:2; keep it in one file" in caplog.text
    (house.source / "a.yml").unlink()
    house.settle()
    assert house.addresses() == {"b.yml.json": ["n1:9400", "n2:9400"]}


def test_a_link_is_followed(house: House, tmp_path: Path) -> None:
    first, second = tmp_path / "1", tmp_path / "2"
    first.write_text(GOOD)
    second.write_text("- targets: [n2:9400]\n")
    link = house.source / "a.yml"
    link.symlink_to(first)
    house.keeper.start()
    link.unlink()
    link.symlink_to(second)
    house.settle()
    assert house.addresses() == {"a.yml.json": ["n2:9400"]}


def test_what_cannot_be_read_keeps_its_last_good_version(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    house.write("a.yml", GOOD)
    house.keeper.start()
    (house.source / "a.yml").unlink()
    (house.source / "a.yml").symlink_to("nowhere")
    (house.source / "folder.yml").mkdir()
    os.mkfifo(house.source / "pipe.yml")
    house.settle()
    assert house.addresses() == {"a.yml.json": ["n1:9400"]}
    for reason in ("No such file", "Is a directory", "not a regular file"):
        assert reason in caplog.text


def test_a_folder_that_vanishes_takes_nothing_along(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    house.write("a.yml", GOOD)
    house.keeper.start()
    house.source.rename(house.source.with_name("away"))
    house.settle()
    house.settle()
    assert house.addresses() == {"a.yml.json": ["n1:9400"]}
    assert house.metric(catalogue.PUBLISH_ERRORS.name) == [4]
    assert caplog.text.count("what was published stays") == 1
    house.source.with_name("away").rename(house.source)
    house.settle()
    assert house.metric(catalogue.PUBLISH_ERRORS.name) == [4]


def test_what_cannot_be_written_is_tried_again(
    house: House, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    house.keeper.start()
    house.write("a.yml", GOOD)

    def full(self: Path, target: Path) -> Path:
        raise OSError(28, "No space left on device", str(self))

    with monkeypatch.context() as patched:
        patched.setattr(Path, "replace", full)
        house.settle()
    assert house.addresses() == {}
    assert house.metric(catalogue.PUBLISH_ERRORS.name) == [1]
    house.keeper.check()
    assert house.addresses() == {"a.yml.json": ["n1:9400"]}
    house.keeper.check()
    assert caplog.text.count(f"{house.source}: can be looked after again") == 1


def test_readers_never_see_a_half_written_file(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.write("a.yml", GOOD)
    house.keeper.start()
    seen: list[str] = []
    monkeypatch.setattr(
        os, "fsync", lambda _: seen.append((house.published / "a.yml.json").read_text())
    )
    before = (house.published / "a.yml.json").read_text()
    house.write("a.yml", "- targets: [n1:9400, n2:9400]\n")
    house.settle()
    # Synced while the old one is still in place, then the folder with the new one in it.
    assert seen == [before, (house.published / "a.yml.json").read_text()]


def test_a_damaged_published_file_is_not_used(house: House) -> None:
    house.published.mkdir()
    (house.published / "a.yml.json").write_text('[{"targets"')
    house.write("a.yml", GOOD)
    house.keeper.start()
    assert house.addresses() == {"a.yml.json": ["n1:9400"]}
