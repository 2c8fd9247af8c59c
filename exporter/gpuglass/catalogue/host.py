"""The metrics of the machine, ``host_*``, in the order of the page."""

from gpuglass.catalogue.model import Metric, Rollup, Type

_MODES = "user, nice, system, idle, iowait, irq, softirq, steal, guest and guest_nice"
_DISK = ("device",)
_NETWORK = ("device",)
_FILESYSTEM = ("mountpoint", "device", "fstype")

CPU_SECONDS = Metric(
    "host_cpu_seconds_total",
    Type.COUNTER,
    "Time of all CPUs together in each mode, where guest time is not part of user or nice",
    f"/proc/stat, line cpu: {_MODES}",
    ("mode",),
    "seconds",
)
CPUS = Metric(
    "host_cpus",
    Type.GAUGE,
    "Logical CPUs that are online",
    "/proc/stat, lines cpuN",
    rollup=Rollup.LAST,
)
BOOT_TIME = Metric(
    "host_boot_time_seconds",
    Type.GAUGE,
    "When the machine started, in seconds since the Unix epoch",
    "/proc/stat, line btime",
    unit="seconds",
    rollup=Rollup.LAST,
)

MEMORY_TOTAL = Metric(
    "host_memory_total_bytes",
    Type.GAUGE,
    "Memory that the kernel manages",
    "/proc/meminfo, MemTotal",
    unit="bytes",
    rollup=Rollup.LAST,
)
MEMORY_AVAILABLE = Metric(
    "host_memory_available_bytes",
    Type.GAUGE,
    "Memory that programs can still get without swapping, as the kernel estimates it",
    "/proc/meminfo, MemAvailable",
    unit="bytes",
)
MEMORY_FREE = Metric(
    "host_memory_free_bytes",
    Type.GAUGE,
    "Memory that nothing uses, not even as a cache",
    "/proc/meminfo, MemFree",
    unit="bytes",
)
MEMORY_BUFFERS = Metric(
    "host_memory_buffers_bytes",
    Type.GAUGE,
    "Memory that caches raw blocks of devices",
    "/proc/meminfo, Buffers",
    unit="bytes",
)
MEMORY_CACHED = Metric(
    "host_memory_cached_bytes",
    Type.GAUGE,
    "Memory of the page cache, shared memory included, reclaimable slab not",
    "/proc/meminfo, Cached",
    unit="bytes",
)
MEMORY_SHARED = Metric(
    "host_memory_shared_bytes",
    Type.GAUGE,
    "Shared memory and tmpfs contents",
    "/proc/meminfo, Shmem",
    unit="bytes",
)
SWAP_TOTAL = Metric(
    "host_swap_total_bytes",
    Type.GAUGE,
    "Size of the swap space",
    "/proc/meminfo, SwapTotal",
    unit="bytes",
    rollup=Rollup.LAST,
)
SWAP_FREE = Metric(
    "host_swap_free_bytes",
    Type.GAUGE,
    "Swap space that is not in use",
    "/proc/meminfo, SwapFree",
    unit="bytes",
)
SWAP_IN = Metric(
    "host_swap_in_bytes_total",
    Type.COUNTER,
    "Bytes brought back from swap",
    "/proc/vmstat, pswpin, times the page size",
    unit="bytes",
)
SWAP_OUT = Metric(
    "host_swap_out_bytes_total",
    Type.COUNTER,
    "Bytes written out to swap",
    "/proc/vmstat, pswpout, times the page size",
    unit="bytes",
)
OOM_KILLS = Metric(
    "host_oom_kills_total",
    Type.COUNTER,
    "Processes that the kernel killed for want of memory, in any control group",
    "/proc/vmstat, oom_kill",
)

