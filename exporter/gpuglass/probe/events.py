"""Waits for the XIDs that the driver tells of."""

import contextlib
import ctypes
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

import pynvml

from gpuglass.probe import frames, identity
from gpuglass.probe.nvml import PERMANENT, PROCESS_STALE, Library, NvmlError
from gpuglass.probe.whereabouts import StoppedError, Whereabouts

_XID = pynvml.nvmlEventTypeXidCriticalError
_WAIT = "nvmlEventSetWait_v2"
# No longer than the end of the process may wait for it.
_WAIT_MILLISECONDS = 250
# With a lost GPU the wait returns at once, for ever.
_FAILED_SECONDS = 5.0
# A GPU that was gone when it was asked may be back.
_REGISTER_SECONDS = 60.0
# A card in trouble tells of thousands a second: they are passed on together.
_TELL_SECONDS = 0.2


class _Event(ctypes.Structure):
    _fields_ = pynvml.c_nvmlEventData_t._fields_


class Events(threading.Thread):
    """Counts XIDs for as long as the process lives.

    Args:
        library: NVML.
        where: Tells others in which call the thread is.
        devices: The indexes of the GPUs.
        emit: Sends a frame to the parent.
    """

    def __init__(
        self,
        library: Library,
        where: Whereabouts,
        devices: Iterable[int],
        emit: Callable[[frames.Frame], None],
    ) -> None:
        super().__init__(name="events", daemon=True)
        self._library, self._where = library.for_thread(where.enter), where
        self._emit = emit
        self._absent = set(devices)
        self._register_at = 0.0
        self._uuids: dict[int | None, str] = {}
        self._told: Counter[tuple[str, int]] = Counter()
        self._tell_at = 0.0

    def run(self) -> None:
        """Register for every GPU that has such events, and wait."""
        with contextlib.suppress(StoppedError):
            try:
                events = ctypes.c_void_p()
                self._library.call("nvmlEventSetCreate", ctypes.byref(events))
                self._wait(events, self._library.function(_WAIT))
            except NvmlError as error:
                if error.code not in PROCESS_STALE:
                    self._emit(frames.XidSource(error.reason))
            finally:
                self._where.leave()
                self._tell()

    def _wait(self, events: Any, wait: Any) -> None:
        """Count until NVML has to be started again.

        Raises:
            NvmlError: NVML has to be started again.
            StoppedError: The process ends.
        """
        reason = self._register_all(events)
        self._emit(frames.XidSource("" if self._uuids else reason or "not_supported"))
        while self._uuids or self._absent:
            self._where.enter(_WAIT)
            event = _Event()
            code = wait(events, ctypes.byref(event), ctypes.c_uint(_WAIT_MILLISECONDS))
            self._where.leave()
            if code in PROCESS_STALE:
                raise NvmlError(code)
            if code == 0:
                self._count(event)
            elif code != pynvml.NVML_ERROR_TIMEOUT:
                time.sleep(_FAILED_SECONDS)
            if time.monotonic() >= self._tell_at:
                self._tell()
            if self._absent and time.monotonic() > self._register_at and self._found(events):
                self._emit(frames.XidSource(""))

    def _found(self, events: Any) -> bool:
        """Whether there is a first GPU to wait for now."""
        none_yet = not self._uuids
        self._register_all(events)
        return none_yet and bool(self._uuids)

    def _register_all(self, events: Any) -> str:
        """Ask for the XIDs of those that are not asked for yet; return why one refuses."""
        self._register_at = time.monotonic() + _REGISTER_SECONDS
        refusal = ""
        for index in sorted(self._absent):
            try:
                self._register(events, index)
                self._absent.remove(index)
            except NvmlError as error:
                refusal = refusal or error.reason
                if error.code in PERMANENT:
                    self._absent.remove(index)
                elif error.code in PROCESS_STALE:
                    raise
        self._where.leave()
        return refusal

    def _register(self, events: Any, index: int) -> None:
        """Ask for a GPU's XIDs.

        Raises:
            NvmlError: They are refused.
        """
        device = self._library.device(index)
        supported = ctypes.c_ulonglong()
        self._library.call("nvmlDeviceGetSupportedEventTypes", device, ctypes.byref(supported))
        # Asking for one type too many would register none.
        if not supported.value & _XID:
            raise NvmlError(pynvml.NVML_ERROR_NOT_SUPPORTED)
        self._library.call("nvmlDeviceRegisterEvents", device, ctypes.c_ulonglong(_XID), events)
        self._uuids[device.value] = identity.uuid(self._library, device)

    def _count(self, event: Any) -> None:
        uuid = self._uuids.get(ctypes.cast(event.device, ctypes.c_void_p).value)
        if uuid is not None and event.eventType & _XID:
            self._told[uuid, event.eventData] += 1

    def _tell(self) -> None:
        for (uuid, xid), count in self._told.items():
            self._emit(frames.Xid(uuid, xid, count, time.time()))
        self._told.clear()
        self._tell_at = time.monotonic() + _TELL_SECONDS
