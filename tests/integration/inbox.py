"""Where messages arrive: a server for webhooks that keeps what it is sent."""

import http.server
import json
import threading
import time
from typing import Any, NamedTuple

from tests.ports import free_port


class Message(NamedTuple):
    """One message: when it came, to which path, and what it says."""

    time: float
    path: str
    body: dict[str, Any]

    @property
    def alerts(self) -> dict[str, dict[str, Any]]:
        """The alerts of a webhook's message by their names."""
        return {alert["labels"]["alertname"]: alert for alert in self.body["alerts"]}


class Inbox:
    """Takes every message, and answers that it did."""

    def __init__(self, host: str = "127.0.0.1") -> None:
        self.messages: list[Message] = []
        inbox = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                inbox.messages.append(Message(time.time(), self.path, json.loads(body)))
                self.send_response(200)
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"ok")

            def log_message(self, *_: object) -> None:
                pass

        port = free_port()
        self.url = f"http://{host}:{port}"
        self._server = http.server.ThreadingHTTPServer((host, port), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()

    def to(self, path: str) -> list[Message]:
        """What came to a path, oldest first."""
        return [message for message in self.messages if message.path == path]

    def with_alert(self, path: str, name: str, status: str = "firing") -> Message | None:
        """The first message to a path in which an alert has this status."""
        for message in self.to(path):
            alert = message.alerts.get(name)
            if alert and alert["status"] == status:
                return message
        return None

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
