"""Our base with users' receivers, judged by the real amtool, and taken by the real Alertmanager."""

import itertools
import logging
import os
import re
import shutil
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from click.testing import CliRunner
from tests.integration.alerting import SOURCE, ShippedAlertmanager
from tests.integration.answering import Answering
from tests.integration.house import PAGE, House, having
from tests.integration.stack import environment

from gpuglass.catalogue import keeper as catalogue
from gpuglass.cli.alertmanager import command
from gpuglass.keeper.receivers.check import Checker, ReceiversError
from gpuglass.keeper.receivers.compose import Base
from gpuglass.keeper.receivers.file import ReceiversFile
from gpuglass.keeper.receivers.keeper import read


def test_the_example_is_good(house: House) -> None:
    shutil.copy(SOURCE / "receivers.example.yml", house.file)
    house.keeper.start()
    assert house.is_valid
    assert house.metrics()[catalogue.RECEIVERS.name] == 3
    text = house.published.read_text()
    assert f'"smtp_auth_password_file": "{house.file.parent}/secrets/smtp"' in text


def test_without_a_file_alerts_are_only_shown(house: House) -> None:
    house.keeper.start()
    assert house.is_valid
    assert house.metrics()[catalogue.RECEIVERS.name] == 0
    assert house.receivers_of(severity="critical") == ["nobody"]


def test_what_is_published_is_for_alertmanager_alone(house: House) -> None:
    house.file.write_text(PAGE)
    house.keeper.start()
    assert stat.S_IMODE(house.published.stat().st_mode) == 0o600
    assert [path.name for path in house.published.parent.iterdir()] == ["alertmanager.yml"]


