"""Other names for what names cards, machines and people; always the same for the same one."""

import re
import sys

from tests.hardware.job import PRIVATE, Json
from tests.hardware.pace import ROOT

_UUID = re.compile(r"\b(GPU|MIG)-[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b")
_LABELS = re.compile(
    r"\b(uuid|mig_uuid|cluster_uuid|serial|chassis_serial|fabric_guid|user|container|namespace|pod"
    r'|job_id|vm|command)="((?:[^"\\]|\\.)*)"'
)
_XML = re.compile(
    r"<(\w*(?:serial|uuid|guid|pdi|hostname|process_name|vm_name)\w*)>([^<>]+)</", re.IGNORECASE
)
_HOME = re.compile(r"(?<=/home/)[^/\s\"']+")
_NOTHING = {"", "0", "N/A", "[N/A]", "Unknown", "None", "unknown"}
# Users that every machine has.
_COMMON = {"root", "nobody"}
# A shorter text would be found in others by chance.
_SHORTEST = 4


class Fakes:
    """Replaces what must not be written down.

    A name that was once marked as private is replaced in all later texts.
    """

    def __init__(self) -> None:
        self._fakes: dict[tuple[str, str], str] = {}
        self._known: re.Pattern[str] | None = None

    def of(self, kind: str, text: str) -> str:
        """The other name of something."""
        if text in _NOTHING or text in _COMMON or text in self._fakes.values():
            return text
        key = (kind, text)
        if key not in self._fakes:
            number = 1 + sum(other == kind for other, _ in self._fakes)
            self._fakes[key] = _named(kind, text, number)
            texts = {text for _, text in self._fakes if len(text) >= _SHORTEST}
            longest_first = sorted(texts, key=len, reverse=True)
            pattern = "|".join(map(re.escape, longest_first))
            self._known = re.compile(rf"(?<![\w-])(?:{pattern})(?![\w-])") if pattern else None
        return self._fakes[key]

    def text(self, text: str) -> str:
        """A page or another text without private names."""
        text = _LABELS.sub(lambda found: self._label(found[1], found[2]), text)
        text = _XML.sub(lambda found: self._element(found[1], found[2]), text)
        text = _UUID.sub(lambda found: self.of("uuid", found[0]), text)
        text = _HOME.sub("user", text.replace(f"{ROOT}/", ""))
        if sys.prefix != sys.base_prefix:
            text = text.replace(f"{sys.prefix}/", "")
        if self._known:
            text = self._known.sub(lambda found: self._any(found[0]), text)
        return text

    def value(self, value: Json) -> Json:
        """What a part has told, without private names."""
        if isinstance(value, dict):
            if value.keys() == {PRIVATE}:
                return self.of(*value[PRIVATE])
            return {self.text(key): self.value(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self.value(item) for item in value]
        return self.text(value) if isinstance(value, str) else value

    def _any(self, text: str) -> str:
        return next(fake for (_, real), fake in self._fakes.items() if real == text)

    def _label(self, name: str, value: str) -> str:
        kind = "uuid" if name == "mig_uuid" else name
        return f'{name}="{self.of(kind, value)}"'

    def _element(self, name: str, value: str) -> str:
        if name == "process_name":
            return f"<{name}>{value.split()[0].rpartition('/')[2]}</"
        kind = next(kind for kind in ("serial", "uuid", "") if kind in name.lower()) or "id"
        return f"<{name}>{self.of(kind, value)}</"


def _named(kind: str, text: str, number: int) -> str:
    if kind == "uuid":
        prefix = text[:4] if text[:4] in ("GPU-", "MIG-") else ""
        return f"{prefix}00000000-0000-0000-0000-{number:012}"
    return f"{kind}-{number}"
