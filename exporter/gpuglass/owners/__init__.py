"""Who a process on a GPU belongs to: user, container, pod, Slurm job.

The kernel's files are the witnesses: a process's cgroup is set by the runtime or the scheduler,
its user by the kernel. What a user can write himself, such as the environment, is believed only
where the kernel's word fits it. Nobody's API is asked, and nothing is written.
"""

from gpuglass.owners.jobs import JobHolder
from gpuglass.owners.model import Owner, OwnerPaths, Process
from gpuglass.owners.resolver import Resolver

__all__ = ["JobHolder", "Owner", "OwnerPaths", "Process", "Resolver"]
