"""Lets cards sleep that may: the probe wakes none, and lets go of those that nobody uses.

As long as a process has NVML open, a card that sleeps when it is not used, as a laptop's does,
stays awake. So the probe is not started while all cards sleep, and it is ended when they have been
idle for a while. It is started again when one is awake for somebody else's sake.
"""

import asyncio
import logging
import time

from gpuglass.catalogue import device as metrics
from gpuglass.catalogue.model import Series
from gpuglass.host.cards import Card, Cards
from gpuglass.pipeline.devices import Devices
from gpuglass.pipeline.gate import SUSPENDED, Gate
from gpuglass.pipeline.page import Block

_log = logging.getLogger(__name__)

_LOOK_SECONDS = 2.0
# Cards that do not fall asleep although the probe has let go are let go ever less often.
_LONGEST_PATIENCE = 32


class Sleep:
    """Decides whether the probe may run, as far as sleep is concerned.

    Args:
        cards: The machine's cards.
        devices: What the probe has told of them.
        gate: What the probe has to pass.
        after: Seconds of idleness after which the cards are let go; they then have twice as long
            to fall asleep.
    """

    def __init__(self, cards: Cards, devices: Devices, gate: Gate, after: float) -> None:
        self._cards = cards
        self._devices = devices
        self._gate = gate
        self._after = self._patience = after
        self._work: tuple[float, ...] | None = None
        self._idle_since = 0.0
        self._let_go_at: float | None = None
        self._slept = False
        self._series: tuple[Series, ...] = ()
        self._values: list[float | None] = []

    async def run(self) -> None:
        """Look every now and then."""
        while True:
            await asyncio.sleep(min(_LOOK_SECONDS, self._after / 2))
            self.look(time.monotonic())

    def look(self, now: float) -> None:
        """Look at the cards, and let go of them or take them back.

        Args:
            now: In seconds of CLOCK_MONOTONIC.
        """
        cards = self._cards.read()
        self._note(cards)
        sleepers = bool(cards) and all(card.may_sleep for card in cards)
        asleep = sleepers and all(card.asleep for card in cards)
        idle = self._is_idle(now)
        if asleep:
            self._slept = True
            self._patience = self._after
            self._let_go(now, "the GPUs are asleep and stay so")
        elif self._let_go_at is None:
            if sleepers and idle:
                self._let_go(now, "the GPUs are idle and let go, so that they can sleep")
        elif not sleepers or self._slept:
            self._take_back(now, "a GPU is awake")
        elif now - self._let_go_at > 2 * self._after:
            self._patience = min(2 * self._patience, _LONGEST_PATIENCE * self._after)
            self._take_back(now, "the GPUs do not fall asleep: somebody uses them")

    def block(self) -> Block:
        """The page's part."""
        return Block(self._series, self._values)

    def _is_idle(self, now: float) -> bool:
        """Whether nobody has used a card for long enough, as far as the probe could see."""
        work = self._devices.work(now)
        if work is None or work != self._work:
            self._idle_since = now
        self._work = work
        return work is not None and now - self._idle_since >= self._patience

    def _let_go(self, now: float, why: str) -> None:
        if self._let_go_at is None:
            _log.info("%s", why)
            self._let_go_at = now
            self._gate.close(SUSPENDED)

    def _take_back(self, now: float, why: str) -> None:
        _log.info("%s: they are read again", why)
        self._let_go_at = None
        self._slept = False
        self._idle_since = now
        self._gate.open(SUSPENDED)

    def _note(self, cards: list[Card]) -> None:
        shown = [card for card in cards if card.may_sleep]
        series = tuple(Series(metrics.RUNTIME_SUSPENDED, (card.address,)) for card in shown)
        if series != self._series:
            self._series = series
        self._values = [float(card.asleep) for card in shown]
