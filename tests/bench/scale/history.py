"""What a fleet has said until now, put into the storage at once."""

from tests.bench.dashboards import fill
from tests.bench.scale.page import Page, mark
from tests.bench.scale.site import labels
from tests.bench.storage.longer import dated
from tests.bench.storage.programs import Programs, Storage

HOUR, _WHOLE = 3600, 600
_SPARSE = 30


class History:
    """The hours before a fleet is scraped.

    Args:
        programs: The real ones.
        page: What a node says.
        port: Of the nodes' addresses.
    """

    def __init__(self, programs: Programs, page: Page, port: int) -> None:
        self._programs, self._page, self._port = programs, page, port

    def pour(self, storage: Storage, nodes: range, end: int, seconds: int = HOUR) -> None:
        """What dashboards ask for, at a value each 30 s, for more takes long to store.

        Args:
            storage: Where to.
            nodes: Which ones.
            end: Its end.
            seconds: Its length.
        """
        self._put(storage, nodes, fill.asked(), (seconds, _SPARSE), end)

    def pour_all(self, storage: Storage, nodes: range, end: int, step: int) -> None:
        """An hour of which the last ten minutes have all that nodes say.

        Args:
            storage: Where to.
            nodes: Which ones.
            end: Its end.
            step: Seconds between two scrapes.
        """
        every = {dict(labels)["__name__"] for labels in self._page.recording().series}
        self.pour(storage, nodes, end - _WHOLE, HOUR - _WHOLE)
        self._put(storage, nodes, every, (_WHOLE, step), end)

    def _put(
        self,
        storage: Storage,
        nodes: range,
        words: set[str],
        time: tuple[int, int],
        end: int,
    ) -> None:
        seconds, step = time
        series = fill.raw(self._page.recording(), seconds, step, words)
        start = end - (seconds // step - 1) * step
        with self._programs.storage("history") as own:
            own.take(dated(series.lines, step, start))
            own.settle()
            native = own.export("/native", '{node!=""}')
        for number in nodes:
            blob = native
            for written, wanted in mark(number).items():
                blob = blob.replace(written, wanted)
            extra = [("extra_label", f"{k}={v}") for k, v in labels(number, self._port).items()]
            storage.get("/api/v1/import/native", extra, blob)
