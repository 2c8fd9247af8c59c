"""The facts of every group, one file each, by the names of ``catalogue.groups``."""

from gpuglass.probe.group import Group
from gpuglass.probe.groups import core, engines, fans, limits, pcie

GROUPS: dict[str, Group] = {
    "core": core.GROUP,
    "engines": engines.GROUP,
    "fans": fans.GROUP,
    "limits": limits.GROUP,
    "pcie": pcie.GROUP,
}
