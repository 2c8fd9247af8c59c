"""vmbackup and vmrestore."""

import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from gpuglass.keeper.backup.manifest import BackupError
from gpuglass.keeper.vmlog import JSON_ERRORS, troubles

# It would listen on every address.
_UNHEARD = "-httpListenAddr=127.0.0.1:0"


class Tool:
    """One of the programs.

    Args:
        program: Its name or path.
        option: The flag that gives it, for messages.

    Raises:
        BackupError: It is not there.
    """

    def __init__(self, program: str, option: str) -> None:
        found = shutil.which(program)
        if found is None:
            raise BackupError(
                f"{option}: {program} is not there or cannot be run; run setup.sh again"
            )
        self._program = found

    def version(self) -> str:
        """Its release, such as ``v1.152.0``; empty if it does not tell."""
        told = subprocess.run(
            [self._program, "--version"], capture_output=True, text=True, check=False, timeout=30
        )
        found = re.search(r"\bv\d+\.\d+\.\d+\b", told.stdout + told.stderr)
        return found[0] if found else ""

    def run(self, *arguments: str, held: tuple[int, ...] = ()) -> None:
        """Run it to its end.

        Args:
            arguments: Its flags.
            held: Descriptors of locks, which last for as long as it runs, whatever becomes of us.

        Raises:
            BackupError: It failed.
        """
        command = [self._program, _UNHEARD, *JSON_ERRORS, *arguments]
        with tempfile.TemporaryFile() as log:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=log,
                pass_fds=held,
                umask=0o077,
            )
            try:
                status = process.wait()
            finally:
                if process.poll() is None:
                    process.kill()
                    process.wait()
            if status:
                name = Path(self._program).name
                raise BackupError(
                    f"{name}: {next(troubles(log), f'it ended with status {status}')}"
                )
