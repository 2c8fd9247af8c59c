"""What is said of a user's file that cannot be read."""

import os
import pathlib

import pytest

from gpuglass.keeper import folder

REMEDY = f"cannot be read (Permission denied); let uid {os.geteuid()} read it, or remove the file"


def test_who_may_not_read_it_is_named(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> bytes:
        """As it is closed to all but root."""
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("gpuglass.keeper.folder.read_bytes", refuse)
    assert str(folder.read(tmp_path / "x.yml", "x.yml")) == f"x.yml:1: {REMEDY}"
