"""Work for the first GPU: copies to it, copies and fills on it, by the driver's own API.

Needs ``libcuda.so.1`` alone, no toolkit. It takes plain memory, never managed memory.
"""

import ctypes
import os
import time
from functools import partial
from typing import Any

from tests.hardware.job import Job, Json, Steps

_MIB = 1 << 20
_HOST_BYTES, _DEVICE_BYTES = 64 * _MIB, 256 * _MIB
_TURNS = 8
_TELL_SECONDS = 0.5


class CudaError(Exception):
    """The driver answered with an error."""


class Cuda:
    """``libcuda.so.1`` with the first GPU's context.

    Raises:
        OSError: There is no such library.
        CudaError: It does not start.
    """

    def __init__(self) -> None:
        # The order that NVML has too.
        os.environ["CUDA_DEVICE_ORDER"] = "PCI_BUS_ID"
        self._library = ctypes.CDLL("libcuda.so.1")
        self._device = ctypes.c_int()
        self.call("cuInit", 0)
        self.call("cuDeviceGet", ctypes.byref(self._device), 0)
        context = ctypes.c_void_p()
        self.call("cuDevicePrimaryCtxRetain", ctypes.byref(context), self._device)
        self.call("cuCtxSetCurrent", context)

    def call(self, symbol: str, *arguments: Any) -> None:
        """Call a function.

        Raises:
            CudaError: It answers with an error.
        """
        code = getattr(self._library, symbol)(*arguments)
        if code:
            raise CudaError(f"{symbol}: error {code}")

    def bus_id(self) -> str:
        """Where the GPU sits."""
        text = ctypes.create_string_buffer(32)
        self.call("cuDeviceGetPCIBusId", text, 32, self._device)
        return text.value.decode()

    def memory(self, size: int) -> ctypes.c_uint64:
        """Memory of the GPU."""
        address = ctypes.c_uint64()
        self.call("cuMemAlloc_v2", ctypes.byref(address), ctypes.c_size_t(size))
        return address

    def host_memory(self, size: int) -> ctypes.c_void_p:
        """Memory of the machine from which the GPU copies by itself."""
        address = ctypes.c_void_p()
        self.call("cuMemAllocHost_v2", ctypes.byref(address), ctypes.c_size_t(size))
        return address

    def close(self) -> None:
        """Let go of the GPU."""
        self.call("cuDevicePrimaryCtxRelease_v2", self._device)


def steps(job: Job) -> Steps:
    """One step: work until told to end, or until ``pace.load`` seconds are over."""
    yield "load", partial(_load, job)


def _load(job: Job) -> Json:
    try:
        cuda = Cuda()
    except OSError as error:
        return {"refused": f"libcuda.so.1 cannot be loaded: {error}"}
    except (CudaError, AttributeError) as error:
        return {"refused": str(error)}
    try:
        return _work(job, cuda)
    finally:
        cuda.close()


def _work(job: Job, cuda: Cuda) -> Json:
    source, target = cuda.memory(_DEVICE_BYTES), cuda.memory(_DEVICE_BYTES)
    host = cuda.host_memory(_HOST_BYTES)
    job.tell(cuda.bus_id(), "load", "bus_id")
    job.tell(os.getpid(), "load", "pid")
    to_device = on_device = 0
    rows: list[list[float]] = []
    begin = tell_at = time.monotonic()
    while (now := time.monotonic()) < begin + job.pace.load:
        if now >= tell_at:
            rows.append([round(now, 4), to_device, on_device])
            job.tell(rows, "load", "seconds_bytes_to_gpu_and_on_it")
            tell_at = now + _TELL_SECONDS
        for _ in range(_TURNS):
            cuda.call("cuMemcpyHtoD_v2", source, host, ctypes.c_size_t(_HOST_BYTES))
            cuda.call("cuMemcpyDtoD_v2", target, source, ctypes.c_size_t(_DEVICE_BYTES))
            words = ctypes.c_size_t(_DEVICE_BYTES // 4)
            cuda.call("cuMemsetD32_v2", target, ctypes.c_uint(0x5A5A5A5A), words)
        cuda.call("cuCtxSynchronize")
        to_device += _TURNS * _HOST_BYTES
        # A copy on the GPU reads and writes, a fill writes.
        on_device += 3 * _TURNS * _DEVICE_BYTES
    return None
