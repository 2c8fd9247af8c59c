"""Waits for the XIDs that the driver tells of."""

import ctypes
import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import pynvml

from gpuglass.probe import frames, identity
from gpuglass.probe.nvml import PROCESS_STALE, Library, NvmlError

_XID = pynvml.nvmlEventTypeXidCriticalError
_WAIT_MILLISECONDS = 500
# With a lost GPU the wait returns at once, for ever.
_FAILED_SECONDS = 5.0
# A card in trouble tells of thousands a second: they are passed on together.
_TELL_SECONDS = 0.2


class _Event(ctypes.Structure):
    _fields_ = pynvml.c_nvmlEventData_t._fields_


class Events(threading.Thread):
    """Counts XIDs for as long as the process lives.

    Args:
        library: NVML.
        devices: How many GPUs it lists.
        emit: Sends a frame to the parent.
    """

    def __init__(
        self, library: Library, devices: int, emit: Callable[[frames.Frame], None]
    ) -> None:
        super().__init__(name="events", daemon=True)
        self._library, self._devices, self._emit = library, devices, emit
        self._uuids: dict[int | None, str] = {}
        self._told: Counter[tuple[str, int]] = Counter()
        self._tell_at = 0.0

    def run(self) -> None:
        """Register for every GPU that has such events, and wait."""
        try:
            events = ctypes.c_void_p()
            self._library.call("nvmlEventSetCreate", ctypes.byref(events))
            wait = self._library.function("nvmlEventSetWait_v2")
        except NvmlError as error:
            self._emit(frames.XidSource(error.reason))
            return
        reasons = [self._register(events, index) for index in range(self._devices)]
        failed = next(filter(None, reasons), "not_supported") if not self._uuids else ""
        self._emit(frames.XidSource(failed))
        while self._uuids:
            event = _Event()
            code = wait(events, ctypes.byref(event), ctypes.c_uint(_WAIT_MILLISECONDS))
            if code in PROCESS_STALE:
                return
            if code == 0:
                self._count(event)
            elif code != pynvml.NVML_ERROR_TIMEOUT:
                time.sleep(_FAILED_SECONDS)
            self._tell()

    def _register(self, events: Any, index: int) -> str:
        """Ask for a GPU's XIDs; return why that is refused."""
        try:
            device = self._library.device(index)
            supported = ctypes.c_ulonglong()
            self._library.call("nvmlDeviceGetSupportedEventTypes", device, ctypes.byref(supported))
            # Asking for one type too many would register none.
            if not supported.value & _XID:
                return "not_supported"
            self._library.call("nvmlDeviceRegisterEvents", device, ctypes.c_ulonglong(_XID), events)
            self._uuids[device.value] = identity.uuid(self._library, device)
        except NvmlError as error:
            return str(error)
        return ""

    def _count(self, event: Any) -> None:
        uuid = self._uuids.get(ctypes.cast(event.device, ctypes.c_void_p).value)
        if uuid is not None and event.eventType & _XID:
            self._told[uuid, event.eventData] += 1

    def _tell(self) -> None:
        now = time.monotonic()
        if self._told and now >= self._tell_at:
            for (uuid, xid), count in self._told.items():
                self._emit(frames.Xid(uuid, xid, count, time.time()))
            self._told.clear()
            self._tell_at = now + _TELL_SECONDS
