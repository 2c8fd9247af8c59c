"""A registry from which engines pull as they would from the real one.

What it has are files in a folder:

    blobs/HEX             configurations, layers and manifests by their SHA-256
    manifests/NAME/TAG    the digest of a manifest

Layers are not compressed: nothing here goes over a wire that is slower than a processor.
"""

import hashlib
import http.server
import json
import platform
import shutil
import tarfile
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import IO, Any

_KIND = "application/vnd.docker.distribution.manifest.v2+json"
_KIND_OF_CONFIG = "application/vnd.docker.container.image.v1+json"
_KIND_OF_LAYER = "application/vnd.docker.image.rootfs.diff.tar"
_ARCHITECTURE = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())


class Store:
    """The images in a folder, which several processes may use at once."""

    def __init__(self, folder: Path) -> None:
        self._blobs, self._manifests = folder / "blobs", folder / "manifests"
        self._blobs.mkdir(parents=True, exist_ok=True)

    def put(self, image: str, layer: Path, settings: Mapping[str, Any]) -> None:
        """Take an image of one layer, a tar archive; ``settings`` are its configuration's."""
        with layer.open("rb") as file:
            blob = self._keep(file)
        config = {
            "architecture": _ARCHITECTURE,
            "os": "linux",
            "config": settings,
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{blob}"]},
            "history": [{"created": "2024-01-01T00:00:00Z"}],
            "created": "2024-01-01T00:00:00Z",
        }
        self._name(image, self._keep_bytes(json.dumps(config).encode()), [blob])

    def load(self, archive: Path, names: Mapping[str, str]) -> None:
        """Take images out of what ``docker save`` wrote.

        Args:
            archive: The file.
            names: How each image is called that is in it, and how it is to be called here.
        """
        with tarfile.open(archive) as tar:

            def blob(member: str) -> str:
                file = tar.extractfile(member)
                assert file, f"{archive}: {member} is no file"
                return self._keep(file)

            listing = tar.extractfile("manifest.json")
            assert listing, f"{archive} was not written by docker save"
            for entry in json.load(listing):
                for name in set(entry["RepoTags"]) & names.keys():
                    self._name(names[name], blob(entry["Config"]), list(map(blob, entry["Layers"])))

    def manifest(self, name: str, reference: str) -> Path | None:
        """The file of a manifest by its tag or digest, if it is here."""
        if reference.startswith("sha256:"):
            return self.blob(reference)
        tag = self._manifests / name / reference
        return self.blob(tag.read_text()) if tag.is_file() else None

    def blob(self, digest: str) -> Path | None:
        """The file of a blob, if it is here."""
        path = self._blobs / digest.removeprefix("sha256:")
        return path if path.is_file() else None

    def _name(self, image: str, config: str, layers: Sequence[str]) -> None:
        manifest = {
            "schemaVersion": 2,
            "mediaType": _KIND,
            "config": self._described(config, _KIND_OF_CONFIG),
            "layers": [self._described(layer, _KIND_OF_LAYER) for layer in layers],
        }
        digest = self._keep_bytes(json.dumps(manifest).encode())
        name, _, tag = image.rpartition(":")
        file = self._manifests / (name if "/" in name else f"library/{name}") / tag
        file.parent.mkdir(parents=True, exist_ok=True)
        file.with_suffix(".part").write_text(f"sha256:{digest}")
        file.with_suffix(".part").replace(file)

    def _described(self, digest: str, kind: str) -> dict[str, Any]:
        size = (self._blobs / digest).stat().st_size
        return {"mediaType": kind, "size": size, "digest": f"sha256:{digest}"}

    def _keep_bytes(self, content: bytes) -> str:
        digest = hashlib.sha256(content).hexdigest()
        (self._blobs / digest).write_bytes(content)
        return digest

    def _keep(self, source: IO[bytes]) -> str:
        """Copy a file, unless its content is here."""
        hashed = hashlib.sha256()
        while chunk := source.read(1 << 20):
            hashed.update(chunk)
        digest = hashed.hexdigest()
        if not (self._blobs / digest).exists():
            source.seek(0)
            part = self._blobs / f"{digest}.{threading.get_ident()}.part"
            with part.open("wb") as file:
                shutil.copyfileobj(source, file, 1 << 20)
            part.replace(self._blobs / digest)
        return digest


class Registry:
    """Serves a store over HTTP until it is closed.

    Args:
        host: The address to listen on.
        store: What is served.
    """

    def __init__(self, host: str, store: Store) -> None:
        handler = type("Handler", (_Handler,), {"store": store})
        self._server = http.server.ThreadingHTTPServer((host, 0), handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()
        self.address = f"{host}:{self._server.server_port}"

    def close(self) -> None:
        """Serve no more."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Handler(http.server.BaseHTTPRequestHandler):
    """Answers what is asked by who pulls."""

    protocol_version = "HTTP/1.1"
    # Who tries TLS first knows by an answer of HTTP that there is none.
    default_request_version = protocol_version
    store: Store

    def do_GET(self) -> None:
        if self.path == "/v2/":
            self._begin("application/json", 2)
            self.wfile.write(b"{}")
            return
        found, kind = self._asked()
        if found is None:
            self.send_error(404)
            return
        self._begin(kind, found.stat().st_size, {"Docker-Content-Digest": f"sha256:{found.name}"})
        if self.command == "GET":
            with found.open("rb") as content:
                shutil.copyfileobj(content, self.wfile, 1 << 20)

    do_HEAD = do_GET  # noqa: N815

    def _begin(self, kind: str, size: int, more: Mapping[str, str] = MappingProxyType({})) -> None:
        self.send_response(200)
        headers = {"Docker-Distribution-API-Version": "registry/2.0", **more}
        for name, value in {**headers, "Content-Type": kind, "Content-Length": size}.items():
            self.send_header(name, str(value))
        self.end_headers()

    def _asked(self) -> tuple[Path | None, str]:
        """The file that is asked for, if it is here, and its kind."""
        parts = self.path.partition("?")[0].split("/")
        name, what, reference = "/".join(parts[2:-2]), parts[-2], parts[-1]
        if what == "manifests":
            return self.store.manifest(name, reference), _KIND
        return (self.store.blob(reference) if what == "blobs" else None), "application/octet-stream"

    def log_message(self, *_: object) -> None:
        pass
