"""Grafana: its data sources and dashboards."""

import json
from typing import Any

from gpuglass.doctor.install import Install
from gpuglass.doctor.model import Finding, check, failed, ok, skipped
from gpuglass.keeper.http import HttpError, Way, ask, basic

_SOURCES = ("vm-raw", "vm-1m", "vm-1h")
_FOLDER = "gpuglass"
_RESTART = "./setup.sh --status; the log of grafana"


@check("grafana", "dashboards show nothing without their data sources")
def grafana(install: Install) -> Finding:
    """Whether Grafana has our data sources and dashboards, and the sources answer."""
    url = install.addresses.grafana
    if url is None:
        return skipped("this install has no Grafana")
    way = _way(install)
    try:
        found = _ask(f"{url}/api/search?type=dash-db&limit=5000", way)
        boards = [board for board in found if board.get("folderUid") == _FOLDER]
        if not boards:
            return failed("Grafana has none of our dashboards", _RESTART)
        for source in _SOURCES:
            wrong = _source_problem(url, source, way)
            if wrong:
                return failed(f"data source {source}: {wrong}", _RESTART)
    except HttpError as error:
        if error.status in (401, 403):
            return skipped("Grafana asks for a password that is not in --grafana.password-file")
        if error.status is None:
            raise
        return failed(f"what answers at {url} is no Grafana (HTTP {error.status})", _RESTART)
    except ValueError:
        return failed(f"what answers at {url} is no Grafana", _RESTART)
    return ok(f"{len(boards)} dashboards and {len(_SOURCES)} data sources are there")


def _way(install: Install) -> Way:
    """As Grafana's user admin, if we may read its password."""
    try:
        # Read once: it may come through a pipe.
        password = install.grafana_password and install.grafana_password.read_text().strip()
    except OSError:
        password = None
    return Way(basic("admin", password)) if password else Way()


def _source_problem(url: str, source: str, way: Way) -> str:
    try:
        _ask(f"{url}/api/datasources/uid/{source}", way)
        # Which asks VictoriaMetrics through Grafana.
        _ask(f"{url}/api/datasources/uid/{source}/resources/api/v1/labels?match[]=up", way)
    except HttpError as error:
        if error.status in (401, 403):
            raise
        return "is not there" if error.status == 404 else f"does not answer ({error.reason})"
    return ""


def _ask(url: str, way: Way) -> Any:
    return json.loads(ask(url, way=way))
