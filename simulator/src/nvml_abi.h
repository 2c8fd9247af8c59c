/* The part of NVML's binary interface that this library answers: numbers and memory layouts. */
#ifndef NVML_ABI_H
#define NVML_ABI_H

#include <stdint.h>

#define NVML_API __attribute__((visibility("default")))

typedef enum {
    NVML_SUCCESS = 0,
    NVML_ERROR_UNINITIALIZED = 1,
    NVML_ERROR_INVALID_ARGUMENT = 2,
    NVML_ERROR_NOT_SUPPORTED = 3,
    NVML_ERROR_NO_PERMISSION = 4,
    NVML_ERROR_ALREADY_INITIALIZED = 5,
    NVML_ERROR_NOT_FOUND = 6,
    NVML_ERROR_INSUFFICIENT_SIZE = 7,
    NVML_ERROR_INSUFFICIENT_POWER = 8,
    NVML_ERROR_DRIVER_NOT_LOADED = 9,
    NVML_ERROR_TIMEOUT = 10,
    NVML_ERROR_IRQ_ISSUE = 11,
    NVML_ERROR_LIBRARY_NOT_FOUND = 12,
    NVML_ERROR_FUNCTION_NOT_FOUND = 13,
    NVML_ERROR_CORRUPTED_INFOROM = 14,
    NVML_ERROR_GPU_IS_LOST = 15,
    NVML_ERROR_RESET_REQUIRED = 16,
    NVML_ERROR_OPERATING_SYSTEM = 17,
    NVML_ERROR_LIB_RM_VERSION_MISMATCH = 18,
    NVML_ERROR_IN_USE = 19,
    NVML_ERROR_MEMORY = 20,
    NVML_ERROR_NO_DATA = 21,
    NVML_ERROR_VGPU_ECC_NOT_SUPPORTED = 22,
    NVML_ERROR_INSUFFICIENT_RESOURCES = 23,
    NVML_ERROR_FREQ_NOT_SUPPORTED = 24,
    NVML_ERROR_ARGUMENT_VERSION_MISMATCH = 25,
    NVML_ERROR_DEPRECATED = 26,
    NVML_ERROR_NOT_READY = 27,
    NVML_ERROR_GPU_NOT_FOUND = 28,
    NVML_ERROR_INVALID_STATE = 29,
    NVML_ERROR_RESET_TYPE_NOT_SUPPORTED = 30,
    NVML_ERROR_UNKNOWN = 999
} nvmlReturn_t;

typedef struct nvmlDevice *nvmlDevice_t;
typedef struct nvmlEventSet *nvmlEventSet_t;

/* A versioned struct starts with a word that holds its size and its version. */
#define STRUCT_VERSION(type, version) ((unsigned)(sizeof(type) | ((unsigned)(version) << 24)))

enum { CLOCK_GRAPHICS, CLOCK_SM, CLOCK_MEM, CLOCK_VIDEO, CLOCK_TYPES };

enum {
    REASON_GPU_IDLE = 0x1,
    REASON_APPLICATIONS_CLOCKS = 0x2,
    REASON_SW_POWER_CAP = 0x4,
    REASON_HW_SLOWDOWN = 0x8,
    REASON_SYNC_BOOST = 0x10,
    REASON_SW_THERMAL = 0x20,
    REASON_HW_THERMAL = 0x40,
    REASON_HW_POWER_BRAKE = 0x80,
    REASON_DISPLAY_CLOCK = 0x100
};

enum {
    VALUE_DOUBLE,
    VALUE_UINT,
    VALUE_ULONG,
    VALUE_ULONG_LONG,
    VALUE_LONG_LONG,
    VALUE_INT,
    VALUE_USHORT
};

enum {
    EVENT_SINGLE_BIT_ECC = 0x1,
    EVENT_DOUBLE_BIT_ECC = 0x2,
    EVENT_PSTATE = 0x4,
    EVENT_XID = 0x8,
    EVENT_CLOCK = 0x10
};

enum {
    LOCATION_L1,
    LOCATION_L2,
    LOCATION_DRAM,
    LOCATION_REGISTERS,
    LOCATION_TEXTURE,
    LOCATION_TEXTURE_SHARED,
    LOCATION_CBU,
    LOCATION_SRAM,
    LOCATIONS
};

typedef union {
    double d;
    unsigned ui;
    unsigned long ul;
    unsigned long long ull;
    long long sll;
    int si;
    unsigned short us;
} nvmlValue_t;

typedef struct {
    unsigned fieldId;
    unsigned scopeId;
    int64_t timestamp;
    int64_t latencyUsec;
    unsigned valueType;
    nvmlReturn_t nvmlReturn;
    nvmlValue_t value;
} nvmlFieldValue_t;

typedef struct {
    unsigned long long timeStamp;
    nvmlValue_t sampleValue;
} nvmlSample_t;

typedef struct {
    unsigned gpu;
    unsigned memory;
} nvmlUtilization_t;

typedef struct {
    unsigned long long total;
    unsigned long long free;
    unsigned long long used;
} nvmlMemory_t;