SECRET = "hunter2-verysecret"
# What is wrong with the integrations is told by amtool, of the file that was composed.
BROKEN = {
    "unknown integration": (
        "receivers:\n- name: page\n  slack_config:\n  - channel: x\n",
        '3: unknown key "slack_config"; correct or remove it',
    ),
    "unknown key": (
        "receivers:\n- name: page\n  webhook_configs:\n  - url: http://h/\n    urll: x\n",
        '5: unknown key "urll"; correct or remove it',
    ),
    "key twice": (
        "receivers:\n- name: page\n  webhook_configs:\n  - url: http://h/\n    url: http://h/\n",
        '5: "url" is there twice; keep one',
    ),
    "wrong type": (
        f"receivers:\n- name: page\n  webhook_configs:\n  - send_resolved: {SECRET}\n",
        "4: cannot unmarshal !!str a value into bool",
    ),
    "no address": (
        f"{having('ticket')}- name: page\n  webhook_configs: [{{}}]\n",
        "3: one of url or url_file must be configured",
    ),
    "bad address": (
        f"{having('ticket')}- name: page\n  webhook_configs: [{{url: 'http://h%zz/{SECRET}'}}]\n",
        "3: invalid URL: it cannot be parsed: invalid URL escape",
    ),
    "bad scheme": (
        f"receivers:\n- name: page\n  slack_configs: [{{channel: x, api_url: 'x://{SECRET}'}}]\n",
        '2: unsupported scheme "x" for URL',
    ),
    "no mail server": (
        "receivers:\n- name: page\n  email_configs: [{to: a@b.c}]\n",
        "2: no global SMTP smarthost set",
    ),
    "settings for all": (
        f"global:\n  smtp_smarthost: mail\n  smtp_auth_password: {SECRET}\n{PAGE}",
        "2: address mail: missing port in address",
    ),
    "matchers": (
        f"{PAGE}routes:\n- matchers: ['severity=~(']\n  receiver: page\n",
        "3: error parsing regexp: missing closing )",
    ),
    "time": (
        f"{PAGE}routes:\n- {{receiver: page, active_time_intervals: [night]}}\n",
        '3: undefined time interval "night" used in route',
    ),
    "duration": (
        f"{PAGE}routes:\n- receiver: page\n- receiver: page\n  group_wait: 5 minutes\n",
        '4: unknown unit " minutes" in duration "5 minutes"',
    ),
    "aliases": (
        "receivers: [{name: page, webhook_configs: [&a [1,1,1,1,1,1,1,1,1,1,1,1],"
        + "".join(
            f"&{b} [{','.join([f'*{a}'] * 12)}]," for a, b in zip("abcd", "bcde", strict=True)
        )
        + "]}]\n",
        "1: its aliases make it too large; write it out",
    ),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_file_is_told_once_and_changes_nothing(
    case: str, house: House, caplog: pytest.LogCaptureFixture
) -> None:
    text, expected = BROKEN[case]
    house.file.write_text(PAGE)
    house.keeper.start()
    before = house.published.read_bytes()
    house.write(text)
    house.settle()
    assert not house.is_valid
    assert house.published.read_bytes() == before
    assert house.metrics()[catalogue.RECEIVERS.name] == 1
    told = [r.getMessage() for r in caplog.records if r.levelno == logging.ERROR]
    told = [line for line in told if "receivers.yml" in line]
    assert len(told) == 1, told
    assert told[0].startswith(f"{house.file}:{expected}")
    assert told[0].endswith("; the last good version stays")
    # The program itself quotes the first seven characters of a value.
    assert SECRET[:7] not in caplog.text
    house.write(PAGE)
    assert house.is_valid


def test_a_file_that_was_never_good_leaves_alerts_to_be_seen(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    house.file.write_text("receivers: [{name: page}]\n")
    house.keeper.start()
    assert not house.is_valid
    assert house.receivers_of(severity="critical") == ["nobody"]
    assert "nowhere to send to" in caplog.text
    assert "until then nobody is told of alerts" in caplog.text


def test_a_change_counts_when_it_has_stayed(house: House) -> None:
    house.file.write_text(PAGE)
    house.keeper.start()
    house.file.write_text(having("ticket"))
    house.keeper.check()
    assert house.receivers_of(severity="critical") == ["page"]
    house.keeper.check()
    assert house.receivers_of(severity="critical") == ["ticket"]


def test_a_removed_file_takes_its_receivers_along(house: House) -> None:
    house.file.write_text(PAGE)
    house.keeper.start()
    house.file.unlink()
    house.settle()
    assert house.receivers_of(severity="critical") == ["nobody"]


def test_templates_are_checked_and_watched(house: House, caplog: pytest.LogCaptureFixture) -> None:
    own = house.file.with_name("own.tmpl")
    own.write_text('{{ define "own" }}{{ .Status }}{{ end }}')
    house.file.write_text(PAGE + "templates: ['*.tmpl']\n")
    house.keeper.start()
    assert house.is_valid
    own.write_text('{{ define "own" }}{{ .Status | nonsense }}{{ end }}')
    house.settle()
    assert not house.is_valid
    assert f'{house.file}:2: template: own.tmpl:1: function "nonsense" not defined' in caplog.text


def test_a_new_template_that_is_broken_is_watched_too(house: House) -> None:
    house.file.write_text(PAGE)
    house.keeper.start()
    own = house.file.with_name("own.tmpl")
    own.write_text('{{ define "own" }}{{ .Status | nonsense }}{{ end }}')
    house.write(PAGE + "templates: ['own.tmpl']\n")
    assert not house.is_valid
    own.write_text('{{ define "own" }}{{ .Status }}{{ end }}')
    house.settle()
    assert house.is_valid


def test_a_pattern_of_templates_is_alertmanagers(house: House) -> None:
    # It takes two stars for one, and so does not look into folders.
    deep = house.file.parent / "deep"
    deep.mkdir()
    (deep / "own.tmpl").write_text('{{ define "own" }}{{ .Status | nonsense }}{{ end }}')
    own = house.file.with_name("own.tmpl")
    own.write_text('{{ define "own" }}{{ .Status }}{{ end }}')
    house.file.write_text(PAGE + "templates: ['**.tmpl']\n")
    house.keeper.start()
    assert house.is_valid
    own.write_text('{{ define "own" }}{{ .Status | nonsense }}{{ end }}')
    house.settle()
    assert not house.is_valid


def test_an_edit_during_the_check_is_not_lost(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.file.write_text(PAGE)
    house.keeper.start()
    check = Checker.configuration

    def edited(self: Checker, base: Base, users: ReceiversFile) -> bytes:
        monkeypatch.undo()
        house.file.write_text(having("page"))
        return check(self, base, users)

    monkeypatch.setattr(Checker, "configuration", edited)
    house.write(having("ticket"))
    assert house.receivers_of(severity="critical") == ["ticket"]
    house.settle()
    assert house.receivers_of(severity="critical") == ["page"]


def test_a_search_that_takes_long_ends_with_the_file(house: House, tmp_path: Path) -> None:
    text, _ = BROKEN["bad address"]
    house.file.write_text(text)
    seconds = itertools.count(0, 30)
    slow = Checker(house.amtool, house.file.parent, tmp_path, lambda: next(seconds))
    with pytest.raises(ReceiversError) as caught:
        slow.configuration(*read(house.file))
    assert [problem.line for problem in caught.value.problems] == [1]


def test_what_cannot_be_checked_is_not_valid(house: House) -> None:
    house.file.write_text(PAGE)
    house.keeper.start()
    away = house.file.parent.rename(house.file.parent.with_name("away"))
    house.settle()
    assert not house.is_valid
    assert house.receivers_of(severity="critical") == ["page"]
    # As it was, to the last time stamp: it is good all the same.
    away.rename(house.file.parent)
    house.settle()
    assert house.is_valid


def test_without_amtool_nothing_is_published(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    house = House(tmp_path, tmp_path / "nowhere", tmp_path / "published", "http://127.0.0.1:9")
    house.keeper.start()
    house.keeper.check()
    assert not house.published.exists()
    assert house.metrics()[f"{catalogue.RECEIVERS_ERRORS.name}"] == 2
    assert caplog.text.count("cannot be run (No such file or directory); it comes with") == 1


def test_our_base_has_to_be_whole(house: House, caplog: pytest.LogCaptureFixture) -> None:
    house.keeper.start()
    base = house.file.with_name("base.yml")
    base.write_text(base.read_text().replace("group_wait: 5s", "group_waits: 5s"))
    house.settle()
    assert re.search(r'base\.yml:\d+: unknown key "group_waits"', caplog.text)
    base.unlink()
    house.settle()
    assert "base.yml: No such file or directory; it belongs beside" in caplog.text
    assert house.receivers_of(severity="critical") == ["nobody"]


def run_check(*arguments: str, path: str, **more: str) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-m", "gpuglass", "alertmanager", "check", *arguments],
        env=environment(PATH=path, **more),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=60,
        check=False,
    )
    return done.returncode, done.stdout


def test_the_command_says_what_the_keeper_would(house: House, components: Path) -> None:
    path, file = f"{components}:/usr/bin", str(house.file)
    house.file.write_text(PAGE)
    assert run_check(file, path=path) == (0, f"{file}: ok, page\n")
    text, expected = BROKEN["unknown key"]
    house.file.write_text(text)
    assert run_check(file, path=path) == (1, f"{file}:{expected}\n")
    house.file.unlink()
    code, output = run_check(file, path=path)
    assert (code, "there is no such file" in output) == (2, True)


def test_the_command_takes_its_settings_from_the_environment(
    house: House, components: Path
) -> None:
    house.file.write_text(PAGE)
    amtool = {"GPUGLASS_ALERTMANAGER_AMTOOL_PATH": str(components / "amtool")}
    assert run_check(str(house.file), path="/usr/bin", **amtool)[0] == 0
    code, output = run_check(str(house.file), path="/usr/bin")
    assert (code, "amtool cannot be run" in output) == (1, True)


def test_the_command_without_room_for_its_candidate_is_one_line(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.file.write_text(PAGE)
    monkeypatch.setattr(tempfile, "tempdir", str(house.file.parent / "none"))
    refused = CliRunner().invoke(command, ["check", str(house.file)])
    assert refused.exit_code == 1
    assert refused.output.endswith("No such file or directory; the check needs a temporary file\n")


def test_what_cannot_be_read_is_no_receivers_file(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    house.file.write_text(PAGE)
    house.keeper.start()
    house.file.unlink()
    house.file.symlink_to("nowhere")
    house.settle()
    assert f"{house.file}:1: cannot be read (No such file or directory)" in caplog.text
    house.file.unlink()
    os.mkfifo(house.file)
    house.settle()
    assert f"{house.file}:1: not a regular file" in caplog.text
    assert not house.is_valid
    assert house.receivers_of(severity="critical") == ["page"]


@pytest.mark.parametrize(
    ("status", "body"),
    [(503, "down for maintenance"), (500, "internal"), (404, "no such page"), (403, "forbidden")],
)
def test_what_a_proxy_answers_is_no_refusal(
    status: int, body: str, tmp_path: Path, components: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with Answering() as proxy:
        house = House(tmp_path, components, tmp_path / "published", proxy.url)
        house.file.write_text(PAGE)
        house.keeper.start()
        assert house.metrics()[catalogue.RECEIVERS_TAKEN.name] == 1
        proxy.answer = (status, body)
        house.write(having("ticket"))
        assert house.is_valid
        assert house.receivers_of(severity="critical") == ["ticket"]
        assert house.metrics()[catalogue.RECEIVERS_TAKEN.name] == 0
        assert f"{proxy.url}/-/reload: HTTP {status}: {body}; it is asked again" in caplog.text
        proxy.answer = (200, "")
        house.keeper.check()
        assert house.metrics()[catalogue.RECEIVERS_TAKEN.name] == 1


@pytest.mark.parametrize("length", range(250, 330, 8))
def test_a_secret_is_not_told_where_a_message_is_cut(
    length: int, tmp_path: Path, components: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with Answering() as proxy:
        house = House(tmp_path, components, tmp_path / "published", proxy.url)
        house.file.write_text(PAGE)
        house.keeper.start()
        text = 'failed to reload config: parse "https://hooks/'
        text += "x" * (length - len(text)) + SECRET + "y" * 100 + '": bad'
        proxy.answer = (500, text)
        house.write(having("ticket"))
        assert "Alertmanager refuses it: failed to reload config: it cannot be" in caplog.text
        assert SECRET[:4] not in caplog.text
        assert "hooks" not in caplog.text


def test_alertmanager_takes_what_is_published(
    alertmanager: tuple[ShippedAlertmanager, House], caplog: pytest.LogCaptureFixture
) -> None:
    running, house = alertmanager
    house.keeper.check()
    assert house.metrics()[catalogue.RECEIVERS_TAKEN.name] == 1
    house.write(having("page", "ticket"))
    assert "ticket" in running.running
    assert house.metrics()[catalogue.RECEIVERS.name] == 2


def test_what_alertmanager_refuses_is_taken_back(
    alertmanager: tuple[ShippedAlertmanager, House], caplog: pytest.LogCaptureFixture
) -> None:
    running, house = alertmanager
    house.write(having("page", "ticket"))
    content = house.published.read_bytes()
    # The checker does not look for this file.
    house.write(
        "receivers:\n- name: page\n  webhook_configs:\n"
        "  - {url: 'https://h/', http_config: {tls_config: {ca_file: no.pem}}}\n"
    )
    assert not house.is_valid
    assert f"{house.file}: Alertmanager refuses it: failed to reload config: " in caplog.text
    assert f"open {house.file.parent}/no.pem: no such file" in caplog.text
    # It would not start with the refused one.
    assert house.published.read_bytes() == content
    running.stop()
    running.start()
    assert "ticket" in running.running
    values = house.metrics()
    assert (values[catalogue.RECEIVERS.name], values[catalogue.RECEIVERS_TAKEN.name]) == (2, 1)
    house.write(PAGE)
    assert house.is_valid
    assert "ticket" not in running.running


CERTIFICATE = """\
-----BEGIN CERTIFICATE-----
MIIBdTCCARugAwIBAgIUe7ak782NcMuFcBc6FX0XsriRTtcwCgYIKoZIzj0EAwIw
DzENMAsGA1UEAwwEdGVzdDAgFw0yNjExMjExODM2NDZaGA8yMTI2MTAyODE4MzY0
NlowDzENMAsGA1UEAwwEdGVzdDBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABNMN
RVT6QEAeH9fgO9SsKoHZY2c/O4krpsXDZtF3vDZCYxF9vYvUJca2iADIMeRUy/9/
Na2rnZ7ae9uAKm2Sx0OjUzBRMB0GA1UdDgQWBBSitfwzmg+P6jYHvUbFAqJzh/5Z
zjAfBgNVHSMEGDAWgBSitfwzmg+P6jYHvUbFAqJzh/5ZzjAPBgNVHRMBAf8EBTAD
AQH/MAoGCCqGSM49BAMCA0gAMEUCIQDLdgCvj/7Ca+MHhx3GJPOTUoeuYguOCIoi
WPtWL6IRVQIgFRP4+LMQYFmJjuqTeN7O6lloSl+5gqYDBrJJhsuHx9s=
-----END CERTIFICATE-----
"""


def test_what_alertmanager_refused_is_offered_again(
    alertmanager: tuple[ShippedAlertmanager, House], caplog: pytest.LogCaptureFixture
) -> None:
    running, house = alertmanager
    house.write(PAGE)
    content = house.published.read_bytes()
    house.write(
        "receivers:\n- name: ticket\n  webhook_configs:\n"
        "  - {url: 'https://h/', http_config: {tls_config: {ca_file: late.pem}}}\n"
    )
    assert not house.is_valid
    house.skipped += 301
    house.settle()
    assert not house.is_valid
    assert house.published.read_bytes() == content
    assert caplog.text.count("Alertmanager refuses it") == 1
    house.file.with_name("late.pem").write_text(CERTIFICATE)
    house.settle()
    assert not house.is_valid
    # While it does not answer, it must be able to start.
    running.stop()
    house.skipped += 301
    house.keeper.check()
    assert house.published.read_bytes() == content
    running.start()
    house.skipped += 301
    house.keeper.check()
    assert house.is_valid
    assert "ticket" in running.running
    assert house.metrics()[catalogue.RECEIVERS_TAKEN.name] == 1
