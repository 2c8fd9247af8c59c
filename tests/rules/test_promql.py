import pytest
from grafana.builder.metricsql import look_back, named, seconds


def test_metrics_labels_and_functions_are_told_apart() -> None:
    found = named(
        'sum without (a, b) (rate(x_total{c="1", d=~"2|3"}[5m])) > on (e) group_left () 0.5e3 * y'
        " unless z offset 10m"
    )
    assert found.selectors == [("x_total", {"c": "1", "d": "2|3"}), ("y", {}), ("z", {})]
    assert found.grouping == {"a", "b", "e"}
    assert found.functions == {"sum", "rate"}


def test_words_in_texts_are_no_metrics() -> None:
    assert named("""x{a="y{b} and (z)", b='c'}""").metrics == {"x"}


def test_aggregation_before_its_grouping() -> None:
    found = named("count by (cluster) (up)")
    assert (found.metrics, found.grouping) == ({"up"}, {"cluster"})


@pytest.mark.parametrize("bad", ['{a="b"}', "x{a}", "x $ y"])
def test_what_is_not_understood_is_refused(bad: str) -> None:
    with pytest.raises(ValueError):
        named(bad)


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("up == 0", "0s"),
        ("rate(x[5m])", "5m"),
        ("rate(x[1h30m] offset 10m) > max_over_time(y[2h])", "2h10m"),
        ("max_over_time(rate(x[10m])[1d:5m])", "1d10m"),
        ('x{y="[30d] offset 1w"}', "0s"),
        ("x offset 1w", "7d"),
    ],
)
def test_how_far_an_expression_looks_back(expression: str, expected: str) -> None:
    assert look_back(expression) == seconds(expected)