typedef struct {
    unsigned version;
    unsigned long long total;
    unsigned long long reserved;
    unsigned long long free;
    unsigned long long used;
} nvmlMemory_v2_t;

typedef struct {
    char busIdLegacy[16];
    unsigned domain;
    unsigned bus;
    unsigned device;
    unsigned pciDeviceId;
    unsigned pciSubSystemId;
    char busId[32];
} nvmlPciInfo_t;

typedef struct {
    unsigned version;
    unsigned domain;
    unsigned bus;
    unsigned device;
    unsigned pciDeviceId;
    unsigned pciSubSystemId;
    unsigned baseClass;
    unsigned subClass;
    char busId[32];
} nvmlPciInfoExt_v1_t;

/* Before version 2 of the process lists there was no MIG instance. */
typedef struct {
    unsigned pid;
    unsigned long long usedGpuMemory;
} nvmlProcessInfo_v1_t;

typedef struct {
    unsigned pid;
    unsigned long long usedGpuMemory;
    unsigned gpuInstanceId;
    unsigned computeInstanceId;
} nvmlProcessInfo_v2_t;

typedef struct {
    unsigned pid;
    unsigned long long usedGpuMemory;
    unsigned gpuInstanceId;
    unsigned computeInstanceId;
    unsigned long long usedGpuCcProtectedMemory;
} nvmlProcessDetail_v1_t;

typedef struct {
    unsigned version;
    unsigned mode;
    unsigned numProcArrayEntries;
    nvmlProcessDetail_v1_t *procArray;
} nvmlProcessDetailList_v1_t;

typedef struct {
    unsigned pid;
    unsigned long long timeStamp;
    unsigned smUtil;
    unsigned memUtil;
    unsigned encUtil;
    unsigned decUtil;
} nvmlProcessUtilizationSample_t;

typedef struct {
    unsigned long long timeStamp;
    unsigned pid;
    unsigned smUtil;
    unsigned memUtil;
    unsigned encUtil;
    unsigned decUtil;
    unsigned jpgUtil;
    unsigned ofaUtil;
} nvmlProcessUtilizationInfo_v1_t;

typedef struct {
    unsigned version;
    unsigned processSamplesCount;
    unsigned long long lastSeenTimeStamp;
    nvmlProcessUtilizationInfo_v1_t *procUtilArray;
} nvmlProcessesUtilizationInfo_v1_t;

typedef struct {
    unsigned version;
    unsigned sensorType;
    int temperature;
} nvmlTemperature_v1_t;

typedef struct {
    unsigned version;
    int marginTemperature;
} nvmlMarginTemperature_v1_t;

typedef struct {
    unsigned version;
    unsigned fan;
    unsigned speed;
} nvmlFanSpeedInfo_v1_t;

typedef struct {
    unsigned long long referenceTime;
    unsigned long long violationTime;
} nvmlViolationTime_t;

typedef struct {
    unsigned sessionsCount;
    unsigned averageFPS;
    unsigned averageLatency;
} nvmlFBCStats_t;

typedef struct {
    unsigned max;
    unsigned high;
    unsigned partial;
    unsigned low;
    unsigned none;
} nvmlRowRemapperHistogramValues_t;

typedef struct {
    unsigned long long l1Cache;
    unsigned long long l2Cache;
    unsigned long long deviceMemory;
    unsigned long long registerFile;
} nvmlEccErrorCounts_t;

typedef struct {
    unsigned version;
    unsigned long long aggregateUncParity;
    unsigned long long aggregateUncSecDed;
    unsigned long long aggregateCor;
    unsigned long long volatileUncParity;
    unsigned long long volatileUncSecDed;
    unsigned long long volatileCor;
    unsigned long long aggregateUncBucketL2;
    unsigned long long aggregateUncBucketSm;
    unsigned long long aggregateUncBucketPcie;
    unsigned long long aggregateUncBucketMcu;
    unsigned long long aggregateUncBucketOther;
    unsigned bThresholdExceeded;
} nvmlEccSramErrorStatus_v1_t;

typedef struct {
    unsigned version;
    unsigned bChannelRepairPending;
    unsigned bTpcRepairPending;
} nvmlRepairStatus_v1_t;

typedef struct {
    unsigned version;
    unsigned unrepairableMemory;
} nvmlUnrepairableMemory_v1_t;

typedef struct {
    unsigned version;
    unsigned value;
} nvmlDeviceAddressingMode_v1_t;

typedef struct {
    unsigned version;
    unsigned encryptionState;
} nvmlDramEncryptionInfo_v1_t;

typedef struct {
    nvmlDevice_t device;
    unsigned long long eventType;
    unsigned long long eventData;
    unsigned gpuInstanceId;
    unsigned computeInstanceId;
} nvmlEventData_t;

typedef struct {
    unsigned version;
    unsigned char guid[16];
    char chassis[16];
    unsigned char slot, tray, host, peer, module;
} nvmlPlatformInfo_t;

