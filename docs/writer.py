"""Writes files that are built from others, or says which are not up to date."""

import argparse
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path


def main(
    description: str | None,
    texts: Mapping[Path, str],
    source: str = "the catalogue",
    there: Iterable[Path] = (),
) -> None:
    """Write the files, or with --check in the command line only say which differ.

    Args:
        description: What ``--help`` says.
        texts: The text of each file.
        source: What they are built from.
        there: The files of this kind that exist; those that nothing builds any more are removed.

    Raises:
        SystemExit: With --check, if a file is not what it should be.
    """
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--check", action="store_true", help="write nothing; fail if one differs")
    check = parser.parse_args().check
    left = [path for path in there if path not in texts]
    changed = [p for p, text in texts.items() if not p.exists() or p.read_text("utf-8") != text]
    if check and (changed or left):
        names = ", ".join(path.name for path in [*changed, *left])
        sys.exit(f"{names}: not what follows from {source}; run make docs")
    if check:
        return
    for path in changed:
        path.parent.mkdir(exist_ok=True)
        path.write_text(texts[path], "utf-8")
    for path in left:
        path.unlink()
