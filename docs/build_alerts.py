"""Builds what follows from the XID table and the runbooks' index: `make docs`.

The rules in victoriametrics/rules/alerts/xids.yml, docs/runbooks/xid-N.md for each XID that pages
somebody, and docs/runbooks/README.md out of the rules and the first paragraphs of the runbooks.
"""

import textwrap
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from docs import writer

from gpuglass.catalogue.xid_table import XIDS, Class, Severity, Xid, codes

ROOT = Path(__file__).resolve().parents[1]
RULES = ROOT / "victoriametrics/rules/alerts"
RUNBOOKS = ROOT / "docs/runbooks"

_RULES_HEAD = """\
# XIDs by what they call for. Built from exporter/gpuglass/catalogue/xid.csv by `make docs`;
# do not edit.
#
# By the time of the last one, not by increase(): an exporter that starts shows what was before it.
# After some the GPU may not answer any more: they are told of until it does.

groups:
  - name: xids
    interval: 5s
    eval_delay: 3s
    eval_alignment: false
    rules:
"""
_RULE = """\
      - alert: {alert}
        expr: |-
{expr}
{hold}        labels: {{severity: {severity}, component: gpu, action: {action}}}
        annotations:
          summary: '{{{{ $labels.node }}}} GPU {{{{ $labels.gpu }}}}: {what}'
          description: >-
{description}
          owner: {owner}
          runbook_url: {runbook}
          dashboard_url: {board}
"""
# Of these a GPU may be lost: within that many seconds after them.
_FATAL = (Class.RESTART_NODE, Class.RESET_GPU)
_LOST_WITHIN = 300
_OWNER = """\
&owner |-
            {{ $held := printf "gpu_owner_memory_used_bytes{uuid='%s'}" $labels.uuid -}}
            {{ range query (printf "sum by (user, job_id) (last_over_time(%s[15m]))" $held) -}}
            {{ . | label "user" }} {{ . | label "job_id" }}
            {{ end }}"""
_BOARD = """\
&board |-
            {{ if match "/d$" $externalURL -}}
            {{ $externalURL }}/gpu-node?var-node={{ $labels.node | queryEscape }}\
&var-gpu={{ $labels.gpu }}
            {{- end }}"""

_INDEX_HEAD = """\
# Runbooks

Built from the alert rules by `make docs`; do not edit. A page for each alert, and for each XID that
pages somebody.

`critical` is for somebody now, `warning` for somebody soon, `info` for whoever looks.
"""


class _Alert(NamedTuple):
    """One rule: the classes of XIDs that it is about; and what to do, where they say too little."""

    name: str
    classes: tuple[Class, ...]
    advice: str = ""


_ALERTS = (
    _Alert("GPUXidRestartNode", (Class.RESTART_NODE,)),
    _Alert("GPUXidResetGPU", (Class.RESET_GPU,)),
    _Alert("GPUXidNvLink", (Class.NVLINK,)),
    _Alert("GPUXidCheckPower", (Class.CHECK_POWER,)),
    _Alert("GPUXidPlanReset", (Class.PLAN_RESET,)),
    _Alert("GPUXidInspect", (Class.INSPECT,)),
    _Alert("GPUXidUnknown", (Class.UNDOCUMENTED, Class.UNUSED)),
    _Alert(
        "GPUXidApplication",
        (Class.APPLICATION,),
        "One is a mistake of an application; so many, and of several owners, are suspect. "
        "Tell the owners, and test the GPU if they have nothing in common.",
    ),
)

