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

    class Server(http.server.ThreadingHTTPServer):
        def handle_error(self, *_: object) -> None:
            """Say nothing of a handshake that fails: the client sees it as it should."""

    server = Server(("127.0.0.1", 0), Handler)
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
