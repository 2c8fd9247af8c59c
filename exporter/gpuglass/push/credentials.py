"""What a worker is given to push with: one text, and the files that it becomes.

node: pod1
token: ...
ca: |
    -----BEGIN CERTIFICATE-----
    ...
"""

import re
import ssl
from dataclasses import dataclass, field
from pathlib import Path

from gpuglass.text import document
from gpuglass.text.document import Mapping, Scalar
from gpuglass.text.files import read_bytes, replace

# The name in the certificate of each monitoring host's door, whatever the address it is reached by:
# workers trust one CA alone, and it signs no other certificate with this name.
HOST_NAME = "push.gpuglass.internal"
MOST = 1 << 16
_TOKEN = re.compile(r"[A-Za-z0-9_-]{32,128}")
_KEYS = ("node", "token", "ca")
_HOW = "give what gpuglass workers add printed on the monitoring host"


class CredentialsError(Exception):
    """It is not what a worker is given; the text says why and what to do."""


@dataclass(frozen=True)
class Credentials:
    """What a worker pushes with.

    Attributes:
        node: Its name on the monitoring host.
        token: By which it is known there.
        ca: The certificate by which it knows the host, as PEM.
    """

    node: str
    token: str = field(repr=False)
    ca: str

    def context(self) -> ssl.SSLContext:
        """How to trust the host, and nobody else.

        Raises:
            CredentialsError: The certificate is none.
        """
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        try:
            context.load_verify_locations(cadata=self.ca)
        except (ssl.SSLError, ValueError):
            raise CredentialsError(f"its ca is no certificate; {_HOW}") from None
        return context


def text(credentials: Credentials) -> str:
    """Credentials as they are handed over."""
    ca = "".join(f"    {line}\n" for line in credentials.ca.splitlines())
    return (
        f"# {credentials.node} pushes with this; let nobody else read it.\n"
        f"node: {credentials.node}\ntoken: {credentials.token!r}\nca: |\n{ca}"
    )


def parse(content: bytes) -> Credentials:
    """Read credentials.

    Raises:
        CredentialsError: They are none.
    """
    try:
        root = document.load(document.decode(content))
    except document.DocumentError as error:
        raise CredentialsError(f"line {error.line}: {error.what}") from None
    if not isinstance(root, Mapping):
        raise CredentialsError(f"it holds no credentials; {_HOW}")
    found = {key.text: value.text for key, value in root.pairs if isinstance(value, Scalar)}
    missing = [key for key in _KEYS if not found.get(key)]
    if missing:
        raise CredentialsError(f"it has no {missing[0]}; {_HOW}")
    if not _TOKEN.fullmatch(found["token"]):
        raise CredentialsError(f"its token is cut off or none; {_HOW}")
    credentials = Credentials(found["node"], found["token"], found["ca"])
    credentials.context()
    return credentials


def store(credentials: Credentials, folder: Path) -> None:
    """Write the files that vmagent reads, for their owner alone.

    Raises:
        OSError: They cannot be written.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for name, content in (
        ("ca.crt", credentials.ca),
        ("node", credentials.node),
        ("token", credentials.token),
    ):
        replace(folder / name, content.encode(), 0o600)


def load(folder: Path) -> Credentials:
    """Read those files.

    Raises:
        OSError: One is missing or cannot be read.
    """
    node, token, ca = (
        read_bytes(folder / name, MOST).decode("utf-8", "replace")
        for name in ("node", "token", "ca.crt")
    )
    return Credentials(node.strip(), token.strip(), ca)
