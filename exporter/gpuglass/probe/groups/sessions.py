"""Sessions of the video encoder and of frame capture."""

import pynvml

from gpuglass.catalogue import media as metrics
from gpuglass.probe import calls
from gpuglass.probe.group import Group, column

_CODECS = {
    "h264": pynvml.NVML_ENCODER_QUERY_H264,
    "hevc": pynvml.NVML_ENCODER_QUERY_HEVC,
    "av1": pynvml.NVML_ENCODER_QUERY_AV1,
}
_MICROSECONDS = 1_000_000

GROUP = Group(
    facts=[
        (
            calls.numbers(
                "nvmlDeviceGetEncoderStats",
                [column(metrics.ENCODER_SESSIONS), column(metrics.ENCODER_FPS), None],
            ),
        ),
        # 0 where there is no frame to take time.
        (
            calls.numbers(
                "nvmlDeviceGetEncoderStats",
                [None, None, column(metrics.ENCODER_LATENCY)],
                divide=_MICROSECONDS,
                unknown=0,
            ),
        ),
        *(
            (
                calls.numbers(
                    "nvmlDeviceGetEncoderCapacity",
                    [column(metrics.ENCODER_CAPACITY, codec)],
                    number,
                    divide=100,
                ),
            )
            for codec, number in _CODECS.items()
        ),
        (
            calls.structure(
                "nvmlDeviceGetFBCStats",
                pynvml.c_nvmlFBCStats_t,
                {
                    "sessionsCount": column(metrics.FBC_SESSIONS),
                    "averageFPS": column(metrics.FBC_FPS),
                },
            ),
        ),
        (
            calls.structure(
                "nvmlDeviceGetFBCStats",
                pynvml.c_nvmlFBCStats_t,
                {"averageLatency": column(metrics.FBC_LATENCY)},
                divide=_MICROSECONDS,
                valid=lambda stats: stats.averageLatency > 0,
            ),
        ),
    ],
)
