//! System calls and kernel structures of x86-64 Linux (asm/unistd_64.h, asm/sigcontext.h, asm-generic/siginfo.h).

use core::arch::{asm, global_asm};

pub const PROT_READ: u64 = 1;
pub const PROT_WRITE: u64 = 2;
pub const PROT_EXEC: u64 = 4;
pub const MAP_SHARED: u64 = 1;
pub const MAP_PRIVATE: u64 = 2;
pub const MAP_ANONYMOUS: u64 = 0x20;
pub const MAP_NORESERVE: u64 = 0x4000;
pub const MAP_FIXED_NOREPLACE: u64 = 0x10_0000;
pub const MADV_HUGEPAGE: u64 = 14;
pub const MADV_NOHUGEPAGE: u64 = 15;
pub const MADV_POPULATE_WRITE: u64 = 23;

const READ: u64 = 0;
const WRITE: u64 = 1;
const CLOSE: u64 = 3;
const MMAP: u64 = 9;
const MUNMAP: u64 = 11;
const RT_SIGACTION: u64 = 13;
const RT_SIGRETURN: u64 = 15;
const MADVISE: u64 = 28;
const DUP2: u64 = 33;
const RECVMSG: u64 = 47;
const CLONE: u64 = 56;
const SIGALTSTACK: u64 = 131;
const PRCTL: u64 = 157;
const SETRLIMIT: u64 = 160;
const EXIT_GROUP: u64 = 231;
const SECCOMP: u64 = 317;
const CLOSE_RANGE: u64 = 436;

pub const ENODEV: u64 = 19;

/// ILL, TRAP, BUS, FPE, SEGV, SYS.
pub const FAULT_SIGNALS: [u64; 6] = [4, 5, 7, 8, 11, 31];

fn call(number: u64, arguments: [u64; 6]) -> Result<u64, u64> {
    let result: i64;
    // SAFETY: the kernel validates what it is given; the callers below pass only their own memory.
    unsafe {
        asm!("syscall", inlateout("rax") number => result, in("rdi") arguments[0], in("rsi") arguments[1],
            in("rdx") arguments[2], in("r10") arguments[3], in("r8") arguments[4], in("r9") arguments[5],
            lateout("rcx") _, lateout("r11") _, options(nostack));
    }
    match u64::try_from(result) {
        Ok(value) => Ok(value),
        Err(_) => Err(result.unsigned_abs()),
    }
}

pub fn mmap(
    address: u64,
    size: u64,
    protection: u64,
    flags: u64,
    file: u64,
    offset: u64,
) -> Result<u64, u64> {
    call(MMAP, [address, size, protection, flags, file, offset])
}

pub fn munmap(address: u64, size: u64) -> Result<u64, u64> {
    call(MUNMAP, [address, size, 0, 0, 0, 0])
}

pub fn madvise(address: u64, size: u64, advice: u64) -> Result<u64, u64> {
    call(MADVISE, [address, size, advice, 0, 0, 0])
}

pub fn close_range(first: u64, last: u64) -> Result<u64, u64> {
    call(CLOSE_RANGE, [first, last, 0, 0, 0, 0])
}

pub fn exit_group(status: u32) -> ! {
    loop {
        let _ = call(EXIT_GROUP, [u64::from(status), 0, 0, 0, 0, 0]);
    }
}

pub fn read(descriptor: u64, bytes: &mut [u8]) -> Result<u64, u64> {
    let place = bytes.as_mut_ptr().expose_provenance() as u64;
    call(READ, [descriptor, place, bytes.len() as u64, 0, 0, 0])
}

pub fn write(descriptor: u64, bytes: &[u8]) -> Result<u64, u64> {
    let place = bytes.as_ptr().expose_provenance() as u64;
    call(WRITE, [descriptor, place, bytes.len() as u64, 0, 0, 0])
}

pub fn close(descriptor: u64) -> Result<u64, u64> {
    call(CLOSE, [descriptor, 0, 0, 0, 0, 0])
}

pub fn dup2(from: u64, to: u64) -> Result<u64, u64> {
    call(DUP2, [from, to, 0, 0, 0, 0])
}

