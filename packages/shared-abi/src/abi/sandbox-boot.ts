import { deferStruct, defineEnum, defineFlags, field, fixedArray, u32, u64 } from '@instar/layout';

/** "BOOT", read as a big-endian word. */
export const SANDBOX_BOOT_MAGIC = 0x424f_4f54;
/** Most regions and filter instructions that a boot page describes. */
export const SANDBOX_MAX_REGIONS = 32;
export const SANDBOX_MAX_FILTER = 128;
/** "FALT", read as a big-endian word. */
export const SANDBOX_FAULT_MAGIC = 0x4641_4c54;
/** Exit status of the sandboxed process after it wrote a SandboxFault. */
export const SANDBOX_FAULT_STATUS = 77;
/** Exit status of the sandboxed process when it could not set itself up. */
export const SANDBOX_SETUP_STATUS = 78;
/** What the helper does before the guest; the step that failed is added to SANDBOX_SETUP_STATUS. */
export const SANDBOX_STEP = defineEnum('SandboxStep', 'Steps of the sandbox helper before the guest runs.', {
  BOOT: [0, 'read its boot page'],
  MEMORY: [1, 'map guest memory'],
  RIGHTS: [2, 'give up its rights (prctl, setrlimit)'],
  SIGNALS: [3, 'install signal handlers (sigaltstack, rt_sigaction)'],
  DESCRIPTORS: [4, 'close its descriptors (close_range)'],
  FILTER: [5, 'install the seccomp filter'],
});
/** The last exit status that stands for a failed step; a guest can end with none of them. */
export const SANDBOX_SETUP_LAST_STATUS = 95;
/** Signal (SIGUSR2) on which the sandboxed process reports its registers and ends. */
export const SANDBOX_STOP_SIGNAL = 12;
/** Signal (SIGUSR1) on which it reports them and halts until the report's magic is gone. */
export const SANDBOX_PAUSE_SIGNAL = 10;
/** Address at which the helper program of the process backend is linked, far from the guest's map. */
export const SANDBOX_HELPER_ADDR = 0x6000_0000_0000n;

/** How the helper maps a region. */
export const SANDBOX_REGION_FLAG = defineFlags('SandboxRegionFlag', 'How the helper maps a region.', {
  READ: [1 << 0, 'readable'],
  WRITE: [1 << 1, 'writable'],
  EXECUTE: [1 << 2, 'executable'],
  PRIVATE: [1 << 3, 'anonymous memory of the child, not the shared file'],
});

/** One region that the helper maps. */
export const SandboxRegion = deferStruct('SandboxRegion', 24, 'One region of the child.', () => ({
  address: field(u64, 0, 'first byte, also the offset in the shared file'),
  size: field(u64, 8, 'bytes'),
  flags: field(u32, 16, 'SandboxRegionFlag'),
  pad: field(u32, 20, 'zero', 0),
}));

/** Page 0 of the shared file: what the helper of the process backend sets up before it runs the guest. */
export const SandboxBoot = deferStruct('SandboxBoot', 1840, 'What the sandbox helper sets up.', () => ({
  magic: field(u32, 0, 'SANDBOX_BOOT_MAGIC'),
  region_count: field(u32, 4, 'used entries of `regions`'),
  filter_count: field(u32, 8, 'used entries of `filter`'),
  pad: field(u32, 12, 'zero', 0),
  entry: field(u64, 16, "the guest's first instruction"),
  stack_top: field(u64, 24, 'initial stack pointer'),
  fault_addr: field(u64, 32, 'address of the SandboxFault'),
  cpu_seconds: field(u64, 40, 'RLIMIT_CPU, 0 for none'),
  regions: field(fixedArray(SandboxRegion, SANDBOX_MAX_REGIONS), 48, 'what to map'),
  filter: field(fixedArray(u64, SANDBOX_MAX_FILTER), 816, 'classic BPF instructions of the seccomp filter'),
}));

/** Where the helper's signal handler writes a fault, at the end of the ring region. */
export const SANDBOX_FAULT_OFFSET = 0x3000;

/** What the signal handler of the process backend saw. The guest can forge it: a hint, not evidence. */
export const SandboxFault = deferStruct('SandboxFault', 192, 'A fault in the process backend.', () => ({
  magic: field(u32, 0, 'SANDBOX_FAULT_MAGIC'),
  signal: field(u32, 4, 'signal number'),
  code: field(u32, 8, 'si_code'),
  syscall: field(u32, 12, 'si_syscall of SIGSYS'),
  vector: field(u64, 16, 'exception vector'),
  error_code: field(u64, 24, 'error code of the exception'),
  cr2: field(u64, 32, 'faulting address'),
  registers: field(fixedArray(u64, 18), 40, 'in the order of RegistersX86_64'),
  pad: field(u64, 184, 'zero', 0n),
}));
