"""Which fault of the stand-in driver makes which alert fire, and which alerts none can."""

from dataclasses import dataclass

BUSY = "load gpu={gpu} constant 0.6"
HELD = "process pid=42000{gpu:02} gpu={gpu} type=compute memory=60GiB"


@dataclass(frozen=True)
class Fault:
    """A fault, and what is around it. In all texts {gpu} is the GPU, {at} the moment.

    Attributes:
        lines: Added to the scenario when the fault begins.
        base: There from the beginning.
        preset: The card.
        node: The node that has it; ``sick`` is one of many GPUs, on the others it is GPU 0.
        also: Alerts that the same fault causes besides; "NAME/1" is one of GPU 1, "NAME/" of none.
        whole_node: The alert names no GPU.
        restarts: The node is restarted when the fault begins.
    """

    lines: str = ""
    base: str = BUSY
    preset: str = "h200"
    node: str = "sick"
    also: tuple[str, ...] = ()
    whole_node: bool = False
    restarts: bool = False


# Of a node on which no GPU can be read.
BLIND = ("GPUDataStale/",)
HANGS = Fault(
    "at {at} hang call=nvmlDeviceGetTemperatureV gpu={gpu}",
    node="hanging",
    also=("GPULost", "GPUDataStale/"),
)
OTHER = Fault(
    base=f"{BUSY}\ndriver 570.10\nmissing nvmlEventSetCreate", node="other", whole_node=True
)
FAULTS = {
    "GPULost": Fault("at {at} lost gpu={gpu}", also=("GPUDataStale/",)),
    "GPUMissing": Fault("at {at} gpu-count 1", node="fewer", whole_node=True, restarts=True),
    "GPUDriverCallHangs": HANGS,
    "GPUDataStale": Fault(
        "at {at} hang call=*",
        node="silent",
        whole_node=True,
        also=(*BLIND, "GPUDriverCallHangs/", "GPUDriverFailing/"),
    ),
    "GPUProbeCrashing": Fault(
        "at {at} segfault call=*",
        node="crashing",
        whole_node=True,
        also=(*BLIND, "GPUDriverFailing/"),
    ),
    "GPUDriverFailing": Fault(
        "at {at} init driver_not_loaded\nat {at} driver 590.10",
        node="replaced",
        whole_node=True,
        also=BLIND,
    ),
    "GPUDriverMismatch": OTHER,
    "GPUXidsUnseen": OTHER,
    "GPUResetNeeded": Fault("at {at} recovery action=gpu_reset gpu={gpu}"),
    "GPURebootNeeded": Fault("at {at} recovery action=node_reboot gpu={gpu}"),
    "GPURepairPending": Fault("at {at} repair channel=1 gpu={gpu}"),
    "GPUPcieLinkDegraded": Fault("at {at} pcie-link width=4 gpu={gpu}"),
    "GPUPcieReplays": Fault("at {at} every 1s pcie-replay count=20 gpu={gpu}"),
    "GPUNvLinkDown": Fault("at {at} nvlink-down link=3 gpu={gpu}"),
    "GPUNvLinkErrors": Fault("at {at} every 1s counter field=161 count=2 scope=0 gpu={gpu}"),
    "GPUFabricNotJoined": Fault("at {at} fabric state=in_progress gpu={gpu}"),
    "GPUFabricUnhealthy": Fault("at {at} fabric health=degraded_bandwidth gpu={gpu}"),
    "GPUEccUncorrectable": Fault("at {at} ecc uncorrected=1 location=dram gpu={gpu}"),
    "GPUEccCorrectedOften": Fault("at {at} every 1s ecc corrected=1 location=dram gpu={gpu}"),
    "GPUSramThresholdExceeded": Fault(
        "at {at} ecc uncorrected=5 location=sram gpu={gpu}", also=("GPUEccUncorrectable",)
    ),
    "GPURowRemapFailure": Fault("at {at} remap uncorrected=1 failure=1 gpu={gpu}"),
    "GPURowRemapPending": Fault("at {at} remap uncorrected=1 pending=1 gpu={gpu}"),
    "GPURetiredPagesPending": Fault(
        "at {at} retire uncorrected=1 pending=1 gpu={gpu}", preset="v100"
    ),
    "GPURetiredPagesMany": Fault("at {at} retire corrected=60 gpu={gpu}", preset="v100"),
    "GPUMemoryUnrepairable": Fault("at {at} repair memory=1 gpu={gpu}"),
    "GPUHWThermalSlowdown": Fault(
        "at {at} throttle reason=hw_thermal gpu={gpu}", also=("GPUTemperatureHigh",)
    ),
    "GPUSWThermalSlowdown": Fault(
        "at {at} throttle reason=sw_thermal gpu={gpu}", also=("GPUTemperatureHigh",)
    ),
    "GPUTemperatureHigh": Fault("at {at} set temperature 91 gpu={gpu}", preset="a100"),
    "GPUMemoryTemperatureHigh": Fault("at {at} set memory-temperature 120 gpu={gpu}"),
    "GPUPowerBrake": Fault("at {at} throttle reason=hw_power_brake gpu={gpu}"),
    "GPUPowerLimitLowered": Fault(
        "at {at} throttle reason=sw_power_cap gpu={gpu}", f"gpu {{gpu}} power-limit=400W\n{BUSY}"
    ),
    "GPUIdleButAllocated": Fault("", f"load gpu={{gpu}} idle\n{HELD}"),
    "GPUBusyAtLowPower": Fault(
        "", f"load gpu={{gpu}} constant 0.97\nat 0s set power 120000 gpu={{gpu}}\n{HELD}"
    ),
    "GPUUtilisationDropped": Fault(
        "at {at} load 0.1 gpu={gpu}", f"load gpu={{gpu}} constant 0.9\n{HELD}"
    ),
    "GPUMemoryWithoutProcess": Fault("at {at} set memory-used 6000000000 gpu={gpu}"),
    "GPUXidRestartNode": Fault("at {at} xid code=79 gpu={gpu}"),
    "GPUXidResetGPU": Fault("at {at} xid code=119 gpu={gpu}"),
    "GPUXidNvLink": Fault("at {at} xid code=74 gpu={gpu}"),
    "GPUXidCheckPower": Fault("at {at} xid code=54 gpu={gpu}"),
    "GPUXidPlanReset": Fault("at {at} xid code=63 gpu={gpu}"),
    "GPUXidInspect": Fault("at {at} xid code=92 gpu={gpu}"),
    "GPUXidUnknown": Fault("at {at} xid code=999 gpu={gpu}"),
    "GPUXidApplication": Fault("at {at} every 2s xid code=31 gpu={gpu}"),
    "GPUTemperatureAboveThreshold": Fault(
        "at {at} set temperature 96 gpu={gpu}", also=("GPUTemperatureHigh",)
    ),
    "GPUUtilisationAboveThreshold": Fault("", "load gpu={gpu} constant 1"),
    "GPUMemoryAboveThreshold": Fault("", f"{BUSY}\n{HELD.replace('60GiB', '138GiB')}"),
}

