"""Whether something answers at a URL; the exit code tells.

usage: answers.py URL [PASSWORD-FILE]

Who speaks TLS and hangs up on us answers too: it asks for a certificate that we do not have.
"""

import base64
import pathlib
import ssl
import sys
import urllib.error
import urllib.request

# Whom the certificate names is for others to look at.
_TRUSTING = ssl._create_unverified_context()


def answers(url: str, password: str = "") -> bool:
    """Ask, for some seconds at most; as the user gpuglass, if a password is given."""
    request = urllib.request.Request(url)
    if password:
        pair = base64.b64encode(f"gpuglass:{password}".encode()).decode()
        request.add_unredirected_header("Authorization", f"Basic {pair}")
    try:
        urllib.request.urlopen(request, timeout=5, context=_TRUSTING).close()
    except OSError as error:
        cause = error.reason if isinstance(error, urllib.error.URLError) else error
        hung_up = isinstance(cause, (ssl.SSLError, ConnectionResetError))
        return hung_up and url.startswith("https://")
    return True


if __name__ == "__main__":
    passwords = (pathlib.Path(file).read_text().strip() for file in sys.argv[2:])
    sys.exit(not answers(sys.argv[1], *passwords))
