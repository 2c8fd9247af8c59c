"""The catalogue keeps its own rules."""

import re
from itertools import chain

import pytest

from gpuglass.catalogue import device, exporter, gpu, host, keeper, rollups
from gpuglass.catalogue.model import Metric, Rollup, Type

MODULES = (*gpu.MODULES, exporter, host, keeper, rollups)
METRICS = tuple(chain.from_iterable(module.METRICS for module in MODULES))
NAME = re.compile(r"[a-z][a-z0-9_]*")
BASE_UNITS = {
    "",
    "bytes",
    "bytes_per_second",
    "celsius",
    "hertz",
    "joules",
    "ratio",
    "seconds",
    "watts",
}
# A name that ends like this claims a unit, in one of its unwelcome forms.
OTHER_UNITS = (
    *("percent", "percentage", "milliseconds", "ms", "us", "minutes", "kib", "mib", "gib", "kb"),
    *("megabytes", "mhz", "megahertz", "milliwatts", "kwh", "fahrenheit", "count"),
)


def identify(metric: Metric) -> str:
    return metric.name


each_metric = pytest.mark.parametrize("metric", METRICS, ids=identify)


def test_names_are_unique_also_as_families() -> None:
    for names in ([m.name for m in METRICS], [m.family for m in METRICS]):
        assert sorted(names) == sorted(set(names))


def test_every_metric_of_a_module_is_in_its_tuple_once() -> None:
    for module in MODULES:
        declared = [value for value in vars(module).values() if isinstance(value, Metric)]
        assert len(module.METRICS) == len(declared)
        assert {id(metric) for metric in module.METRICS} == {id(metric) for metric in declared}


@each_metric
def test_name_and_labels(metric: Metric) -> None:
    assert NAME.fullmatch(metric.name)
    assert all(NAME.fullmatch(label) for label in metric.labels)
    assert len(set(metric.labels)) == len(metric.labels)
    reserved = {"node", "job", "instance", "le", "quantile"}
    assert not reserved & set(metric.labels)
    # Names that the text format gives to histograms and summaries.
    assert not metric.name.endswith(("_bucket", "_sum", "_created"))
    if metric.type is not Type.COUNTER:
        assert not metric.name.endswith("_total")
    if metric.type is not Type.INFO:
        assert not metric.name.endswith("_info")


@each_metric
def test_unit(metric: Metric) -> None:
    assert metric.unit in BASE_UNITS
    if metric.unit:
        assert metric.family.endswith(f"_{metric.unit}")
    last = metric.family.rsplit("_", 1)[1] if "_" in metric.family else ""
    assert last not in OTHER_UNITS
    if last in BASE_UNITS:
        assert metric.unit == last


@each_metric
def test_help_and_source(metric: Metric) -> None:
    for text in (metric.help, metric.source):
        assert text == text.strip()
        assert text
        assert "\n" not in text
        assert not text.endswith(".")
    assert metric.help[0].isupper() or metric.help[0].isdigit()


@each_metric
def test_rollup_follows_from_the_type(metric: Metric) -> None:
    assert isinstance(metric.rollup, Rollup)
    if metric.type is Type.INFO:
        assert metric.unit == ""
        assert metric.rollup is not Rollup.MIN_AVG_MAX


def test_device_series_name_the_gpu() -> None:
    # The last is read where NVML is not asked.
    without = {device.DEVICES, device.DRIVER_INFO, device.RUNTIME_SUSPENDED}
    for metric in gpu.METRICS:
        assert metric in without or metric.labels[:2] == ("gpu", "uuid")
        assert metric.name.startswith("gpu_")


def test_prefixes() -> None:
    for module, prefix in ((host, "host_"), (exporter, "gpuglass_"), (keeper, "gpuglass_")):
        assert all(metric.name.startswith(prefix) for metric in module.METRICS)


@pytest.mark.parametrize(
    ("name", "type", "unit"),
    [("a_seconds", Type.COUNTER, "seconds"), ("a", Type.INFO, ""), ("a_total", Type.GAUGE, "s")],
)
def test_a_name_against_the_conventions_is_refused(name: str, type: Type, unit: str) -> None:
    with pytest.raises(ValueError, match=name):
        Metric(name, type, "Help", "source", unit=unit)
