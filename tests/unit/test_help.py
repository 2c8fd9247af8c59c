"""What the help of the commands shows."""

from collections.abc import Iterator

import click

from gpuglass import cli


def helps(command: click.Command, parent: click.Context | None, name: str) -> Iterator[str]:
    """The help of a command and of those under it."""
    context = click.Context(command, parent, name)
    yield command.get_help(context)
    if isinstance(command, click.Group):
        for each in command.list_commands(context):
            below = command.get_command(context, each)
            assert below
            yield from helps(below, context, each)


def test_values_have_names_for_people() -> None:
    (root,) = (each for each in vars(cli).values() if isinstance(each, click.Group))
    words = " ".join(helps(root, None, "gpuglass")).split()
    assert "gpuglass" in words and "HOST:PORT..." in words
    assert not [word for word in words if word.startswith(("_", "<"))]
