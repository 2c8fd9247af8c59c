"""The keeper's options for prices and thresholds."""

import re
from collections.abc import Callable, Mapping
from typing import Any

import click

from gpuglass.cli.settings import number
from gpuglass.keeper.choices import Choices

# Wide enough for the smallest unit of money that anybody counts in.
_MOST = 1e7
_RATIO = number(0, 1)


def currency(value: Any) -> str:
    """Take three letters, such as EUR, in capitals; the name is what help shows for a value."""
    if not isinstance(value, str) or not re.fullmatch("[A-Za-z]{3}", value):
        raise click.BadParameter(f"{value!r} is no currency; write its three letters, such as EUR")
    return value.upper()


# By the name of the choice: flag, type, help.
_OPTIONS: dict[str, tuple[str, Callable[[Any], Any], str]] = {
    "kwh_price": (
        "--cost.kwh-price",
        number(0, _MOST),
        "Price of a kilowatt-hour; without it no costs of energy are recorded.",
    ),
    "gpu_hour_price": (
        "--cost.gpu-hour-price",
        number(0, _MOST),
        "Price of an hour in which a GPU is held; without it no costs of GPU-hours are recorded.",
    ),
    "currency": ("--cost.currency", currency, "Currency of the prices, such as EUR."),
    "pue": (
        "--cost.pue",
        number(1, 10),
        "Energy of the site for each joule of its machines, cooling and supply included; "
        "1 if not given.",
    ),
    "carbon": (
        "--cost.carbon-grams-per-kwh",
        number(0, 10_000),
        "Grams of CO2 equivalent for each kilowatt-hour; without it no emissions are recorded.",
    ),
    "temperature": (
        "--alert.temperature-celsius",
        number(1, 150),
        "Alert on GPUs that are hotter for 5 minutes; off if not given.",
    ),
    "utilization": (
        "--alert.utilization-ratio",
        _RATIO,
        "Alert on GPUs that are busy for a larger share of 10 minutes; off if not given.",
    ),
    "memory": (
        "--alert.memory-ratio",
        _RATIO,
        "Alert on GPUs of whose memory a larger share is in use for 10 minutes; off if not given.",
    ),
}


def choice_options(command: Any) -> Any:
    """Give a ``SettingsCommand`` the options for prices and thresholds."""
    for name, (flag, type, help) in reversed(_OPTIONS.items()):
        command = click.option(flag, name, type=type, help=help)(command)
    return command


def choices(chosen: Mapping[str, Any]) -> Choices:
    """What the options say.

    Raises:
        click.UsageError: A price has no currency.
    """
    given = {name: chosen[name] for name in _OPTIONS if chosen[name] is not None}
    for name in ("kwh_price", "gpu_hour_price"):
        if name in given and "currency" not in given:
            raise click.UsageError(f"{_OPTIONS[name][0]} needs --cost.currency, such as EUR")
    return Choices(**given)
