"""Lets ``python -m gpuglass`` do what the ``gpuglass`` command does."""

from gpuglass.cli import main

main()
