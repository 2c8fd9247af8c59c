"""The facts of every group, one file each, by the names of ``catalogue.groups``."""

from gpuglass.probe.group import Group
from gpuglass.probe.groups import core, engines, fans, gpm, limits, mig, pcie, samples

GROUPS: dict[str, Group] = {
    "core": core.GROUP,
    "engines": engines.GROUP,
    "fans": fans.GROUP,
    "gpm": gpm.GROUP,
    "limits": limits.GROUP,
    "mig": mig.GROUP,
    "pcie": pcie.GROUP,
    "samples": samples.GROUP,
}
