"""Questions to the programs beside us, in HTTP and JSON."""

import http.client
import json
import urllib.error
import urllib.request
from typing import Any

_TIMEOUT = 10.0


class HttpError(Exception):
    """No good answer came.

    Attributes:
        status: The HTTP status of a refusal; None if nothing answered.
        reason: What is known of the cause, in one line.
    """

    def __init__(self, status: int | None, reason: str) -> None:
        super().__init__(status, reason)
        self.status = status
        self.reason = reason


def ask(
    address: str, body: Any = None, method: str | None = None, timeout: float = _TIMEOUT
) -> bytes:
    """Send one request.

    Args:
        address: The whole URL.
        body: What to send: bytes as they are, anything else as JSON; nothing if None.
        method: GET, or POST with a body, unless it is named.
        timeout: Seconds to wait at most.

    Returns:
        The body of the answer.

    Raises:
        HttpError: Nobody answers, or with a status that is no success.
    """
    as_is = body is None or isinstance(body, bytes)
    data = body if as_is else json.dumps(body).encode()
    headers = {} if as_is else {"Content-Type": "application/json"}
    request = urllib.request.Request(address, data, headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=timeout) as answer:
            return bytes(answer.read())
    except urllib.error.HTTPError as error:
        with error:
            raise HttpError(error.code, _told(error)) from None
    except (OSError, http.client.HTTPException) as error:
        cause = getattr(error, "reason", error)
        raise HttpError(None, str(getattr(cause, "strerror", None) or cause)) from None


def _told(error: urllib.error.HTTPError) -> str:
    """What the body of a refusal says, cut to one line."""
    try:
        text = error.read(2000).decode("utf-8", "replace")
    except (OSError, http.client.HTTPException):
        text = ""
    return " ".join(text.split())[:300] or str(error.reason)
