"""What whoever runs this chose, told as gauges: the rules of vmalert calculate with them.

So a rule needs no template, a change needs no other rules, and what was chosen at some time is in
storage with all the rest.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from prometheus_client.metrics_core import Metric as Family

from gpuglass.catalogue import keeper as catalogue
from gpuglass.keeper.metrics import gauge


@dataclass(frozen=True)
class Choices:
    """Prices and thresholds; ``None`` where nothing was chosen, and then there is no gauge.

    Attributes:
        kwh_price: Price of a kilowatt-hour.
        gpu_hour_price: Price of an hour in which one GPU is held.
        currency: The prices' currency, three capital letters.
        pue: Energy of the site for each joule of the machines.
        carbon: Grams of CO2 equivalent for each kilowatt-hour.
        temperature: In degrees Celsius.
        utilization: From 0 to 1.
        memory: From 0 to 1.
    """

    kwh_price: float | None = None
    gpu_hour_price: float | None = None
    currency: str = ""
    pue: float = 1.0
    carbon: float | None = None
    temperature: float | None = None
    utilization: float | None = None
    memory: float | None = None

    def collect(self) -> Iterable[Family]:
        """The gauges of what was chosen."""
        counts_energy = self.kwh_price is not None or self.carbon is not None
        for metric, labels, value in (
            (catalogue.KWH_PRICE, [self.currency], self.kwh_price),
            (catalogue.GPU_HOUR_PRICE, [self.currency], self.gpu_hour_price),
            (catalogue.PUE, [], self.pue if counts_energy else None),
            (catalogue.KWH_CARBON, [], self.carbon),
            (catalogue.ALERT_TEMPERATURE, [], self.temperature),
            (catalogue.ALERT_UTILIZATION, [], self.utilization),
            (catalogue.ALERT_MEMORY, [], self.memory),
        ):
            if value is not None:
                family = gauge(metric)
                family.add_metric(labels, value)
                yield family