_DO = {
    Class.RESTART_NODE: (
        "Keep new work from the node; jobs on this GPU have failed already.",
        "Restart the node. If the GPU is not back, switch the power off and on.",
    ),
    Class.RESET_GPU: (
        "Keep new work from the GPU and tell the owners of its jobs.",
        "Reset it: `gpuglass release --for 10m && nvidia-smi -r -i N`; "
        "with NVSwitch all GPUs of the node together. Where it refuses, restart the node.",
    ),
    Class.NVLINK: (
        "Find the GPUs at both ends of the link, and keep new work from them.",
        "Reset them together: `gpuglass release --for 10m && nvidia-smi -r -i N,M`; "
        "with NVSwitch all GPUs of the node.",
    ),
    Class.CHECK_POWER: (
        "Let the jobs end and switch the node off.",
        "Check that every power cable of the card is there, sits firmly and has a line of its own.",
    ),
}
_ESCALATE = {
    Class.RESTART_NODE: "If it happens to the same GPU again within a month, have seat, cable and "
    "slot looked at; then ask for a replacement.",
    Class.RESET_GPU: "If it happens to the same GPU again within a week, run the vendor's "
    "diagnostics and ask for a replacement with the output of `nvidia-bug-report.sh`.",
    Class.NVLINK: "If the same link fails again, have bridge, cable or switch looked at.",
    Class.CHECK_POWER: "If cables and supply are right, ask for a replacement of the card.",
}
# What to look at besides, for some.
_ALSO = {
    48: "XID 171 beside it says that the error was in device memory, XID 172 in SRAM.",
    64: "`gpu_row_remap_failure` that is still 1 after the reset means that the card is to be "
    "replaced.",
    74: "The line in the kernel log names the link and the kind of error.",
    95: "Nothing that ran on the GPU at that time is to be trusted; XID 94 is the harmless case.",
    109: "The same job on another GPU shows whether the job is at fault.",
    119: "If many nodes have it since a change of the driver, it is the driver: go back.",
    120: "If many nodes have it since a change of the driver, it is the driver: go back.",
    172: "`gpu_ecc_sram_threshold_exceeded` that is 1 means that the card is to be replaced.",
}


def xid_rules() -> str:
    """The text of xids.yml."""
    rules = [_rule(alert, first=n == 0) for n, alert in enumerate(_ALERTS)]
    return _RULES_HEAD + "\n".join(rules)


def _rule(alert: _Alert, first: bool) -> str:
    cls = alert.classes[0]
    pages = cls.severity is Severity.CRITICAL
    what = "XID {{ $labels.xid }}"
    if cls is Class.APPLICATION:
        what = "applications failed {{ $value }} times in an hour"
    page = "xid-{{ $labels.xid }}" if pages else alert.name
    return _RULE.format(
        alert=alert.name,
        expr=textwrap.indent(_expr(alert), " " * 10),
        hold=f"        keep_firing_for: {'2m' if cls in _FATAL else '15m'}\n",
        severity=cls.severity.value if cls is not Class.APPLICATION else "warning",
        action=cls.action,
        what=what,
        description=_filled(f"{_meanings(cls)}{alert.advice or cls.advice}", " " * 12),
        owner=_OWNER if first else "*owner",
        runbook=f"docs/runbooks/{page}.md",
        board=_BOARD if first else "*board",
    )


def _expr(alert: _Alert) -> str:
    wanted = codes(*alert.classes)
    match = "=~"
    if Class.UNUSED in alert.classes:
        # All others: what NVIDIA adds is in no table.
        wanted, match = [code for code in XIDS if code not in wanted], "!~"
    last = f'gpu_xid_last_timestamp_seconds{{\n  xid{match}"{_ranges(wanted)}"\n}}'
    if Class.APPLICATION in alert.classes:
        inner = last.replace("\n", "\n  ")
        return f"sum without (xid) (\n  changes({inner}[1h])\n) > 10"
    if alert.classes[0] in _FATAL:
        age = f"gpu_data_age_seconds + {_LOST_WITHIN}"
        never_read_since = f"time() - {last} < on (instance, uuid) group_left () ({age})"
        return f"time() - {last} < 900\nor {never_read_since}"
    return f"time() - {last} < 900"


