"""A server with a fixed answer for each path, in place of a program."""

import http.server
import ssl
import threading
import urllib.parse
from collections.abc import Iterator, Mapping
from contextlib import contextmanager


@contextmanager
def serving(
    answers: Mapping[str, str], password: str = "", tls: ssl.SSLContext | None = None
) -> Iterator[str]:
    """Its URL; what it has no answer for is not found, and without the password all is refused."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = urllib.parse.urlsplit(self.path).path
            refused = password and self.headers.get("Authorization") != password
            self.send_response(401 if refused else 200 if path in answers else 404)
            self.end_headers()
            self.wfile.write(answers.get(path, "").encode())

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    # The client sees a handshake fail as it should: this end says nothing of it.
    server.handle_error = lambda *_: None  # type: ignore[method-assign]
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
