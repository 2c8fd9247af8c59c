"""Whether there is a GPU at all, and what must not be written down of this machine."""

import os
import socket
from functools import partial

from tests.hardware.job import Job, Json, Steps, private

from gpuglass.probe.nvml import NvmlError


def steps(job: Job) -> Steps:
    """The machine's names, and the GPUs with what names them."""
    yield "hosts", lambda: [private("host", name) for name in _host_names()]
    yield "gpus", partial(_gpus, job)


def _host_names() -> list[str]:
    names = {socket.gethostname(), socket.getfqdn(), os.uname().nodename}
    return sorted(names - {"localhost", "localhost.localdomain"})


def _gpus(job: Job) -> Json:
    try:
        cards = job.cards
    except NvmlError as error:
        return {"error": error.reason}
    gpus = []
    for card in cards:
        names = {}
        for kind, symbol in (("uuid", "nvmlDeviceGetUUID"), ("serial", "nvmlDeviceGetSerial")):
            try:
                names[kind] = private(kind, job.library.text(symbol, card.handle))
            except NvmlError as error:
                names[kind] = error.reason
        gpus.append({"index": card.number, "name": card.name, **names})
    return gpus