_PIPELINE = "the monitor's own programs, not the driver"
IMPOSSIBLE = {
    "GPUC2CLinkDown": "its C2C links are always up",
    "GPUProbeAbandoned": "what hangs in it can be ended, other than what hangs in the kernel",
    "GPURemapRowsLow": "its banks always have many spare rows",
    "GPUMemoryFillsUp": "memory has to grow for hours, and a recording of seconds is played here",
    "GPUPowerSupplyWeak": "its power supply is always strong enough",
    "GPUFanStopped": "its fans turn as they are told",
    "GPUNodeUnreachable": "the node, not the driver",
    "GPUTargetDisappeared": "the list of targets, not the driver",
    "GPUScrapeSlow": "the network, not the driver",
    "GPUClockWrong": "the node's clock, not the driver",
    "GPUWebConfigurationInvalid": "what people write, not the driver",
    "GPUWorkerSilent": "the network, not the driver",
    "GPUWorkerClockWrong": "the node's clock, not the driver",
    "GPUCollectorFailing": "the kernel's files, not the driver",
    "GPUNodeOutOfMemory": "the kernel, not the driver",
    "GPUStackWatchdog": "it always fires",
    **dict.fromkeys(
        (
            "GPUStackComponentDown",
            "GPUStackGrafanaDown",
            "GPUStackVmagentSilent",
            "GPUStackTargetsInvalid",
            "GPUStackReceiversInvalid",
            "GPUCertificateEndsSoon",
            "GPUCertificateEnds",
            "GPUStackMessagesNotDelivered",
            "GPUStackTargetsNotScraped",
            "GPUStackKeeperStuck",
            "GPUStackRollupsBehind",
            "GPUStackRollupsIncomplete",
            "GPUStackSamplesDropped",
            "GPUStackBacklogGrows",
            "GPUStackStorageFilling",
            "GPUStackStorageReadOnly",
            "GPUStackRulesInvalid",
            "GPUStackRulesFailing",
            "GPUStackOwnRulesFailing",
            "GPUStackRecordsLost",
            "GPUStackAlertsNotSent",
            "GPUStackRulesRejected",
        ),
        _PIPELINE,
    ),
}