typedef struct {
    unsigned sessionId;
    unsigned pid;
    unsigned vgpuInstance;
    unsigned codecType;
    unsigned hResolution, vResolution;
    unsigned averageFps;
    unsigned encodeLatency;
} nvmlEncoderSessionInfo_t;

typedef struct {
    unsigned sessionId;
    unsigned pid;
    unsigned vgpuInstance;
    unsigned displayOrdinal;
    unsigned sessionType;
    unsigned sessionFlags;
    unsigned hMaxResolution, vMaxResolution;
    unsigned hResolution, vResolution;
    unsigned averageFPS;
    unsigned averageLatency;
} nvmlFBCSessionInfo_t;

typedef struct {
    unsigned environment;
    unsigned ccFeature;
    unsigned devToolsMode;
} nvmlConfComputeSystemState_t;

typedef struct {
    unsigned version;
    unsigned environment;
    unsigned ccFeature;
    unsigned devToolsMode;
    unsigned multiGpuMode;
} nvmlSystemConfComputeSettings_v1_t;

typedef struct {
    unsigned cpuCaps;
    unsigned gpusCaps;
} nvmlConfComputeSystemCaps_t;

typedef struct {
    unsigned long long protectedMemSizeKib;
    unsigned long long unprotectedMemSizeKib;
} nvmlConfComputeMemSizeInfo_t;

typedef struct {
    unsigned multiprocessorCount;
    unsigned sharedCopyEngineCount;
    unsigned sharedDecoderCount;
    unsigned sharedEncoderCount;
    unsigned sharedJpegCount;
    unsigned sharedOfaCount;
    unsigned gpuInstanceSliceCount;
    unsigned computeInstanceSliceCount;
    unsigned long long memorySizeMB;
} nvmlDeviceAttributes_t;

typedef struct {
    unsigned version;
    char branch[80];
} nvmlSystemDriverBranchInfo_v1_t;

typedef struct {
    unsigned version;
    unsigned type;
    union {
        char str[41];
        unsigned char bytes[16];
    } value;
} nvmlUUID_v1_t;

typedef struct {
    unsigned version;
    unsigned isSupportedDevice;
} nvmlGpmSupport_t;

typedef struct {
    unsigned vgpuInstance;
    unsigned long long timeStamp;
    nvmlValue_t smUtil, memUtil, encUtil, decUtil;
} nvmlVgpuInstanceUtilizationSample_t;

/* The numbers at the end depend on the mode. */
typedef struct {
    unsigned schedulerPolicy;
    unsigned arrMode;
    unsigned parameters[2];
} nvmlVgpuSchedulerGetState_t;

typedef struct {
    unsigned engineId;
    unsigned schedulerPolicy;
    unsigned avgFactor;
    unsigned timeslice; /* ns */
} nvmlVgpuSchedulerStateInfo_v2_t;

typedef struct {
    unsigned featureCode;
    unsigned featureState;
    char licenseInfo[128];
    char productName[128];
    unsigned featureEnabled;
    struct {
        uint32_t year;
        uint16_t month, day, hour, min, sec;
        uint8_t status;
    } licenseExpiry;
} nvmlGridLicensableFeature_v4_t;

typedef struct {
    int isGridLicenseSupported;
    unsigned licensableFeaturesCount;
    nvmlGridLicensableFeature_v4_t gridLicensableFeatures[3];
} nvmlGridLicensableFeatures_v4_t;

typedef struct nvmlGpmSample *nvmlGpmSample_t;

typedef struct {
    const char *shortName;
    const char *longName;
    const char *unit;
} nvmlGpmMetricInfo_t;

typedef struct {
    unsigned metricId;
    nvmlReturn_t nvmlReturn;
    double value;
    nvmlGpmMetricInfo_t metricInfo;
} nvmlGpmMetric_t;

/* The list grows from driver to driver: only the metrics asked for are touched. */
typedef struct {
    unsigned version;
    unsigned numMetrics;
    nvmlGpmSample_t sample1;
    nvmlGpmSample_t sample2;
    nvmlGpmMetric_t metrics[];
} nvmlGpmMetricsGet_t;

typedef struct {
    unsigned flags;
    struct {
        unsigned bIsPresent : 1;
        unsigned percentage;
        unsigned incThreshold;
        unsigned decThreshold;
    } utilization[8];
} nvmlGpuDynamicPstatesInfo_t;

typedef struct {
    unsigned version;
    unsigned char clusterUuid[16];
    nvmlReturn_t status;
    unsigned cliqueId;
    unsigned state; /* one byte and padding in the driver's header; the same on little-endian */
    unsigned healthMask;
} nvmlGpuFabricInfo_v2_t;

typedef struct {
    unsigned version;
    unsigned char clusterUuid[16];
    nvmlReturn_t status;
    unsigned cliqueId;
    unsigned state; /* one byte and padding in the driver's header; the same on little-endian */
    unsigned healthMask;
    unsigned char healthSummary;
} nvmlGpuFabricInfo_v3_t;

#endif