/// Forks; the new process, to which this returns 0, is a child of the parent of this one. A copy of all memory.
pub fn fork_as_sibling() -> Result<u64, u64> {
    const CLONE_PARENT: u64 = 0x8000;
    const SIGCHLD: u64 = 17;
    call(CLONE, [CLONE_PARENT | SIGCHLD, 0, 0, 0, 0, 0])
}

/// Two descriptors that come with a message (recvmsg, unix(7)); `None` where no message comes any more, or another one.
pub fn receive_descriptors(socket: u64) -> Result<Option<[u64; 2]>, u64> {
    const SOL_SOCKET: u32 = 1;
    const SCM_RIGHTS: u32 = 1;
    const INTERRUPTED: u64 = 4;
    /// `struct cmsghdr` with two descriptors.
    #[repr(C, align(8))]
    #[derive(Default)]
    struct Control {
        length: u64,
        level: u32,
        kind: u32,
        descriptors: [u32; 2],
    }
    /// `struct msghdr`.
    #[repr(C)]
    struct Message {
        name: u64,
        name_length: u64,
        vectors: u64,
        vector_count: u64,
        control: u64,
        control_length: u64,
        flags: u64,
    }
    let mut byte = [0_u8; 1];
    let vector = [byte.as_mut_ptr().expose_provenance() as u64, 1];
    loop {
        let mut control = Control::default();
        let mut message = Message {
            name: 0,
            name_length: 0,
            vectors: vector.as_ptr().expose_provenance() as u64,
            vector_count: 1,
            control: (&raw mut control).expose_provenance() as u64,
            control_length: size_of::<Control>() as u64,
            flags: 0,
        };
        let place = (&raw mut message).expose_provenance() as u64;
        match call(RECVMSG, [socket, place, 0, 0, 0, 0]) {
            Err(INTERRUPTED) => {}
            Err(code) => return Err(code),
            Ok(length) => {
                let whole = length == 1
                    && control.length == size_of::<Control>() as u64
                    && (control.level, control.kind) == (SOL_SOCKET, SCM_RIGHTS);
                return Ok(whole.then(|| control.descriptors.map(u64::from)));
            }
        }
    }
}

/// No core dump, no ptrace, death with the parent, no new privileges: what a nursery and its guests have in common.
pub fn hide() -> Result<u64, u64> {
    const PR_SET_PDEATHSIG: u64 = 1;
    const PR_SET_DUMPABLE: u64 = 4;
    const PR_SET_NO_NEW_PRIVS: u64 = 38;
    const SIGKILL: u64 = 9;
    let prctl = |option: u64, value: u64| call(PRCTL, [option, value, 0, 0, 0, 0]);
    prctl(PR_SET_DUMPABLE, 0)?;
    prctl(PR_SET_PDEATHSIG, SIGKILL)?;
    prctl(PR_SET_NO_NEW_PRIVS, 1)
}

/// Resource limits to zero, no core dump, no ptrace, death with the parent, no new privileges.
pub fn drop_rights(cpu_seconds: u64) -> Result<u64, u64> {
    const RLIMIT_CPU: u64 = 0;
    const RLIMIT_FSIZE: u64 = 1;
    const RLIMIT_CORE: u64 = 4;
    const RLIMIT_NPROC: u64 = 6;
    const RLIMIT_NOFILE: u64 = 7;
    let limit = |resource: u64, most: u64| {
        let pair = [most, most];
        call(
            SETRLIMIT,
            [
                resource,
                pair.as_ptr().expose_provenance() as u64,
                0,
                0,
                0,
                0,
            ],
        )
    };
    limit(RLIMIT_FSIZE, 0)?;
    limit(RLIMIT_CORE, 0)?;
    limit(RLIMIT_NPROC, 0)?;
    limit(RLIMIT_NOFILE, 0)?;
    if cpu_seconds > 0 {
        limit(RLIMIT_CPU, cpu_seconds)?;
    }
    hide()
}

