"""Power smoothing: the draw of many GPUs should not rise and fall at once."""

from gpuglass.catalogue.model import Metric, Type, of_device

GAUGE = Type.GAUGE

ENABLED = of_device(
    "gpu_power_smoothing_enabled",
    GAUGE,
    "1 if power smoothing is on; 0 if not",
    "field 251 (Blackwell and newer)",
)
RAMP_DOWN = of_device(
    "gpu_power_smoothing_immediate_ramp_down_enabled",
    GAUGE,
    "1 if the draw may fall at once; 0 if not",
    "field 253 (Blackwell and newer)",
)
DELAYED = of_device(
    "gpu_power_smoothing_delayed_supported",
    GAUGE,
    "1 if the card can smooth with a delay; 0 if not",
    "field 280 (Blackwell and newer)",
)
STATE_OF_CHARGE = of_device(
    "gpu_power_smoothing_state_of_charge_enabled",
    GAUGE,
    "1 if smoothing goes by a state of charge; 0 if not",
    "field 300 (driver 610 and newer)",
)
CEILING = of_device(
    "gpu_power_smoothing_ceiling_watts",
    GAUGE,
    "Highest draw that smoothing goes by",
    "field 254 (Blackwell and newer)",
    unit="watts",
)
FLOOR = of_device(
    "gpu_power_smoothing_floor_watts",
    GAUGE,
    "Lowest draw that smoothing keeps up: the one that is applied, the primary and the secondary",
    "fields 255, 275, 276 (Blackwell and newer)",
    "floor",
    unit="watts",
)
FLOOR_SETTING = of_device(
    "gpu_power_smoothing_floor_setting_ratio",
    GAUGE,
    "Bounds of the floor that may be set, as a share of the ceiling",
    "fields 256 and 257 (Blackwell and newer)",
    "bound",
    unit="ratio",
)
ACTIVATION_OFFSET = of_device(
    "gpu_power_smoothing_activation_offset_min_watts",
    GAUGE,
    "Least offset of the draw at which the primary floor acts",
    "field 277 (Blackwell and newer)",
    unit="watts",
)
ACTIVATION_POINT = of_device(
    "gpu_power_smoothing_activation_point_min_watts",
    GAUGE,
    "Lowest draw at which the primary floor acts",
    "field 278 (Blackwell and newer)",
    unit="watts",
)
WINDOW = of_device(
    "gpu_power_smoothing_window_seconds",
    GAUGE,
    "Time that the windows of the profiles are multiples of",
    "field 279 (Blackwell and newer)",
    unit="seconds",
)
LIFETIME = of_device(
    "gpu_power_smoothing_lifetime_remaining_ratio",
    GAUGE,
    "What is left of the life of the circuits that smooth",
    "field 258 (Blackwell and newer)",
    unit="ratio",
)
PROFILES = of_device(
    "gpu_power_smoothing_profiles",
    GAUGE,
    "Profiles that the card has",
    "field 259 (Blackwell and newer)",
)
PROFILE = of_device(
    "gpu_power_smoothing_profile",
    GAUGE,
    "Profile that is in force",
    "field 264 (Blackwell and newer)",
)

METRICS: tuple[Metric, ...] = tuple(
    value for value in list(globals().values()) if isinstance(value, Metric)
)
