"""Tables that several dashboards have."""

from grafana.builder import links
from grafana.builder.grids import Column, table
from grafana.builder.meanings import ACTIONS, SEVERITIES
from grafana.builder.model import Panel


def firing_alerts(scope: str, width: int = 12, height: int = 8, ours: bool = False) -> Panel:
    """What fires now.

    Args:
        scope: Matchers of alerts.
        width: In columns.
        height: In units of some 30 pixels.
        ours: Whether they are of our own programs, which have no GPU.
    """
    where = {"component": "Part"} if ours else {"node": "Node", "gpu": "GPU"}
    # Two clusters may have nodes of one name.
    apart = {} if ours else {"cluster": ""}
    by = ", ".join(("severity", "alertname", *apart, *where, "action"))
    return table(
        "Alerts",
        "What fires now, newest first. The page of an alert in docs/runbooks says what to do.",
        Column(
            "Since",
            f'max by ({by}) (ALERTS_FOR_STATE{{{scope},severity!="none"}} '
            f'and ignoring (alertstate) ALERTS{{{scope},alertstate="firing"}}) * 1000',
            unit="dateTimeFromNow",
            width=130,
        ),
        labels={
            **{"severity": "Severity", "alertname": "Alert"},
            **apart,
            **where,
            "action": "What to do",
        },
        words={"Severity": SEVERITIES, "What to do": ACTIONS},
        widths={"Severity": 90, "Alert": 190, "Node": 90, "GPU": 65},
        links={} if ours else {"Node": links.NODE_OF_ROW, "GPU": links.CARD_OF_ROW},
        sort="Since",
        empty="no alert known of",
        width=width,
        height=height,
    )
