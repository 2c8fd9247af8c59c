// What the exporter's tokens mean, for people. A token that is not here is shown as it is.

const plain = (token) => token.replaceAll("_", " ");
const from = (table) => (token) => table[token] ?? plain(token);

/** What holds a GPU's clocks; only what is listed in `throttling` slows work down. */
export const clockReason = from({
  gpu_idle: "idle",
  applications_clocks: "clocks chosen by a user",
  sw_power_cap: "power limit reached",
  hw_slowdown: "slowed down by the hardware",
  sync_boost: "keeps pace with another GPU",
  sw_thermal: "slowed down by the driver: too hot",
  hw_thermal: "slowed down by the hardware: too hot",
  hw_power_brake: "braked by the power supply",
  display: "clocks chosen for a display",
  board_limit: "limit of the board reached",
  low_utilization: "too little work for higher clocks",
  reliability: "voltage limit reached",
});

/** How bad each reason is; the others are no loss. */
export const throttling = {
  hw_thermal: "bad",
  hw_power_brake: "bad",
  hw_slowdown: "bad",
  sw_thermal: "warn",
  sw_power_cap: "note",
  board_limit: "note",
  reliability: "note",
  sync_boost: "note",
};

/** Why something is not there. */
export const why = from({
  not_supported: "this card does not have it",
  no_permission: "the exporter may not read it",
  function_not_found: "this driver is too old for it",
  argument_version_mismatch: "this driver is of another age",
  deprecated: "this driver no longer has it",
  invalid_argument: "the driver refuses the question",
  not_found: "there is none",
  no_data: "the driver has no data",
  not_ready: "the driver is not ready",
  in_use: "somebody else uses it",
  timeout: "the driver took too long",
  unknown: "the driver does not say why",
  invalid_state: "not in the card's present state",
  mig_off: "MIG is switched off",
  no_mig_instances: "no MIG instance has been made",
  too_many_processes: "too many processes",
  hidepid: "/proc hides the processes of others",
  foreign_pid_namespace: "the exporter does not see the machine's /proc",
  no_procfs: "there is no /proc",
  no_log_folder: "there is no folder of the pods' logs",
  log_folder_unreadable: "the folder of the pods' logs may not be read",
  job_folder_unreadable: "the folder of the jobs' files may not be read",
  sluid_without_job_file: "no job file tells the number of a Slurm job",
  name_service_timeout: "the machine's directory of users does not answer",
  no_passwd_file: "there is no list of users",
  uid_without_name: "a user has no name",
});

/** Why a GPU, or all of them, cannot be read. */
export const failure = from({
  starting: "being read for the first time",
  resuming: "about to be read again",
  silent: "it has not answered for a while",
  not_listed: "the driver lists it no longer",
  released: "let go on request",
  suspended: "asleep",
  skipped: "left alone for now, after it did not answer",
  gpu_is_lost: "it has fallen off the bus or is otherwise lost",
  reset_required: "it needs a reset",
  gpu_not_found: "it cannot be found",
  driver_not_loaded: "the driver is not loaded",
  library_not_found: "the driver's library, libnvidia-ml.so.1, is not there",
  lib_rm_version_mismatch: "the driver was replaced: its library and its kernel module differ",
  no_permission: "the exporter may not use the driver",
  insufficient_power: "a power cable is missing",
  irq_issue: "the kernel has trouble with its interrupts",
  timeout: "the driver took too long",
  unknown: "the driver does not say why",
  uninitialized: "the driver is being started",
  exited: "the process that reads them ended",
  crashed: "the process that reads them crashed",
  error: "it cannot be read",
});

/** Where nothing is wrong and GPUs are not read all the same: what their cards say. */
export const resting = { starting: "starting", resuming: "starting", released: "let go", suspended: "asleep" };

/** What each group of facts is about. */
export const group = from({
  core: "utilisation, memory, power, temperature and clocks",
  engines: "media engines",
  fans: "fans",
  gpm: "activity of SMs, tensor cores and memory",
  limits: "limits of power and clocks",
  mig: "MIG instances",
  processes: "processes",
  pcie: "bytes over PCIe",
  pcie_state: "state of the PCIe link",
  nvlink: "bytes over NVLink",
  nvlink_state: "state of NVLinks",
  c2c: "link to the processor on one module",
  fabric: "NVSwitch fabric",
  ecc: "memory errors",
  remapping: "memory taken out of use",
  health: "recovery actions",
  modes: "modes and place",
  ratings: "highest clocks and temperatures",
  sessions: "encoder and capture sessions",
  smoothing: "power smoothing",
  confidential: "confidential computing",
  vgpu: "virtual GPUs",
  samples: "means and peaks of the last minute",
});

/** What is to be done about an XID or a GPU. */
export const action = from({
  none: "nothing to do",
  "restart-app": "restart the application",
  "restart-node": "restart the node",
  "reset-gpu": "reset the GPU",
  "plan-reset": "reset the GPU when it is free",
  inspect: "look into it",
});

/** What `gpu_recovery_action` asks for. */
export const recovery = [
  "",
  "reset it",
  "reboot the node",
  "drain its peers",
  "drain and reset it",
  "recover the IMEX domain",
  "reset the bus",
  "reboot the system",
];

/** Parts of a process's owner. */
export const ownerPart = from({
  process: "processes' names",
  user: "users",
  container: "containers",
  pod_names: "names of pods",
  slurm: "Slurm jobs",
  job_files: "job files",
});
