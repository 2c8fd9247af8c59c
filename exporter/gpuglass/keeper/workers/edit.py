"""Changes to the text of the list of workers that leave all the rest of it as it was. Pure."""

from collections.abc import Collection

import yaml

from gpuglass.keeper.workers.file import HEADER, Worker, WorkersFile, entry, parse
from gpuglass.text import document


class EditError(Exception):
    """The list cannot be changed; the text says why and what to do."""


def add(name: str, content: bytes, worker: Worker) -> bytes:
    """Put a worker at the end.

    Args:
        name: What to call the list in messages.
        content: What it holds; nothing if it is yet to be made.
        worker: Who is new.

    Returns:
        What it is to hold.

    Raises:
        EditError: It has a mistake, or the worker already.
    """
    before = _good(name, content)
    known = next((each for each in before.workers if each.name == worker.name), None)
    if known:
        raise EditError(
            f"{worker.name} is a worker already, on line {known.line} of {name}; "
            f"for a new token: gpuglass workers revoke {worker.name}, then add it again"
        )
    text = document.decode(content or HEADER)
    joint = "" if text.endswith("\n") else "\n"
    return _checked(name, text + joint + entry(worker), [*before.workers, worker])


def remove(name: str, content: bytes, gone: Collection[str]) -> bytes:
    """Take workers out; comments above one belong to it no more than to the one before, and stay.

    Args:
        name: What to call the list in messages.
        content: What it holds.
        gone: The names of those who leave; nobody has to be there.

    Returns:
        What it is to hold.

    Raises:
        EditError: It has a mistake, or is written in a way that this cannot change.
    """
    before = _good(name, content)
    text = document.decode(content)
    lines = text.splitlines(keepends=True)
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    if isinstance(root, yaml.MappingNode) and not root.flow_style:
        # From the end, so that what is before stays where the parser saw it.
        for key, value in reversed(root.value):
            if key.value in gone:
                del lines[key.start_mark.line : _last_line(value) + 1]
    return _checked(name, "".join(lines), [w for w in before.workers if w.name not in gone])


def _last_line(node: yaml.Node) -> int:
    """The last line of a value; a block ends where the next begins, says the parser."""
    if isinstance(node, yaml.MappingNode) and node.value and not node.flow_style:
        return _last_line(node.value[-1][1])
    return int(node.end_mark.line)


def _good(name: str, content: bytes) -> WorkersFile:
    found = parse(name, content)
    if found.problems:
        raise EditError(f"{found.problems[0]}; nothing is changed before that")
    return found


def _checked(name: str, text: str, wanted: list[Worker]) -> bytes:
    after = parse(name, text.encode())
    if after.problems or list(after.workers) != wanted:
        raise EditError(f"{name}: is written in a way that only its author can change; edit it")
    return text.encode()
