"""What vmagent tells of what it pushes."""

import base64
import re
import urllib.request
from dataclasses import dataclass
from pathlib import Path

_SECONDS = 5.0
_MOST = 1 << 22
_TAKEN = r'vmagent_remotewrite_requests_total\{[^}]*status_code="2[^}]*\}'
_PENDING = r"vmagent_remotewrite_pending_data_bytes(?:\{.*\})?"
_DROPPED = r"vm_persistentqueue_bytes_dropped_total(?:\{.*\})?"


@dataclass(frozen=True)
class Queue:
    """How vmagent does.

    Attributes:
        taken: How many of its messages the host has taken since vmagent started.
        pending: How many bytes wait.
        dropped: How many bytes it threw away because the queue was full; None if it does not tell.
    """

    taken: float
    pending: float | None
    dropped: float | None


def ask(url: str, folder: Path) -> Queue | None:
    """Ask vmagent; None while it does not answer.

    Args:
        url: Where it is, without a path.
        folder: What this worker was given: its token is vmagent's password, too.
    """
    try:
        request = urllib.request.Request(f"{url}/metrics")
        request.add_unredirected_header("Authorization", login(folder))
        with urllib.request.urlopen(request, timeout=_SECONDS) as answer:
            page = answer.read(_MOST).decode("utf-8", "replace")
    except (OSError, ValueError):
        return None
    return Queue(_sum(_TAKEN, page) or 0.0, _sum(_PENDING, page), _sum(_DROPPED, page))


def login(folder: Path) -> str:
    """What a request to vmagent says of who we are.

    Raises:
        OSError: The token cannot be read.
    """
    pair = b"gpuglass:" + (folder / "token").read_bytes().strip()
    return f"Basic {base64.b64encode(pair).decode()}"


def _sum(name: str, page: str) -> float | None:
    values = re.findall(rf"^{name} (\S+)$", page, re.MULTILINE)
    return sum(map(float, values)) if values else None