FILESYSTEM_SIZE = Metric(
    "host_filesystem_size_bytes",
    Type.GAUGE,
    "Size of the file system",
    "statvfs, f_blocks",
    _FILESYSTEM,
    "bytes",
    rollup=Rollup.LAST,
)
FILESYSTEM_FREE = Metric(
    "host_filesystem_free_bytes",
    Type.GAUGE,
    "Free space of the file system, with the share that is reserved for root",
    "statvfs, f_bfree",
    _FILESYSTEM,
    "bytes",
)
FILESYSTEM_AVAILABLE = Metric(
    "host_filesystem_available_bytes",
    Type.GAUGE,
    "Space of the file system that users other than root can still fill",
    "statvfs, f_bavail",
    _FILESYSTEM,
    "bytes",
)
FILESYSTEM_FILES = Metric(
    "host_filesystem_files",
    Type.GAUGE,
    "Files that the file system can hold (inodes), where it has such a limit",
    "statvfs, f_files",
    _FILESYSTEM,
    rollup=Rollup.LAST,
)
FILESYSTEM_FILES_FREE = Metric(
    "host_filesystem_files_free",
    Type.GAUGE,
    "Files that the file system still has room for (free inodes)",
    "statvfs, f_ffree",
    _FILESYSTEM,
)
FILESYSTEM_READONLY = Metric(
    "host_filesystem_readonly",
    Type.GAUGE,
    "1 if the file system is mounted read-only, else 0",
    "/proc/1/mountinfo, options",
    _FILESYSTEM,
)
FILESYSTEM_ERROR = Metric(
    "host_filesystem_error",
    Type.GAUGE,
    "1 if the file system cannot be read or does not answer, in which case it has no sizes, else 0",
    "statvfs",
    _FILESYSTEM,
)

DISK_READ_BYTES = Metric(
    "host_disk_read_bytes_total",
    Type.COUNTER,
    "Bytes read from the device",
    "/proc/diskstats, sectors read, times 512",
    _DISK,
    "bytes",
)
DISK_WRITTEN_BYTES = Metric(
    "host_disk_written_bytes_total",
    Type.COUNTER,
    "Bytes written to the device",
    "/proc/diskstats, sectors written, times 512",
    _DISK,
    "bytes",
)
DISK_READS = Metric(
    "host_disk_reads_total",
    Type.COUNTER,
    "Reads that the device completed",
    "/proc/diskstats, reads completed",
    _DISK,
)
DISK_WRITES = Metric(
    "host_disk_writes_total",
    Type.COUNTER,
    "Writes that the device completed",
    "/proc/diskstats, writes completed",
    _DISK,
)
DISK_READ_SECONDS = Metric(
    "host_disk_read_seconds_total",
    Type.COUNTER,
    "Time that all reads took, added up",
    "/proc/diskstats, milliseconds reading",
    _DISK,
    "seconds",
)
DISK_WRITE_SECONDS = Metric(
    "host_disk_write_seconds_total",
    Type.COUNTER,
    "Time that all writes took, added up",
    "/proc/diskstats, milliseconds writing",
    _DISK,
    "seconds",
)
DISK_IO_SECONDS = Metric(
    "host_disk_io_seconds_total",
    Type.COUNTER,
    "Time in which the device had at least one request to serve",
    "/proc/diskstats, milliseconds doing I/O",
    _DISK,
    "seconds",
)

NETWORK_RECEIVE_BYTES = Metric(
    "host_network_receive_bytes_total",
    Type.COUNTER,
    "Bytes received",
    "/proc/net/dev, receive bytes",
    _NETWORK,
    "bytes",
)
NETWORK_RECEIVE_PACKETS = Metric(
    "host_network_receive_packets_total",
    Type.COUNTER,
    "Packets received",
    "/proc/net/dev, receive packets",
    _NETWORK,
)
NETWORK_RECEIVE_ERRORS = Metric(
    "host_network_receive_errors_total",
    Type.COUNTER,
    "Packets received in error",
    "/proc/net/dev, receive errs",
    _NETWORK,
)
NETWORK_RECEIVE_DROPS = Metric(
    "host_network_receive_drops_total",
    Type.COUNTER,
    "Packets received and dropped",
    "/proc/net/dev, receive drop",
    _NETWORK,
)
NETWORK_TRANSMIT_BYTES = Metric(
    "host_network_transmit_bytes_total",
    Type.COUNTER,
    "Bytes sent",
    "/proc/net/dev, transmit bytes",
    _NETWORK,
    "bytes",
)
NETWORK_TRANSMIT_PACKETS = Metric(
    "host_network_transmit_packets_total",
    Type.COUNTER,
    "Packets sent",
    "/proc/net/dev, transmit packets",
    _NETWORK,
)
NETWORK_TRANSMIT_ERRORS = Metric(
    "host_network_transmit_errors_total",
    Type.COUNTER,
    "Packets that could not be sent for an error",
    "/proc/net/dev, transmit errs",
    _NETWORK,
)
NETWORK_TRANSMIT_DROPS = Metric(
    "host_network_transmit_drops_total",
    Type.COUNTER,
    "Packets dropped instead of sent",
    "/proc/net/dev, transmit drop",
    _NETWORK,
)
NETWORK_UP = Metric(
    "host_network_up",
    Type.GAUGE,
    "1 if the device can pass packets, 0 if not, absent where its driver cannot tell",
    "/sys/class/net/DEVICE/operstate",
    _NETWORK,
)
NETWORK_SPEED = Metric(
    "host_network_speed_bytes_per_second",
    Type.GAUGE,
    "Speed of the link in each direction, absent while it is not known",
    "/sys/class/net/DEVICE/speed",
    _NETWORK,
    "bytes_per_second",
    rollup=Rollup.LAST,
)

