"""The part of the report on what questions cost, in Markdown."""

from tests.bench.stage import GPUS
from tests.bench.storage import fleet
from tests.bench.storage.fleet import Answers
from tests.bench.text import Rows, Spread, table

_TEXT = """## Questions about {gpus:,} GPUs

{nodes} nodes with 8 GPUs each; {held}.
The values are drawn at random, averages with all digits. What other metrics store makes no
difference to these questions but for caches. Each is asked by `/api/v1/query_range` over the newest
time, at the step of a panel of 1,000 points (where the tier is coarser, at its own), with
`nocache=1`, once and then {rounds} times, which count: until the last byte of the answer. Rates are
over two steps, at least a minute. The machine has the files in memory.

{asked}
{tables}
## Noise

The rest of the machine kept {noise} CPUs busy while questions were asked. Where it is much, the
times tell little; sizes do not depend on it.
"""


def questions(answers: list[Answers], rounds: int) -> str:
    """This part of the report.

    Args:
        answers: What questions cost, by tier.
        rounds: How often each was asked.
    """
    gpus = answers[0].gpus
    held = (
        f"{one.tier.days} d of {len(one.tier.metrics)} metrics every {one.tier.step} s"
        for one in answers
    )
    asked = "".join(
        f"- *{name}*: `{promql.format(window='...')}`\n" for name, promql in fleet.QUESTIONS.items()
    )
    return _TEXT.format(
        gpus=gpus,
        nodes=gpus // GPUS,
        held=", ".join(held),
        rounds=rounds,
        asked=asked,
        tables="\n".join(map(_answers, answers)),
        noise=Spread.of(one.others for one in answers).show(),
    )


def _answers(one: Answers) -> str:
    head = (
        f"### {one.tier.name}\n\n{one.size.samples:,} samples, {one.size.data / 1e6:,.0f} MB and "
        f"{one.size.index / 1e6:.1f} MB of index; {one.rss:,.0f} MiB of memory (RSS) after all "
        "questions. Milliseconds:\n\n"
    )
    columns = ("over", "a point every", "samples read", *fleet.QUESTIONS)
    rows: Rows = []
    for name, _, step in one.tier.steps():
        costs = [one.costs[question, name] for question in fleet.QUESTIONS]
        times = [Spread.of(cost.milliseconds).show("{:,.0f}") for cost in costs]
        rows.append((name, f"{step} s", f"{costs[0].samples:,}", *times))
    return head + table(columns, rows)
