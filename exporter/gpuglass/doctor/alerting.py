"""From the rules to those who are told."""

import json
from datetime import datetime
from typing import Any

from gpuglass.catalogue import keeper
from gpuglass.doctor.install import Install
from gpuglass.doctor.model import Finding, check, failed, ok, skipped, warning
from gpuglass.keeper.alertmanager.api import Alertmanager
from gpuglass.keeper.http import ask
from gpuglass.keeper.victoriametrics import QueryError
from gpuglass.keeper.words import counted

_WATCHDOG = "GPUStackWatchdog"
# Beyond its interval, a rule may be late by this many seconds.
_LATE = 180.0
# Until then a vmalert that was started has not evaluated and sent everything.
_FIRST_ROUND = 180.0
_STARTED = 'process_start_time_seconds{job="vmalert"}'
_JUST_STARTED = "vmalert has just started; look again in some minutes"
_UNDELIVERED = (
    "sum by (receiver_name, integration)"
    " (increase_prometheus(alertmanager_notifications_failed_total[1h])) > 0"
)


@check("rules", "rules that are not evaluated raise no alerts and record nothing")
def rules(install: Install) -> Finding:
    """Whether vmalert evaluates every rule, without an error."""
    try:
        groups = _groups(install)
    except (ValueError, KeyError, TypeError):
        return failed(
            f"what answers at {install.addresses.vmalert} is no vmalert", "see the check ports"
        )
    all_ = [(group, rule) for group in groups for rule in group["rules"]]
    if not all_:
        return failed("vmalert has no rules", "./setup.sh --status; the log of vmalert")
    wrong = [rule for _, rule in all_ if rule.get("lastError")]
    if wrong:
        told = " ".join(wrong[0]["lastError"].split())[:200]
        return failed(
            f"{counted(len(wrong), 'rule')} cannot be evaluated: {wrong[0]['name']}: {told}",
            "gpuglass rules check; docs/runbooks/GPUStackRulesFailing.md",
        )
    ages = [(install.clock() - _moment(rule), group, rule) for group, rule in all_]
    late = [rule for age, group, rule in ages if age > group["interval"] + _LATE]
    if late and _has_just_started(install):
        return skipped(_JUST_STARTED)
    if late:
        return failed(
            f"{counted(len(late), 'rule')} not evaluated in time, as {late[0]['name']}",
            "docs/runbooks/GPUStackRulesFailing.md; the log of vmalert",
        )
    return ok(f"{counted(len(all_), 'rule')} evaluated, the last {max(min(ages)[0], 0):.0f} s ago")


def _groups(install: Install) -> list[dict[str, Any]]:
    answer = json.loads(ask(f"{install.addresses.vmalert}/api/v1/rules", way=install.way))
    groups: list[dict[str, Any]] = answer["data"]["groups"]
    return groups


def _moment(rule: dict[str, Any]) -> float:
    """When a rule was last evaluated, to the second."""
    text = rule["lastEvaluation"][:19]
    return datetime.fromisoformat(f"{text}+00:00").timestamp() if text[:4] > "2000" else 0.0


@check("test-alert", "an alert that does not reach Alertmanager reaches nobody")
def test_alert(install: Install) -> Finding:
    """Whether the alert that always fires has come through vmalert to Alertmanager."""
    alerts = Alertmanager(install.addresses.alertmanager, install.way).alerts()
    if any(alert.labels.get("alertname") == _WATCHDOG for alert in alerts):
        return ok(f"{_WATCHDOG}, which always fires, is in Alertmanager")
    if _has_just_started(install):
        return skipped(_JUST_STARTED)
    return failed(
        f"{_WATCHDOG}, which always fires, is not in Alertmanager",
        "docs/runbooks/GPUStackAlertsNotSent.md; the log of vmalert",
    )


def _has_just_started(install: Install) -> bool:
    try:
        started = install.storage.query(_STARTED)
        return any(install.clock() - moment < _FIRST_ROUND for _, moment in started)
    except QueryError:
        return False


@check("receivers", "without receivers alerts are only shown, and nobody is woken")
def receivers(install: Install) -> Finding:
    """Whether somebody is told of alerts, and takes the messages."""

    def values(query: str) -> list[float]:
        return [value for _, value in install.storage.query(query)]

    wrong = values(f"{keeper.RECEIVERS_FILE_VALID.name} == 0 or {keeper.RECEIVERS_TAKEN.name} == 0")
    if wrong:
        return failed(
            "the receivers as they are now are not in force", "gpuglass alertmanager check"
        )
    refused = [labels for labels, _ in install.storage.query(_UNDELIVERED)]
    if refused:
        names = sorted(f"{r.get('receiver_name')} ({r.get('integration')})" for r in refused)
        return failed(
            f"messages of the last hour were not taken by {', '.join(names)}",
            "docs/runbooks/GPUStackMessagesNotDelivered.md",
        )
    told = values(f"sum({keeper.RECEIVERS.name})")
    if not told:
        return skipped("the keeper tells nothing of receivers yet")
    if told == [0]:
        return warning("nobody is told of alerts", "victoriametrics/alertmanager/README.md")
    return ok(f"{counted(int(told[0]), 'receiver')} of alerts")