PRESSURE_CPU_WAITING = Metric(
    "host_pressure_cpu_waiting_seconds_total",
    Type.COUNTER,
    "Time in which at least one task waited for a CPU",
    "/proc/pressure/cpu, some",
    unit="seconds",
)
PRESSURE_IO_WAITING = Metric(
    "host_pressure_io_waiting_seconds_total",
    Type.COUNTER,
    "Time in which at least one task waited for I/O",
    "/proc/pressure/io, some",
    unit="seconds",
)
PRESSURE_IO_STALLED = Metric(
    "host_pressure_io_stalled_seconds_total",
    Type.COUNTER,
    "Time in which no task could go on for I/O",
    "/proc/pressure/io, full",
    unit="seconds",
)
PRESSURE_MEMORY_WAITING = Metric(
    "host_pressure_memory_waiting_seconds_total",
    Type.COUNTER,
    "Time in which at least one task waited for memory",
    "/proc/pressure/memory, some",
    unit="seconds",
)
PRESSURE_MEMORY_STALLED = Metric(
    "host_pressure_memory_stalled_seconds_total",
    Type.COUNTER,
    "Time in which no task could go on for want of memory",
    "/proc/pressure/memory, full",
    unit="seconds",
)
PRESSURE_IRQ_STALLED = Metric(
    "host_pressure_irq_stalled_seconds_total",
    Type.COUNTER,
    "Time in which no task could go on for interrupts",
    "/proc/pressure/irq, full",
    unit="seconds",
)

LOAD1 = Metric(
    "host_load1",
    Type.GAUGE,
    "Tasks that ran or waited for a CPU or a disk, averaged over 1 minute",
    "/proc/loadavg",
)
LOAD5 = Metric(
    "host_load5",
    Type.GAUGE,
    "Tasks that ran or waited for a CPU or a disk, averaged over 5 minutes",
    "/proc/loadavg",
)
LOAD15 = Metric(
    "host_load15",
    Type.GAUGE,
    "Tasks that ran or waited for a CPU or a disk, averaged over 15 minutes",
    "/proc/loadavg",
)
UPTIME = Metric(
    "host_uptime_seconds",
    Type.GAUGE,
    "Time since the machine started, sleep included",
    "/proc/uptime",
    unit="seconds",
    rollup=Rollup.LAST,
)
FILE_DESCRIPTORS_ALLOCATED = Metric(
    "host_file_descriptors_allocated",
    Type.GAUGE,
    "Open file descriptions of the whole machine",
    "/proc/sys/fs/file-nr",
)
FILE_DESCRIPTORS_MAX = Metric(
    "host_file_descriptors_max",
    Type.GAUGE,
    "Open file descriptions that the kernel allows on the whole machine",
    "/proc/sys/fs/file-nr",
    rollup=Rollup.LAST,
)
INFO = Metric(
    "host_info",
    Type.INFO,
    "The machine's operating system, kernel release and architecture",
    "/etc/os-release, /proc/sys/kernel/osrelease and arch",
    ("os", "kernel", "machine"),
)

METRICS: tuple[Metric, ...] = tuple(value for value in vars().values() if isinstance(value, Metric))
"""Every metric of the machine, in the order of the page."""