/// `siginfo_t`, as far as it is used.
#[repr(C)]
pub struct SigInfo {
    _signal: u32,
    _errno: u32,
    pub code: u32,
    _pad: u32,
    _address: u64,
    pub syscall: u32,
}

/// `struct sigcontext`, general part.
#[repr(C)]
pub struct Machine {
    r8_to_r15: [u64; 8],
    rdi: u64,
    rsi: u64,
    rbp: u64,
    rbx: u64,
    rdx: u64,
    rax: u64,
    rcx: u64,
    rsp: u64,
    rip: u64,
    rflags: u64,
    _selectors: u64,
    pub err: u64,
    pub trapno: u64,
    _oldmask: u64,
    pub cr2: u64,
}

impl Machine {
    /// Registers in the order of the ABI's RegistersX86_64.
    pub fn in_abi_order(&self) -> [u64; 18] {
        let [r8, r9, r10, r11, r12, r13, r14, r15] = self.r8_to_r15;
        [
            self.rax,
            self.rbx,
            self.rcx,
            self.rdx,
            self.rsi,
            self.rdi,
            self.rbp,
            self.rsp,
            r8,
            r9,
            r10,
            r11,
            r12,
            r13,
            r14,
            r15,
            self.rip,
            self.rflags,
        ]
    }
}

/// `struct ucontext`, as far as it is used.
#[repr(C)]
pub struct UContext {
    _flags: u64,
    _link: u64,
    _stack: [u64; 3],
    pub machine: Machine,
}

global_asm!(
    ".global sandbox_restorer",
    "sandbox_restorer:",
    "mov eax, {number}",
    "syscall",
    number = const RT_SIGRETURN,
);

unsafe extern "C" {
    /// Where a handler returns to.
    static sandbox_restorer: u8;
}

type Handler = extern "C" fn(u32, *const SigInfo, *const UContext);

pub fn sigaltstack(base: u64, size: u64) -> Result<u64, u64> {
    let stack = [base, 0, size];
    call(
        SIGALTSTACK,
        [stack.as_ptr().expose_provenance() as u64, 0, 0, 0, 0, 0],
    )
}

pub fn sigaction(signal: u64, handler: Handler) -> Result<u64, u64> {
    const SA_SIGINFO: u64 = 4;
    const SA_RESTORER: u64 = 0x0400_0000;
    const SA_ONSTACK: u64 = 0x0800_0000;
    const SA_RESTART: u64 = 0x1000_0000;
    const MASK_BYTES: u64 = 8;
    let entry = (handler as *const ()).expose_provenance() as u64;
    let restorer = (&raw const sandbox_restorer).expose_provenance() as u64;
    let flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART | SA_RESTORER;
    let action = [entry, flags, restorer, 0];
    call(
        RT_SIGACTION,
        [
            signal,
            action.as_ptr().expose_provenance() as u64,
            0,
            MASK_BYTES,
            0,
            0,
        ],
    )
}

/// Installs a seccomp filter of `struct sock_filter` instructions, one u64 each.
pub fn install_filter(instructions: &[u64]) -> Result<u64, u64> {
    const SECCOMP_SET_MODE_FILTER: u64 = 1;
    let program = [
        instructions.len() as u64,
        instructions.as_ptr().expose_provenance() as u64,
    ];
    call(
        SECCOMP,
        [
            SECCOMP_SET_MODE_FILTER,
            0,
            program.as_ptr().expose_provenance() as u64,
            0,
            0,
            0,
        ],
    )
}

/// Leaves this program for the guest, with clean registers.
pub fn jump(entry: u64, stack: u64) -> ! {
    // SAFETY: nothing of this program runs any more but the signal handler, which has its own stack.
    unsafe {
        asm!("mov rsp, {stack}", "xor ebx, ebx", "xor ebp, ebp", "xor r12d, r12d", "xor r13d, r13d",
            "xor r14d, r14d", "xor r15d, r15d", "jmp rax",
            stack = in(reg) stack, in("rax") entry, in("rdi") 0, in("rsi") 0, in("rdx") 0, in("rcx") 0,
            options(noreturn));
    }
}
