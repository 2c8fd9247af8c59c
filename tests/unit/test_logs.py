"""A log record is one line, for people and for machines."""

import json
import logging
import re
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gpuglass.cli import logs

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


@pytest.fixture(autouse=True)
def _root_as_before() -> object:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


def written(format: str, capsys: pytest.CaptureFixture[str], message: str, **more: Any) -> str:
    capsys.readouterr()
    logs.configure("debug", format)
    logging.getLogger("gpuglass.test").warning(message, **more)
    return capsys.readouterr().err


fixture_is_fine = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


@fixture_is_fine
@given(message=st.text())
def test_json_is_one_valid_line(message: str, capsys: pytest.CaptureFixture[str]) -> None:
    line = written("json", capsys, message.replace("%", ""))
    assert line.endswith("\n")
    assert len(line.splitlines()) == 1
    record = json.loads(line)
    assert record.keys() == {"ts", "level", "msg"}
    assert TIME.fullmatch(record["ts"])
    assert record["level"] == "warn"


@fixture_is_fine
@given(message=st.text())
def test_logfmt_is_one_line(message: str, capsys: pytest.CaptureFixture[str]) -> None:
    line = written("logfmt", capsys, message.replace("%", ""))
    assert len(line.splitlines()) == 1
    assert re.match(r"ts=\S+ level=warn msg=", line)


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        ("ready", "msg=ready"),
        ("two words", 'msg="two words"'),
        ('a "quote"', r'msg="a \"quote\""'),
        ("a=b", 'msg="a=b"'),
        ("back\\slash", r'msg="back\\slash"'),
        ("first\nsecond\r\nthird", 'msg="first | second | third"'),
        ("", 'msg=""'),
        ("é", "msg=é"),
    ],
)
def test_logfmt_quotes_what_needs_it(
    message: str, shown: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert written("logfmt", capsys, message).rstrip("\n").endswith(shown)


@pytest.mark.parametrize("format", logs.FORMATS)
def test_a_traceback_is_in_the_line(format: str, capsys: pytest.CaptureFixture[str]) -> None:
    try:
        raise KeyError("gone")
    except KeyError:
        line = written(format, capsys, "it failed", exc_info=True)
    assert len(line.splitlines()) == 1
    assert "it failed | Traceback" in line
    assert "KeyError: 'gone'" in line


@pytest.mark.parametrize(
    ("level", "shown"),
    [
        ("debug", ["debug", "info", "warn", "error", "error"]),
        ("info", ["info", "warn", "error", "error"]),
        ("warn", ["warn", "error", "error"]),
        ("error", ["error", "error"]),
    ],
)
def test_levels(level: str, shown: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(level, "json")
    for number in (10, 20, 30, 40, 50):
        logging.getLogger("gpuglass.test").log(number, "x")
    lines = capsys.readouterr().err.splitlines()
    assert [json.loads(line)["level"] for line in lines] == shown
