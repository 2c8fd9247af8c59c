"""Events that graphs show as lines: alerts, XIDs, drivers, restarts.

Grafana asks for a hundred moments of the time range: an event is looked for in all the time from
one to the next, ``$__interval``, or most would be missed.
"""

from grafana.builder.model import NOW, Annotation


def _since(metric: str, scope: str, by: str) -> str:
    """Times in milliseconds that a metric tells, if they are in the time range."""
    found = f"max_over_time({metric}{{{scope}}}[$__interval])"
    return f"max by ({by}) ({found}) * 1000 >= ${{__from}}"


def alerts(
    scope: str = "$nodes", severity: str = "critical|warning", on: bool = True
) -> Annotation:
    """Alerts, when they began to fire; all the time in which they do would cover the curves."""
    by = "alertname, node, gpu, severity"
    fire = f'ALERTS{{{scope},alertstate="firing",severity=~"{severity}"}}'
    return Annotation(
        "Alerts",
        # Also one that was over before the step was.
        f"max by ({by}) (max_over_time({fire}[$__interval])) "
        f"unless on ({by}) ({fire} offset $__interval)",
        "{{alertname}}",
        "{{severity}} {{node}} GPU {{gpu}}",
        "red",
        on=on,
    )


def xids(scope: str = "$nodes") -> Annotation:
    """XIDs, at the second at which they came."""
    return Annotation(
        "XIDs",
        _since("gpu_xid_last_timestamp_seconds", scope, "node, gpu, xid"),
        "XID {{xid}}",
        "{{node}} GPU {{gpu}}",
        "purple",
        at_value=True,
    )


def drivers(scope: str = "$nodes") -> Annotation:
    """Nodes whose driver is another than a step ago."""
    now = f"group by (node, driver_version) (gpu_driver_info{{{scope}}})"
    before = f"group by (node, driver_version) (gpu_driver_info{{{scope}}} offset $__interval)"
    return Annotation(
        "Driver changes",
        f"({now} unless on (node, driver_version) {before}) and on (node) {before}",
        "Driver {{driver_version}}",
        "{{node}}",
        "blue",
    )


def restarts(scope: str = "$nodes") -> Annotation:
    """Machines that started, and exporters that did."""
    return Annotation(
        "Restarts",
        _since("host_boot_time_seconds", scope, "node"),
        "{{node}} started",
        "",
        "yellow",
        at_value=True,
    )


def exporter_restarts(scope: str = "$nodes") -> Annotation:
    """Exporters that started again."""
    return Annotation(
        "Exporter restarts",
        "max by (node) (resets(gpuglass_process_cpu_seconds_total"
        f'{{{scope},process="exporter"}}[$__interval])) > 0',
        "Exporter of {{node}} restarted",
        "",
        "yellow",
    )


def program_restarts() -> Annotation:
    """Programs of ours that started."""
    return Annotation(
        "Restarts",
        _since("process_start_time_seconds", 'job!="gpu"', "job, tier"),
        "{{job}} {{tier}} started",
        "",
        "yellow",
        at_value=True,
        source=NOW,
    )
