"""Sessions of the video encoder and of frame capture."""

from gpuglass.catalogue.model import Metric, Type, of_device

GAUGE = Type.GAUGE

ENCODER_SESSIONS = of_device(
    "gpu_encoder_sessions",
    GAUGE,
    "Sessions of the video encoder",
    "nvmlDeviceGetEncoderStats (cards with an encoder)",
)
ENCODER_FPS = of_device(
    "gpu_encoder_fps",
    GAUGE,
    "Frames a second that the video encoder makes, the mean of its sessions",
    "nvmlDeviceGetEncoderStats (cards with an encoder)",
)
ENCODER_LATENCY = of_device(
    "gpu_encoder_latency_seconds",
    GAUGE,
    "Time that the video encoder takes for a frame, the mean of its sessions",
    "nvmlDeviceGetEncoderStats (cards with an encoder)",
    unit="seconds",
    digits=6,
)
ENCODER_CAPACITY = of_device(
    "gpu_encoder_capacity_ratio",
    GAUGE,
    "Share of the video encoder that is free for another session",
    "nvmlDeviceGetEncoderCapacity (cards with an encoder)",
    "codec",
    unit="ratio",
)
FBC_SESSIONS = of_device(
    "gpu_fbc_sessions", GAUGE, "Sessions of frame buffer capture", "nvmlDeviceGetFBCStats"
)
FBC_FPS = of_device(
    "gpu_fbc_fps",
    GAUGE,
    "Frames a second that are captured, the mean of the sessions",
    "nvmlDeviceGetFBCStats",
)
FBC_LATENCY = of_device(
    "gpu_fbc_latency_seconds",
    GAUGE,
    "Time that capturing a frame takes, the mean of the sessions",
    "nvmlDeviceGetFBCStats",
    unit="seconds",
    digits=6,
)

METRICS: tuple[Metric, ...] = tuple(
    value for value in list(globals().values()) if isinstance(value, Metric)
)
