"""What is kept: rollups, and room on the disk."""

from gpuglass.catalogue import rollups as metrics
from gpuglass.doctor.install import Install
from gpuglass.doctor.model import Finding, check, failed, ok, skipped, warning

_DAY = 86400.0
_GIB = 1 << 30
# Seconds after which a tier's last good run is too old: it runs every ten minutes, or each hour.
_OLD = {"1m": 3600.0, "1h": 3 * 3600.0}
# A new keeper has its first run behind it by then.
_FIRST_RUN = 1200.0
_LOG = "the log of the keeper; docs/runbooks/GPUStackRollupsBehind.md"
_STARTED = 'process_start_time_seconds{job="keeper"}'
_FREE = 'min by (tier) (vm_free_disk_space_bytes{job="victoriametrics"})'
_LIMIT = 'max(vm_free_disk_space_limit_bytes{job="victoriametrics"})'
_READ_ONLY = 'max(vm_storage_is_read_only{job="victoriametrics"})'
# Of the tier whose disk is full first; only where there is a quarter of a day to judge by.
_LEFT = (
    'min((vm_free_disk_space_bytes{job="victoriametrics"}'
    ' - vm_free_disk_space_limit_bytes{job="victoriametrics"})'
    ' / -(deriv(vm_free_disk_space_bytes{job="victoriametrics"}[1d]) < 0)'
    ' and vm_free_disk_space_bytes{job="victoriametrics"} offset 6h)'
)
_OLD_ENOUGH = 'count(vm_free_disk_space_bytes{job="victoriametrics"} offset 6h)'
_FEW_DAYS, _SOME_DAYS = 3.0, 30.0


@check("rollups", "with tiered storage, only rollups are left of what is older than a week")
def rollups(install: Install) -> Finding:
    """Whether the keeper fills the tiers."""
    addresses = install.addresses
    tiers = [t for t, url in (("1m", addresses.minute), ("1h", addresses.hour)) if url is not None]
    if not tiers:
        return skipped("storage is single: every sample is kept, there are no tiers")
    success = _by_tier(install, metrics.LAST_SUCCESS.name)
    pending = _by_tier(install, metrics.PENDING.name)
    young = any(install.clock() - s < _FIRST_RUN for _, s in install.storage.query(_STARTED))
    for tier in tiers:
        if tier not in success and young:
            return skipped(f"the keeper has just started; tier {tier} has had no run yet")
        if tier not in success:
            return failed(f"no run over tier {tier} has succeeded", _LOG)
        age = install.clock() - success[tier]
        if age > _OLD[tier]:
            return failed(f"the last good run over tier {tier} is {age / 3600:.0f} h old", _LOG)
    missing = sum(pending.values())
    if missing:
        return warning(f"{missing:.0f} windows are missing and could not be filled yet", _LOG)
    return ok(f"complete: {', '.join(tiers)}")


def _by_tier(install: Install, name: str) -> dict[str, float]:
    return {labels.get("tier", ""): value for labels, value in install.storage.query(name)}


@check("disk", "on a full disk nothing is stored any more")
def disk(install: Install) -> Finding:
    """How long the disk of the storage lasts at the present rate."""

    def value(query: str) -> float | None:
        return next((value for _, value in install.storage.query(query)), None)

    if value(_READ_ONLY):
        return failed(
            "the disk is full: VictoriaMetrics does not write any more",
            "make room; docs/runbooks/GPUStackStorageReadOnly.md",
        )
    free, limit = value(f"min({_FREE})"), value(_LIMIT)
    if free is None:
        return skipped("VictoriaMetrics tells nothing of its disk yet")
    left = value(_LEFT)
    room = f"{(free - (limit or 0)) / _GIB:.0f} GiB are left"
    if left is None:
        judged = "and do not become less" if value(_OLD_ENOUGH) else "the rate is known in 6 hours"
        return ok(f"{room}, {judged}")
    days = left / _DAY
    what = f"{room}, enough for {days:.0f} days at the present rate"
    do = "make room, or set a shorter GPUGLASS_RETENTION; docs/operations.md, Storage"
    if days < _FEW_DAYS:
        return failed(what, do)
    return warning(what, do) if days < _SOME_DAYS else ok(what)
