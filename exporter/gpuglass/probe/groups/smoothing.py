"""Power smoothing."""

import pynvml

from gpuglass.catalogue import smoothing as metrics
from gpuglass.probe.calls import Field
from gpuglass.probe.group import Group, column

GROUP = Group(
    fields=[
        Field(pynvml.NVML_FI_PWR_SMOOTHING_ENABLED, column(metrics.ENABLED)),
        Field(pynvml.NVML_FI_PWR_SMOOTHING_IMM_RAMP_DOWN_ENABLED, column(metrics.RAMP_DOWN)),
        Field(
            pynvml.NVML_FI_PWR_SMOOTHING_DELAYED_PWR_SMOOTHING_SUPPORTED, column(metrics.DELAYED)
        ),
        Field(
            pynvml.NVML_FI_PWR_SMOOTHING_SOC_POWER_SMOOTHING_ENABLED,
            column(metrics.STATE_OF_CHARGE),
        ),
        Field(pynvml.NVML_FI_PWR_SMOOTHING_APPLIED_TMP_CEIL, column(metrics.CEILING)),
        Field(pynvml.NVML_FI_PWR_SMOOTHING_APPLIED_TMP_FLOOR, column(metrics.FLOOR, "applied")),
        Field(pynvml.NVML_FI_PWR_SMOOTHING_PRIMARY_POWER_FLOOR, column(metrics.FLOOR, "primary")),
        Field(
            pynvml.NVML_FI_PWR_SMOOTHING_SECONDARY_POWER_FLOOR, column(metrics.FLOOR, "secondary")
        ),
        Field(
            pynvml.NVML_FI_PWR_SMOOTHING_MIN_PERCENT_TMP_FLOOR_SETTING,
            column(metrics.FLOOR_SETTING, "min"),
            100,
        ),
        Field(
            pynvml.NVML_FI_PWR_SMOOTHING_MAX_PERCENT_TMP_FLOOR_SETTING,
            column(metrics.FLOOR_SETTING, "max"),
            100,
        ),
        Field(
            pynvml.NVML_FI_PWR_SMOOTHING_MIN_PRIMARY_FLOOR_ACT_OFFSET,
            column(metrics.ACTIVATION_OFFSET),
        ),
        Field(
            pynvml.NVML_FI_PWR_SMOOTHING_MIN_PRIMARY_FLOOR_ACT_POINT,
            column(metrics.ACTIVATION_POINT),
        ),
        Field(pynvml.NVML_FI_PWR_SMOOTHING_WINDOW_MULTIPLIER, column(metrics.WINDOW), 1000),
        Field(
            pynvml.NVML_FI_PWR_SMOOTHING_HW_CIRCUITRY_PERCENT_LIFETIME_REMAINING,
            column(metrics.LIFETIME),
            100,
        ),
        Field(pynvml.NVML_FI_PWR_SMOOTHING_MAX_NUM_PRESET_PROFILES, column(metrics.PROFILES)),
        Field(pynvml.NVML_FI_PWR_SMOOTHING_ACTIVE_PRESET_PROFILE, column(metrics.PROFILE)),
    ],
)
