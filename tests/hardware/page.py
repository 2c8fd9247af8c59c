"""The exporter's page, read without any library: it may be all that is there."""

import re

_LINE = re.compile(r"^(\w+)(?:\{(.*)\})? (\S+)$")
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


class Page:
    """The samples of a page.

    Attributes:
        text: As it came.
        samples: Name, labels and value of each.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self.samples = [
            (found[1], dict(_LABEL.findall(found[2] or "")), float(found[3]))
            for line in text.splitlines()
            if (found := _LINE.match(line))
        ]

    def value(self, name: str, **labels: str) -> float | None:
        """The first sample with these labels; ``None`` if there is none."""
        return next((value for _, value in self.matching(name, **labels)), None)

    def labels(self, name: str, **labels: str) -> dict[str, str]:
        """All labels of the first sample with some of them."""
        return next((all_labels for all_labels, _ in self.matching(name, **labels)), {})

    def matching(self, name: str, **labels: str) -> list[tuple[dict[str, str], float]]:
        """Labels and value of each sample with these labels."""
        return [
            (its, value)
            for other, its, value in self.samples
            if other == name and labels.items() <= its.items()
        ]
