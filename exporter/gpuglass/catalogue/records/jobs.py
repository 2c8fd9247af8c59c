"""GPUs of one job that lag behind the others, or hang."""

from gpuglass.catalogue.records.model import (
    GPU,
    JOB,
    Level,
    Record,
    Subject,
    aggregate,
    indented,
)

_ON_GPU = "* on (instance, uuid) group_left () "
# A GPU of a job: 1 for each job that has processes on it.
_MEMBERS = aggregate(
    "max",
    Level("member", (*GPU.labels, "job_id", "user")),
    'clamp_max(gpu_owner_processes{job_id!=""} > 0, 1)',
)
# Like is compared with like: SM time says most, but only newer cards tell it; the clock tells of a
# GPU that is slowed down though all are busy, because they wait for it.
_ACTIVITIES = {
    "busy": "rate(gpu_busy_seconds_total[5m])",
    "sm": "rate(gpu_sm_active_seconds_total[5m])",
    "clock": '(\n  avg_over_time(gpu_clock_mean_hertz{domain="sm"}[5m])\n'
    '  / gpu_clock_max_hertz{domain="sm"}\n)',
}
_JOB = "(cluster, job_id, activity)"
# Of two GPUs nobody can say which one is wrong.
_FEWEST = 3


def _activity(name: str, expr: str) -> str:
    inner = indented(f"{_MEMBERS}\n{_ON_GPU}{expr}")
    return f'label_set(\n{inner},\n  "activity", "{name}"\n)'


_ACTIVITY = Record(
    *(GPU, "job_activity_ratio", "avg5m"),
    "How active a GPU of a job is: share of time busy, of its SMs, and of its highest clock",
    "\nor ".join(_activity(*each) for each in _ACTIVITIES.items()),
    ("job_id", "user", "activity"),
)
_STRAGGLER = Record(
    *(GPU, "straggler_ratio", "avg5m"),
    f"By how much a GPU is less active than the median of its job, in jobs of {_FEWEST} GPUs or "
    "more that work",
    f"""\
clamp_min(
  1 - {_ACTIVITY.name} / on {_JOB} group_left () (
    median by {_JOB} ({_ACTIVITY.name}) > 0.05
  ),
  0
)
and on {_JOB} (
  count by {_JOB} ({_ACTIVITY.name}) >= {_FEWEST}
)""",
    _ACTIVITY.more,
)
_HANG = Record(
    *(GPU, "hang_suspected", "min10m"),
    "1 if kernels ran all of 10 minutes at less than a third of the power: it may wait for others",
    f"""\
(min_over_time(gpu_utilization_mean_ratio[10m]) > bool 0.95)
{_ON_GPU}(
  max_over_time(gpu_power_mean_watts[10m])
  < bool ignoring (limit) 0.3 * gpu_power_limit_watts{{limit="enforced"}}
)
and on (instance, uuid) gpu_processes > 0
and on (instance, uuid) gpu_utilization_mean_ratio offset 10m""",
)

SUBJECT = Subject(
    "jobs",
    "GPUs that lag behind the others of their job, or seem to hang.",
    (
        _ACTIVITY,
        _STRAGGLER,
        Record(
            *(JOB, "straggler_ratio", "max", "By how much its least active GPU lags behind"),
            aggregate("max", JOB, _STRAGGLER.name, "activity"),
            ("activity",),
        ),
        _HANG,
        Record(
            *(JOB, "hang_suspected", "min", "1 if all GPUs of the job seem to hang"),
            aggregate("min", JOB, f"{_MEMBERS}\n{_ON_GPU}{_HANG.name}"),
        ),
    ),
)
