"""Dashboards have words for whatever the exporter and the rules say in codes."""

import re

from grafana.builder import meanings
from grafana.builder.style import Words, mapped
from tests.rules.conftest import rules

from gpuglass.catalogue.records.utilization import _REASONS as RECORDED_REASONS
from gpuglass.catalogue.xid_table import XIDS, Class
from gpuglass.probe.groups.core import _REASON_NAMES, _THROTTLE_TIMES


def shown(value: str, words: Words) -> tuple[str, str]:
    """What Grafana shows for a value, and its colour: the first mapping that fits counts."""
    for mapping in mapped(words):
        options = mapping["options"]
        if mapping["type"] == "value" and value in options:
            return options[value]["text"], options[value]["color"]
        if mapping["type"] == "regex":
            pattern, result = options["pattern"].strip("/"), options["result"]
            if re.search(pattern, value):
                text = re.sub(r"\$(\d)", r"\\\1", result["text"]).replace("$&", r"\g<0>")
                return re.sub(pattern, text, value, count=1), result["color"]
    return value, ""


COLORS = {"critical": "red", "warning": "orange", "info": "blue"}


def test_xids_are_explained() -> None:
    for code in (*XIDS, 9999):
        known = XIDS.get(code)
        cls = known.cls if known else Class.UNUSED
        color = COLORS[cls.severity.value]
        assert shown(str(code), meanings.XID_NUMBERS) == (str(code), color)
        assert shown(str(code), meanings.XID_ADVICE) == (cls.advice.rstrip("."), color)
        meaning = shown(str(code), meanings.XID_MEANINGS)
        if known and cls is not Class.UNUSED:
            assert meaning == (known.means.rstrip("."), color)
        else:
            assert meaning[0].startswith("Not in our table")


def test_every_reason_has_words() -> None:
    published = {*_REASON_NAMES.values(), *_THROTTLE_TIMES.values()}
    assert set(meanings.REASONS) == set(meanings.REASONS_EXPLAINED) == published
    assert set(meanings.HARMFUL) == set(RECORDED_REASONS)


def test_every_action_and_severity_has_words() -> None:
    alerts = [rule["labels"] for rule in rules()]
    assert {labels["action"] for labels in alerts} == set(meanings.ACTIONS)
    assert {labels["severity"] for labels in alerts} - {"none"} == set(meanings.SEVERITIES)
