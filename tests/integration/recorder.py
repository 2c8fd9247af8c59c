"""A door before an exporter that keeps every page which goes through it."""

import http.server
import threading
import urllib.request


class Recorder:
    """Serves an exporter's page at an address of its own and remembers each that was taken."""

    def __init__(self, target: str, port: int) -> None:
        self.address = f"127.0.0.1:{port}"
        self.pages: list[str] = []
        recorder = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                with urllib.request.urlopen(f"http://{target}{self.path}", timeout=5) as answer:
                    body, kind = answer.read(), answer.headers["Content-Type"]
                self.send_response(200)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)
                recorder.pages.append(body.decode())

            def log_message(self, *_: object) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