def _ranges(numbers: list[int]) -> str:
    """A pattern that these numbers match and no others."""
    by_ten: dict[str, list[int]] = {}
    for number in numbers:
        by_ten.setdefault(str(number // 10 or ""), []).append(number % 10)
    by_digits: dict[str, list[str]] = {}
    for ten, ones in by_ten.items():
        by_digits.setdefault(_digits(ones), []).append(ten)
    return "|".join(
        (tens[0] if len(tens) == 1 else f"({'|'.join(tens)})") + digits
        for digits, tens in by_digits.items()
    )


def _digits(ones: list[int]) -> str:
    if len(ones) == 1:
        return str(ones[0])
    if len(ones) > 2 and ones == list(range(ones[0], ones[-1] + 1)):
        return f"[{ones[0]}-{ones[-1]}]"
    return f"[{''.join(map(str, ones))}]"


def _meanings(cls: Class) -> str:
    """What the XID of the alert means, chosen by its number when the alert fires."""
    if cls is Class.APPLICATION:
        return ""
    by_meaning: dict[str, list[int]] = {}
    for code in codes(cls):
        by_meaning.setdefault(XIDS[code].means, []).append(code)
    cases: list[str] = []
    for means, same in by_meaning.items():
        word = "else if" if cases else "if"
        numbers = " ".join(f'"{code}"' for code in same)
        cases.append(f"{{{{ {word} eq $labels.xid {numbers} -}}}} {means}")
    return " ".join([*cases, "{{ end }}"]) + " "


def xid_page(xid: Xid) -> str:
    """The runbook of an XID that pages somebody."""
    also = [_ALSO[xid.code]] if xid.code in _ALSO else []
    steps = [*_DO[xid.cls], *also]
    selector = f'gpu_xid_last_timestamp_seconds{{xid="{xid.code}"}}'
    return f"""\
# XID {xid.code}

`{xid.name}`

{_filled(xid.means)}

## Confirm

```promql
time() - {selector}
```

```
dmesg -T | grep -i "xid.*: {xid.code},"
```

## Do

{chr(10).join(_step(n, step) for n, step in enumerate(steps, 1))}

If `gpu_recovery_action` is above 0, the driver itself says what it needs: that comes first.

## Escalate

{_filled(_ESCALATE[xid.cls])}
"""


def _step(number: int, text: str) -> str:
    return _filled(f"{number}. {text}", rest="   ")


def _filled(text: str, indent: str = "", rest: str = "") -> str:
    return textwrap.fill(
        text,
        100,
        initial_indent=indent,
        subsequent_indent=indent or rest,
        break_long_words=False,
        break_on_hyphens=False,
    )


def index() -> str:
    """The text of the runbooks' README.md."""
    parts = [_INDEX_HEAD]
    for path in sorted(RULES.glob("*.yml")):
        parts.append(f"\n## {path.stem.capitalize()}\n\n| alert | severity | action | after |\n")
        parts.append("|---|---|---|---|\n")
        text = xid_rules() if path.name == "xids.yml" else path.read_text("utf-8")
        parts += [_row(rule) for group in yaml.safe_load(text)["groups"] for rule in group["rules"]]
    parts.append("\n## XIDs that page somebody\n\n| XID | what it means |\n|---|---|\n")
    parts += [f"| [{x.code}](xid-{x.code}.md) | {x.means} |\n" for x in _paging()]
    return "".join(parts)


def _row(rule: dict[str, Any]) -> str:
    name, labels = rule["alert"], rule["labels"]
    link = f"[{name}]({name}.md)"
    return (
        f"| {link} | {labels['severity']} | {labels['action']} | {rule.get('for', 'at once')} |\n"
    )


def _paging() -> list[Xid]:
    return [xid for xid in XIDS.values() if xid.cls.severity is Severity.CRITICAL]


def files() -> Iterable[tuple[Path, str]]:
    """Every file that is built, with its text."""
    yield RULES / "xids.yml", xid_rules()
    for xid in _paging():
        yield RUNBOOKS / f"xid-{xid.code}.md", xid_page(xid)
    yield RUNBOOKS / "README.md", index()


if __name__ == "__main__":
    writer.main(__doc__, dict(files()), "the XID table and the rules", RUNBOOKS.glob("xid-*.md"))
