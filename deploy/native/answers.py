"""Whether something answers at a URL; the exit code tells.

usage: answers.py URL

Who speaks TLS and hangs up on us answers too: it asks for a certificate that we do not have.
"""

import ssl
import sys
import urllib.error
import urllib.request

# Whom the certificate names is for others to look at.
_TRUSTING = ssl._create_unverified_context()


def answers(url: str) -> bool:
    """Ask, for some seconds at most."""
    try:
        urllib.request.urlopen(url, timeout=5, context=_TRUSTING).close()
    except OSError as error:
        cause = error.reason if isinstance(error, urllib.error.URLError) else error
        hung_up = isinstance(cause, (ssl.SSLError, ConnectionResetError))
        return hung_up and url.startswith("https://")
    return True


if __name__ == "__main__":
    sys.exit(not answers(sys.argv[1]))
