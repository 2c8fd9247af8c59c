"""Which format and encoding a client gets."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpuglass.web import negotiation

PROMETHEUS_3 = (
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
    "application/openmetrics-text;version=0.0.1;q=0.5,"
    "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
)
PROMETHEUS_2 = (
    "application/openmetrics-text; version=1.0.0,application/openmetrics-text; version=0.0.1;"
    "q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
)
VMAGENT = "text/plain;version=0.0.4;q=1,*/*;q=0.1"


@pytest.mark.parametrize(
    ("accept", "openmetrics"),
    [
        ("", False),
        ("*/*", False),
        ("text/plain", False),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", False),
        ("application/openmetrics-text", True),
        ("application/openmetrics-text; version=1.0.0", True),
        ("application/openmetrics-text;version=1.0.0; charset=utf-8", True),
        ("Application/OpenMetrics-Text;Version=1.0.0", True),
        ("application/openmetrics-text; version=0.0.1", False),
        ("application/openmetrics-text; version=2.0.0", False),
        ("application/openmetrics-text; version=many", False),
        ("application/openmetrics-text;q=0", False),
        ("application/openmetrics-text;q=many", False),
        ("application/openmetrics-text;q=0.1,text/plain;q=0.9", False),
        ("application/openmetrics-text;q=0.9,text/plain;q=0.1", True),
        ("application/json", False),
        (";;;,,,", False),
        (PROMETHEUS_3, True),
        (PROMETHEUS_2, True),
        (VMAGENT, False),
    ],
)
def test_format(accept: str, openmetrics: bool) -> None:
    assert negotiation.openmetrics(accept) is openmetrics


@pytest.mark.parametrize(
    ("accept_encoding", "gzip"),
    [
        ("", False),
        ("gzip", True),
        ("GZIP", True),
        ("deflate, gzip;q=0.5, br", True),
        ("gzip;q=0", False),
        ("gzip; q=0.0, deflate", False),
        ("gzip;q=1.0, identity; q=0.5, *;q=0", True),
        ("identity", False),
        ("notgzip", False),
    ],
)
def test_encoding(accept_encoding: str, gzip: bool) -> None:
    assert negotiation.gzip(accept_encoding) is gzip


@given(st.text())
def test_any_header_gets_an_answer(header: str) -> None:
    assert negotiation.openmetrics(header) in (True, False)
    assert negotiation.gzip(header) in (True, False)
