"""Alerts as they are named on the command line."""

import difflib
from collections.abc import Sequence
from dataclasses import dataclass

import click

_MOST = 5


@dataclass(frozen=True)
class NamedAlert:
    """An alert by its id, the fingerprint of its labels."""

    id: str
    labels: dict[str, str]

    @property
    def path(self) -> str:
        """Its name, node and GPU, as far as it has them."""
        return "/".join(self.labels[n] for n in ("alertname", "node", "gpu") if n in self.labels)

    @property
    def title(self) -> str:
        """What it is called in messages."""
        return f"{self.path} ({self.id[:8]})"


def find(word: str, alerts: Sequence[NamedAlert], state: str) -> NamedAlert:
    """The one alert that a word means.

    Args:
        word: The beginning of an id, or NAME, NAME/NODE or NAME/NODE/GPU.
        alerts: Those that it may mean.
        state: What they have in common, for messages: "fires now".

    Raises:
        click.ClickException: It means none of them, or several.
    """
    found = _by_name(word, alerts) or [alert for alert in alerts if alert.id.startswith(word)]
    if len(found) == 1:
        return found[0]
    if found:
        some = ", ".join(sorted(alert.title for alert in found)[:_MOST])
        more = ", ..." if found[_MOST:] else ""
        raise click.ClickException(f"{word}: {len(found)} alerts are that: {some}{more}; say which")
    names = {alert.path if "/" in word else alert.labels.get("alertname", "") for alert in alerts}
    near = difflib.get_close_matches(word, names, 1)
    hint = f"did you mean {near[0]}?" if near else "see gpuglass alerts list"
    raise click.ClickException(f"{word}: no such alert {state}; {hint}")


def _by_name(word: str, alerts: Sequence[NamedAlert]) -> list[NamedAlert]:
    wanted = word.split("/")
    return [
        alert
        for alert in alerts
        if wanted == [alert.labels.get(n, "") for n in ("alertname", "node", "gpu")[: len(wanted)]]
    ]
