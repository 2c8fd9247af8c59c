"""Facts of the machine, one collector per file.

The collectors read the kernel's files themselves: each file once per read, from paths that are
theirs alone, and without the cost of importing anything else.
"""

# The order of these imports is the order of the collectors.
# isort: off
from gpuglass.host import cpu as cpu
from gpuglass.host import memory as memory
from gpuglass.host import filesystem as filesystem
from gpuglass.host import disk as disk
from gpuglass.host import network as network
from gpuglass.host import link as link
from gpuglass.host import pressure as pressure
from gpuglass.host import system as system

# isort: on
from gpuglass.host.registry import Collector, Paths, collectors, names

__all__ = ["NAMES", "Collector", "Paths", "collectors"]

NAMES: tuple[str, ...] = names()
"""The names of all collectors, as the flags ``--collector.NAME`` use them."""
