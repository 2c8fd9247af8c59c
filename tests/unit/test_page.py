"""The page is what prometheus_client writes for the same samples, however it came about."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client.core import CollectorRegistry
from prometheus_client.core import Metric as Family
from prometheus_client.exposition import generate_latest
from prometheus_client.openmetrics import exposition as openmetrics
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from gpuglass.catalogue.model import Metric, Series, Type
from gpuglass.pipeline.exporter import METRICS
from gpuglass.pipeline.page import Block, Page

Values = list[float | None]
Draw = Callable[[st.SearchStrategy[Any]], Any]

label_values = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=12),
    st.text('"\\\n{},= é\u2028', max_size=8),
)
plain_numbers = st.one_of(
    st.integers(-(2**63), 2**64),
    st.floats(allow_nan=False, allow_infinity=False).map(lambda number: number + 0.0),
    st.floats(0, 1).map(lambda number: number + 0.0),
)


def value_of(metric: Metric) -> st.SearchStrategy[float]:
    if metric.type is Type.INFO:
        return st.just(1.0)
    if metric.type is Type.COUNTER:
        return plain_numbers.map(abs)
    return plain_numbers


@st.composite
def arrangements(draw: st.DrawFn) -> list[tuple[Series, ...]]:
    """The series of some blocks; each series stands once on the page."""
    several = draw(st.lists(st.sampled_from(METRICS), max_size=8))
    series = {
        Series(metric, tuple(draw(label_values) for _ in metric.labels)) for metric in several
    }
    left = draw(st.permutations(sorted(series, key=repr)))
    blocks = []
    while left:
        size = draw(st.integers(1, len(left)))
        blocks.append(tuple(left[:size]))
        left = left[size:]
    return blocks


def values_for(draw: Draw, blocks: list[tuple[Series, ...]]) -> list[Values]:
    return [[draw(st.none() | value_of(series.metric)) for series in block] for block in blocks]


@st.composite
def pages(draw: st.DrawFn) -> list[Block]:
    series = draw(arrangements())
    values = values_for(draw, series)
    return [Block(block, row) for block, row in zip(series, values, strict=True)]


def render(page: Page, blocks: Sequence[Block], openmetrics: bool) -> bytes:
    page.update(blocks)
    return page.text(openmetrics)


class _Families:
    def __init__(self, families: list[Family]) -> None:
        self._families = families

    def collect(self) -> Iterator[Family]:
        yield from self._families


def families(node: str, blocks: Sequence[Block]) -> list[Family]:
    """The same samples in prometheus_client's own types."""
    known: dict[Metric, Family] = {}
    for metric in METRICS:
        for block in blocks:
            for series, value in zip(block.series, block.values, strict=True):
                if series.metric is not metric or value is None:
                    continue
                if metric not in known:
                    known[metric] = Family(
                        metric.family, metric.help, metric.type.value, metric.unit
                    )
                labels = dict(zip(metric.labels, series.labels, strict=True), node=node)
                labels = {name: value for name, value in labels.items() if value}
                shown = value if metric.digits is None else round(value, metric.digits)
                known[metric].add_sample(metric.name, labels, shown)
    return list(known.values())


def registry(node: str, blocks: Sequence[Block]) -> CollectorRegistry:
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Families(families(node, blocks)))
    return registry


def samples(found: list[Family]) -> list[tuple[str, dict[str, str], float]]:
    return [(s.name, dict(s.labels), float(s.value)) for family in found for s in family.samples]


@given(label_values, pages())
def test_text_is_what_prometheus_client_writes(node: str, blocks: list[Block]) -> None:
    page = render(Page(node, METRICS), blocks, openmetrics=False)
    assert page == generate_latest(registry(node, blocks))
    assert samples(list(parse_text(page.decode()))) == samples(families(node, blocks))


@given(label_values, pages())
def test_openmetrics_is_what_prometheus_client_writes(node: str, blocks: list[Block]) -> None:
    page = render(Page(node, METRICS), blocks, openmetrics=True)
    assert page == openmetrics.generate_latest(registry(node, blocks))
    assert samples(list(parse_openmetrics(page.decode()))) == samples(families(node, blocks))


@settings(max_examples=150)
@given(st.data())
def test_a_page_that_changes_is_the_page_written_anew(data: st.DataObject) -> None:
    """Values change, series come and go, and each state is drawn from what was there before."""
    page = Page("n", METRICS)
    blocks: list[Block] = data.draw(pages())
    for _ in range(data.draw(st.integers(1, 6))):
        for format in data.draw(st.permutations([False, True])):
            assert render(page, blocks, format) == render(Page("n", METRICS), blocks, format)
        change = data.draw(st.sampled_from(["values", "one block", "series", "nothing"]))
        if change == "series":
            blocks = data.draw(pages())
        elif change == "values":
            rows = values_for(data.draw, [block.series for block in blocks])
            blocks = [Block(b.series, row) for b, row in zip(blocks, rows, strict=True)]
        elif change == "one block" and blocks:
            place = data.draw(st.integers(0, len(blocks) - 1))
            (row,) = values_for(data.draw, [blocks[place].series])
            blocks = [*blocks[:place], Block(blocks[place].series, row), *blocks[place + 1 :]]


def test_a_family_without_a_value_has_no_header() -> None:
    metric = METRICS[0]
    series = (Series(metric, ("a",) * len(metric.labels)),)
    page = Page("n", METRICS)
    assert metric.name.encode() in render(page, [Block(series, [1.0])], openmetrics=False)
    assert render(page, [Block(series, [None])], openmetrics=False) == b""
    assert render(page, [Block(series, [None])], openmetrics=True) == b"# EOF\n"


def test_zero_and_absent_are_different() -> None:
    metric = METRICS[0]
    series = (Series(metric, ("a",) * len(metric.labels)),)
    page = Page("n", METRICS)
    for values in ([None], [0.0], [None], [0], [1.0], [0.0]):
        rendered = render(page, [Block(series, values)], openmetrics=False)
        assert (b" 0.0\n" in rendered) == (values[0] == 0)
        assert bool(rendered) == (values[0] is not None)
