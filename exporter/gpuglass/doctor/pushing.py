"""A worker that pushes: whether the monitoring host takes it."""

from gpuglass.doctor.install import Install
from gpuglass.doctor.model import NODE, Finding, check, failed, ok, skipped, warning
from gpuglass.push import contact, credentials

# From which on an alert is raised.
_MOST_SECONDS = 5.0


@check("push", "what the monitoring host does not take, nobody sees", NODE)
def push(install: Install) -> Finding:
    """Whether what this worker pushes is taken, and whether its clock is that of the host."""
    if install.push is None:
        return skipped("this node is scraped, it does not push")
    url, folder = install.push
    try:
        made = contact.make(url, credentials.load(folder))
    except contact.ContactError as error:
        what, _, do = str(error).partition("; ")
        return failed(what, do or "see vmauth's log on the monitoring host")
    except (OSError, credentials.CredentialsError) as error:
        return failed(
            f"{folder}: {getattr(error, 'strerror', None) or error}",
            "on the monitoring host: gpuglass workers add NAME; here, what that prints",
        )
    if abs(made.offset) - made.precision > _MOST_SECONDS:
        return warning(
            f"{url} takes it, but this clock is {made.offset:+.1f} s off",
            "timedatectl; docs/runbooks/GPUWorkerClockWrong.md",
        )
    return ok(f"{url} takes what this worker pushes")
