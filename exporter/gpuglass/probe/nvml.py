"""The driver's library, called directly.

nvidia-ml-py gives the constants and the layout of every structure. Its wrappers are not used to
read: they cost seven times as much as a prepared call, and ten of them share one buffer among all
threads.
"""

import copy
import ctypes
from collections.abc import Callable
from typing import Any

import pynvml

LIBRARY = "libnvidia-ml.so.1"

Handle = ctypes.c_void_p

# The same answer until the driver changes: not worth asking again.
PERMANENT = frozenset(
    {
        pynvml.NVML_ERROR_INVALID_ARGUMENT,
        pynvml.NVML_ERROR_NOT_SUPPORTED,
        pynvml.NVML_ERROR_NO_PERMISSION,
        pynvml.NVML_ERROR_FUNCTION_NOT_FOUND,
        pynvml.NVML_ERROR_ARGUMENT_VERSION_MISMATCH,
        pynvml.NVML_ERROR_DEPRECATED,
    }
)
GPU_GONE = frozenset({pynvml.NVML_ERROR_GPU_IS_LOST, pynvml.NVML_ERROR_RESET_REQUIRED})
# Only a new process can use the driver again.
PROCESS_STALE = frozenset(
    {
        pynvml.NVML_ERROR_UNINITIALIZED,
        pynvml.NVML_ERROR_DRIVER_NOT_LOADED,
        pynvml.NVML_ERROR_LIB_RM_VERSION_MISMATCH,
    }
)

_NAMES = {
    value: name.removeprefix("NVML_ERROR_").lower()
    for name, value in vars(pynvml).items()
    if name.startswith("NVML_ERROR_") and isinstance(value, int)
}


class NvmlError(Exception):
    """NVML answered with an error.

    Attributes:
        code: NVML's return value.
        reason: NVML's name of it in lower case, such as ``gpu_is_lost``.
    """

    def __init__(self, code: int) -> None:
        self.code = code
        self.reason = _NAMES.get(code, f"error_{code}")
        super().__init__(self.reason)


class Library:
    """An initialised NVML.

    Args:
        path: Where it is.
        enter: Told the name of each function that is looked up: it is called next.

    Raises:
        NvmlError: The library is not there (``library_not_found``) or does not start.
    """

    def __init__(
        self, path: str = LIBRARY, enter: Callable[[str], None] = lambda symbol: None
    ) -> None:
        self._enter = enter
        try:
            self._library = ctypes.CDLL(path)
        except OSError:
            raise NvmlError(pynvml.NVML_ERROR_LIBRARY_NOT_FOUND) from None
        self.call("nvmlInit_v2")

    def for_thread(self, enter: Callable[[str], None]) -> "Library":
        """The same NVML for another thread, which is told of its own calls."""
        library = copy.copy(self)
        library._enter = enter
        return library

    def function(self, symbol: str) -> Any:
        """The C function.

        Raises:
            NvmlError: This driver is too old to have it (``function_not_found``).
        """
        self._enter(symbol)
        try:
            return getattr(self._library, symbol)
        except AttributeError:
            raise NvmlError(pynvml.NVML_ERROR_FUNCTION_NOT_FOUND) from None

    def call(self, symbol: str, *arguments: Any) -> None:
        """Call a function once.

        Raises:
            NvmlError: It is not there, or answers with an error.
        """
        code = self.function(symbol)(*arguments)
        if code:
            raise NvmlError(code)

    def number(self, symbol: str, *arguments: Any) -> int:
        """What a function writes into its last parameter, an unsigned int."""
        value = ctypes.c_uint()
        self.call(symbol, *arguments, ctypes.byref(value))
        return value.value

    def text(self, symbol: str, *arguments: Any, size: int = 96) -> str:
        """What a function writes into its last two parameters, a buffer and its size."""
        buffer = ctypes.create_string_buffer(size)
        self.call(symbol, *arguments, buffer, ctypes.c_uint(size))
        return buffer.value.decode("utf-8", "replace")

    def device(self, index: int) -> Handle:
        """The handle of the GPU at an index."""
        handle = Handle()
        self.call("nvmlDeviceGetHandleByIndex_v2", ctypes.c_uint(index), ctypes.byref(handle))
        return handle

    def shutdown(self) -> None:
        """Let go of the GPUs; told to nobody."""
        self._library.nvmlShutdown()
