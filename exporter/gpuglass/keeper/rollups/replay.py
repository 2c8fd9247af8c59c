"""Runs ``vmalert -replay`` over some windows, and learns whether all of them arrived."""

import json
import re
import subprocess
import tempfile
import threading
from datetime import datetime, timezone
from pathlib import Path
from typing import IO
from urllib.parse import quote

from gpuglass.keeper.http import Login
from gpuglass.keeper.rollups.plan import RULES, SCRAPE, Replay
from gpuglass.keeper.vmlog import JSON_ERRORS, troubles

_TIMEOUT = 1800.0
_GLANCE = 0.1
# What vmalert writes: its rules' results, not the node's that they speak of.
_RESULTS = "ALERTS|ALERTS_FOR_STATE|.+:.+"
_OF_KIND = {SCRAPE: f'__name__!~"{_RESULTS}"', RULES: f'__name__=~"{_RESULTS}"'}


class ReplayError(Exception):
    """Not all windows arrived in the tier; the text says why."""


class StoppedError(Exception):
    """The keeper ends; what was under way was given up."""


class Replayer:
    """Fills windows of one tier.

    Args:
        program: vmalert.
        rules: The file with the tier's rules.
        raw_url: Where the raw storage is.
        tier_url: Where the tier is.
        stop: Set when the keeper is to end.
        login: Who we are to both.
    """

    def __init__(
        self,
        program: Path,
        rules: Path,
        raw_url: str,
        tier_url: str,
        stop: threading.Event,
        login: Login | None = None,
    ) -> None:
        self._program, self._rules = program, rules
        self._raw_url, self._tier_url = raw_url.rstrip("/"), tier_url
        self._stop, self._login = stop, login

    def run(self, replay: Replay) -> None:
        """Fill the windows of one replay.

        Raises:
            ReplayError: Some may be missing.
            StoppedError: The keeper ends.
        """
        try:
            with tempfile.TemporaryFile() as log:
                status = self._vmalert(replay, log)
                trouble = next(troubles(log), "")
        except OSError as error:
            where = error.filename or self._program
            raise ReplayError(f"{where}: {error.strerror or error}") from None
        if status or trouble:
            raise ReplayError(trouble or f"{self._program.name} ended with status {status}")

    def command(self, replay: Replay) -> list[str]:
        """The command line of one replay."""
        return [
            str(self._program),
            f"-rule={self._rules}",
            f"-datasource.url={self._raw_url}/?extra_filters[]={quote(selector(replay))}",
            f"-remoteWrite.url={self._tier_url}",
            *self._logins(),
            # The next run does again what is not taken now.
            "-remoteWrite.retryMaxTime=3s",
            # In series. What does not fit is dropped.
            "-remoteWrite.maxQueueSize=500000",
            f"-replay.timeFrom={_rfc3339(replay.first)}",
            # It must be later than the beginning, also for a single window.
            f"-replay.timeTo={_rfc3339(replay.last + 1)}",
            f"-replay.maxDatapointsPerQuery={replay.windows_per_query}",
            "-replay.ruleRetryAttempts=2",
            "-replay.rulesDelay=0",
            "-replay.disableProgressBar",
            *JSON_ERRORS,
        ]

    def _logins(self) -> list[str]:
        if self._login is None:
            return []
        return [
            f"-{storage}.basicAuth.{flag}"
            for storage in ("datasource", "remoteWrite")
            for flag in (f"username={self._login.user}", f"passwordFile={self._login.file}")
        ]

    def _vmalert(self, replay: Replay, log: IO[bytes]) -> int:
        process = subprocess.Popen(
            self.command(replay), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=log
        )
        try:
            for _ in range(round(_TIMEOUT / _GLANCE)):
                try:
                    return process.wait(_GLANCE)
                except subprocess.TimeoutExpired:
                    if self._stop.is_set():
                        raise StoppedError from None
            raise ReplayError(f"no end within {_TIMEOUT:g} s; given up")
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()


def selector(replay: Replay) -> str:
    """The series of a replay, as a filter beside those of the rules."""
    if replay.kind == RULES:
        return f"{{{_OF_KIND[RULES]}}}"
    alternatives = "|".join(re.escape(node) for node in replay.nodes)
    node = f"node=~{json.dumps(alternatives)}" if alternatives else 'node=""'
    return f"{{{node},{_OF_KIND[replay.kind]}}}"


def _rfc3339(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
