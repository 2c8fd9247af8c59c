"""The password of the monitoring host's programs, made once for an installation.

    python -m gpuglass.keeper.passwords FOLDER

A folder that its owner alone may enter gets, unless they are there:

    password            of the user ``gpuglass``: VictoriaMetrics, vmagent, vmalert ask for it
    alertmanager.yml    the same for Alertmanager, which wants a hash of it in a web configuration
"""

import re
import secrets
import sys
from pathlib import Path

from gpuglass.keeper.lock import locked
from gpuglass.text.files import replace

USER = "gpuglass"
_COST = 10
# bcrypt looks at no more of it, and Grafana takes what follows a dollar for a variable's name.
_PASSWORD = re.compile(rb"[!-#%-~]{1,72}")


class PasswordError(Exception):
    """The password cannot serve; the text says why and what to do."""


def prepare(folder: Path) -> None:
    """Make what is missing.

    Args:
        folder: Where it belongs.

    Raises:
        PasswordError: There is a password that will not do.
        OSError: The folder cannot be read or written.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    file, web = folder / "password", folder / "alertmanager.yml"
    with locked(folder):
        if not file.exists():
            replace(file, f"{secrets.token_urlsafe(24)}\n".encode(), 0o600)
        password = file.read_bytes().rstrip()
        if not _PASSWORD.fullmatch(password):
            raise PasswordError(
                f"{file}: a password has 1 to 72 of ASCII's visible characters, and no $; "
                "write such a one, or remove the file, and a new one is made"
            )
        if not _is_hashed(password, web):
            content = f'basic_auth_users:\n  {USER}: "{hashed(password)}"\n'
            replace(web, content.encode(), 0o600)


def hashed(password: bytes) -> str:
    """The bcrypt hash of a password, as web configurations have it."""
    import bcrypt

    return bcrypt.hashpw(password, bcrypt.gensalt(_COST)).decode()


def _is_hashed(password: bytes, web: Path) -> bool:
    import bcrypt

    try:
        found = re.search(rb'"(\$2[^"]+)"', web.read_bytes())
        return found is not None and bcrypt.checkpw(password, found[1])
    except (FileNotFoundError, ValueError):
        return False


def main() -> None:
    """Make what is missing in the folder that the command line names; 1 if that fails."""
    try:
        prepare(Path(sys.argv[1]))
    except PasswordError as error:
        sys.exit(f"error: {error}")
    except OSError as error:
        sys.exit(f"error: {error.filename or sys.argv[1]}: {error.strerror or error}")


if __name__ == "__main__":
    main()
