//! The micro-VM: one memory slot, one vCPU, one ioeventfd, no irqchip (KVM API 4.8, 4.10, 4.35, 4.59).

use std::os::fd::RawFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, Once, PoisonError};
use std::time::Duration;

use instar_abi::{PORT_DOORBELL, PORT_EXIT, PORT_ITEM, PORT_WAIT};
use kvm_bindings::kvm_userspace_memory_region;
use kvm_ioctls::{Cap, IoEventAddress, Kvm, NoDatamatch, VcpuExit, VcpuFd, VmFd};
use vmm_sys_util::eventfd::EventFd;

use super::exceptions::{USER_CODE, USER_DATA};
use super::pause::Pause;
use super::refusal::refused;
use super::restore::CpuTemplate;
use super::{exceptions, page_tables, vcpu};
use crate::cpu_clock::ThreadClocks;
use crate::dump::CpuState;
use crate::executor::{lock, Executor, MoveBuffer, Wake};
use crate::guest_image::{startup_entry, GuestImage};
use crate::item_stubs;
use crate::memory::GuestMemory;
use crate::report::{Outcome, Registers};
use crate::run::{left, Backend, StartError};
use crate::startup::{install_call_table, save_registers, Nap, Processor, Stubs};
use crate::watchdog::Stop;

const API_VERSION: i32 = 12;

/// Real-time signal that interrupts KVM_RUN; not SIGUSR1, which node uses for its inspector.
fn kick_signal() -> libc::c_int {
    libc::SIGRTMIN().saturating_add(6)
}

extern "C" fn on_kick(_: libc::c_int, _: *mut libc::siginfo_t, _: *mut libc::c_void) {}

fn install_kick_handler() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // A handler that does nothing: the signal's only effect is EINTR. If it can't be installed the watchdog's kicks
        // would end the process, so the registration must not fail; for a valid signal number it cannot.
        let _ = vmm_sys_util::signal::register_signal_handler(kick_signal(), on_kick);
    });
}

/// Looks whether KVM can be used here, and if not, says why and what would help.
pub fn probe() -> Result<(), String> {
    open_kvm().map(|_| ())
}

fn open_kvm() -> Result<Kvm, String> {
    let kvm = Kvm::new().map_err(|error| match error.errno() {
        libc::ENOENT => "/dev/kvm does not exist; load the kvm module or enable (nested) virtualisation".to_string(),
        libc::EACCES | libc::EPERM => {
            "/dev/kvm may not be opened for reading and writing; add this user to the group that owns it (often `kvm`)"
                .to_string()
        }
        _ => format!("/dev/kvm cannot be opened: {error}"),
    })?;
    let version = kvm.get_api_version();
    if version != API_VERSION {
        return Err(format!("/dev/kvm has API version {version}, expected {API_VERSION}"));
    }
    for (capability, name) in [(Cap::UserMemory, "KVM_CAP_USER_MEMORY"), (Cap::Ioeventfd, "KVM_CAP_IOEVENTFD")] {
        if !kvm.check_extension(capability) {
            return Err(format!("/dev/kvm lacks {name}; a newer kernel has it"));
        }
    }
    Ok(kvm)
}

fn create_vm(kvm: &Kvm) -> Result<VmFd, String> {
    // Creating a VM starts a thread in the kernel, which a signal interrupts (KVM API 4.2).
    for _ in 0..64 {
        match kvm.create_vm() {
            Err(error) if error.errno() == libc::EINTR => {}
            other => return other.map_err(|error| refused("KVM_CREATE_VM", &error)),
        }
    }
    Err("KVM_CREATE_VM was interrupted again and again".into())
}

/// Doorbell code: `mov edx, port; mov eax, edi; out dx, eax; ret`.
fn stub(port: u32) -> Vec<u8> {
    let mut code = vec![0xba];
    code.extend_from_slice(&port.to_le_bytes());
    code.extend_from_slice(&[0x89, 0xf8, 0xef, 0xc3]);
    code
}

/// What becomes of a ring of the doorbell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doorbell {
    /// Another thread is woken, and the guest goes on.
    Event,
    /// The guest is left, so that its own thread can serve it.
    Exit,
}

/// A micro-VM that is ready to run.
pub struct KvmBackend {
    vcpu: Mutex<VcpuFd>,
    // The VM must outlive its vCPU, and the memory the VM; it is not used after the start.
    _vm: VmFd,
    memory: Arc<GuestMemory>,
    doorbell: EventFd,
    woken: (Mutex<bool>, Condvar),
    thread: AtomicU64,
    clock: ThreadClocks,
    pause: Pause,
}

impl KvmBackend {
    /// Builds the VM around loaded memory and takes the startup fault of the image.
    pub fn new(memory: &Arc<GuestMemory>, image: &GuestImage<'_>, doorbell: Doorbell) -> Result<Self, StartError> {
        let entry = startup_entry(memory, image).map_err(StartError::Image)?;
        Self::build(memory, image, entry, doorbell, Processor::First).map_err(StartError::Sandbox)
    }

    /// A VM of its own over the same memory, as a second processor; to be made before the first.
    pub fn second(memory: &Arc<GuestMemory>, image: &GuestImage<'_>) -> Result<Self, StartError> {
        let entry = startup_entry(memory, image).map_err(StartError::Image)?;
        Self::build(memory, image, entry, Doorbell::Exit, Processor::Second).map_err(StartError::Sandbox)
    }

    fn build(
        memory: &Arc<GuestMemory>,
        image: &GuestImage<'_>,
        entry: u64,
        kind: Doorbell,
        processor: Processor,
    ) -> Result<Self, String> {
        install_kick_handler();
        let kvm = open_kvm()?;
        let vm = create_vm(&kvm)?;
        let page_tables = page_tables::build(memory, image)?;
        exceptions::build(memory)?;
        let stubs = Stubs {
            doorbell: stub(PORT_DOORBELL),
            wait: stub(PORT_WAIT),
            exit: stub(PORT_EXIT),
            items: item_stubs::by_port(),
        };
        install_call_table(memory, &stubs)?;
        let slot = kvm_userspace_memory_region {
            slot: 0,
            flags: 0,
            guest_phys_addr: 0,
            memory_size: memory.size(),
            userspace_addr: memory.host_base(),
        };
        // SAFETY: the mapping is valid for the whole slot and outlives the VM: this backend owns a share of it.
        unsafe { vm.set_user_memory_region(slot) }.map_err(|error| refused("KVM_SET_USER_MEMORY_REGION", &error))?;
        let doorbell =
            EventFd::new(libc::EFD_NONBLOCK | libc::EFD_CLOEXEC).map_err(|error| format!("eventfd: {error}"))?;
        if kind == Doorbell::Event {
            vm.register_ioevent(&doorbell, &IoEventAddress::Pio(u64::from(PORT_DOORBELL)), NoDatamatch)
                .map_err(|error| refused("KVM_IOEVENTFD", &error))?;
        }
        let fd = vm.create_vcpu(0).map_err(|error| refused("KVM_CREATE_VCPU", &error))?;
        let regs = vcpu::set_up(&kvm, &fd, page_tables, entry, processor)?;
        if processor == Processor::First {
            save_registers(memory, &Registers::from_kvm(&regs))?;
        }
        Ok(Self {
            memory: Arc::clone(memory),
            vcpu: Mutex::new(fd),
            _vm: vm,
            doorbell,
            woken: (Mutex::new(false), Condvar::new()),
            thread: AtomicU64::new(0),
            clock: ThreadClocks::default(),
            pause: Pause::default(),
        })
    }

    /// The vCPU before its first run, to be restored from; fails where KVM is too old to say all of it.
    pub fn cpu_template(&self) -> Result<CpuTemplate, String> {
        CpuTemplate::take(&lock(&self.vcpu))
    }

    /// Brings the VM back to what it was before its first run, memory excepted.
    pub fn restore(&mut self, template: &CpuTemplate) -> Result<(), String> {
        template.restore(&mut lock(&self.vcpu))?;
        // EAGAIN: nobody rang.
        let _ = self.doorbell.read();
        self.woken = (Mutex::new(false), Condvar::new());
        self.thread.store(0, Ordering::Release);
        self.clock.clear();
        self.pause = Pause::default();
        Ok(())
    }

    fn wait_for_completion(&self, executor: &Executor<'_>) {
        let guard = lock(&self.woken.0);
        let mut guard = self
            .woken
            .1
            .wait_while(guard, |woken| !*woken && !executor.stopped() && !self.pause.wanted())
            .unwrap_or_else(PoisonError::into_inner);
        *guard = false;
    }

    fn state(&self, vcpu: &VcpuFd) -> Option<CpuState> {
        let (regs, sregs) = (vcpu.get_regs().ok()?, vcpu.get_sregs().ok()?);
        let state = CpuState {
            registers: Registers::from_kvm(&regs),
            selectors: [&sregs.cs, &sregs.ss, &sregs.ds, &sregs.es, &sregs.fs, &sregs.gs].map(|one| one.selector),
            fs_base: sregs.fs.base,
            gs_base: sregs.gs.base,
            cr0: sregs.cr0,
            cr2: sregs.cr2,
            cr3: sregs.cr3,
            cr4: sregs.cr4,
        };
        Some(state.leave_stub(&self.memory))
    }

    fn fault(&self, vcpu: &VcpuFd) -> Outcome {
        let (Ok(regs), Ok(sregs)) = (vcpu.get_regs(), vcpu.get_sregs()) else {
            return Outcome::HostError("the registers of a faulting guest cannot be read".into());
        };
        let registers = Registers::from_kvm(&regs);
        match exceptions::report(&self.memory, registers, sregs.cr2) {
            Some(fault) => Outcome::Fault(Box::new(fault)),
            None => Outcome::Violation(format!("the vCPU halted at rip {:#x}", regs.rip)),
        }
    }
}

impl Wake for KvmBackend {
    fn doorbell(&self) -> RawFd {
        use std::os::fd::AsRawFd;
        self.doorbell.as_raw_fd()
    }

    fn drain_doorbell(&self) -> u64 {
        // EAGAIN means that another thread took it.
        self.doorbell.read().unwrap_or(0)
    }

    fn wake_guest(&self) {
        *lock(&self.woken.0) = true;
        self.woken.1.notify_one();
    }
}

impl Stop for KvmBackend {
    fn stop_guest(&self) {
        self.woken.1.notify_all();
        let thread = self.thread.load(Ordering::Acquire);
        if thread != 0 {
            // SAFETY: the thread set its own id and does not end before the watchdog that calls this.
            unsafe { libc::pthread_kill(thread, kick_signal()) };
        }
    }

    fn while_paused(&self, action: &mut dyn FnMut(CpuState)) -> bool {
        let halted = self.pause.begin(|| self.stop_guest());
        let state = if halted { self.state(&lock(&self.vcpu)) } else { None };
        if let Some(state) = state {
            action(state);
        }
        self.pause.end();
        state.is_some()
    }

    fn cpu_time(&self) -> Duration {
        // The guest runs on this thread.
        self.clock.total()
    }
}

impl Backend for KvmBackend {
    fn run_guest(&self, executor: &Executor<'_>) -> Outcome {
        // SAFETY: pthread_self has no preconditions.
        self.thread.store(unsafe { libc::pthread_self() }, Ordering::Release);
        self.clock.enter();
        let mut vcpu = lock(&self.vcpu);
        let mut buffer = MoveBuffer::default();
        while !executor.stopped() {
            if self.pause.wanted() {
                drop(vcpu);
                self.pause.halt();
                vcpu = lock(&self.vcpu);
                continue;
            }
            let exit = vcpu.run();
            executor.counters().exits.fetch_add(1, Ordering::Relaxed);
            match exit {
                Ok(VcpuExit::IoOut(port, data)) if u32::from(port) == PORT_EXIT => {
                    let mut code = [0; 4];
                    let used = data.len().min(4);
                    code[..used].copy_from_slice(&data[..used]);
                    return Outcome::Exit(u32::from_le_bytes(code));
                }
                Ok(VcpuExit::IoOut(port, _)) if u32::from(port) == PORT_WAIT => {
                    executor.serve_pending(&mut buffer, self);
                    self.wait_for_completion(executor);
                }
                Ok(VcpuExit::IoOut(port, _)) if u32::from(port) == PORT_ITEM => {
                    executor.answer_item();
                }
                // From a kept VM, or of a width that the ioeventfd does not take, which is as good as a ring.
                Ok(VcpuExit::IoOut(port, _)) if u32::from(port) == PORT_DOORBELL => {
                    if !executor.serve_pending(&mut buffer, self) {
                        let _ = self.doorbell.write(1);
                    }
                }
                Ok(VcpuExit::IoIn(port, data)) => {
                    data.fill(0);
                    let _ = port;
                }
                Ok(VcpuExit::IoOut(..)) => {}
                Ok(VcpuExit::Hlt) => return self.fault(&vcpu),
                Ok(VcpuExit::Shutdown) => return shutdown(&vcpu),
                Ok(VcpuExit::Intr) => {}
                Ok(other) => return Outcome::Violation(format!("unexpected exit {other:?}")),
                Err(error) if matches!(error.errno(), libc::EINTR | libc::EAGAIN) => {}
                // No guest can make this call fail: what it does wrong comes back as an exit.
                Err(error) => return Outcome::SandboxError(refused("KVM_RUN", &error)),
            }
        }
        Outcome::HostError("stopped".into())
    }

    fn run_second(&self, executor: &Executor<'_>) -> Outcome {
        // SAFETY: pthread_self has no preconditions.
        self.thread.store(unsafe { libc::pthread_self() }, Ordering::Release);
        self.clock.enter();
        let mut vcpu = lock(&self.vcpu);
        let mut nap = Nap::default();
        while !executor.stopped() {
            let exit = vcpu.run();
            match exit {
                Ok(VcpuExit::IoOut(port, _)) if u32::from(port) == PORT_WAIT => {
                    nap.take();
                    continue;
                }
                Ok(VcpuExit::IoOut(port, _)) if u32::from(port) == PORT_DOORBELL => continue,
                Ok(VcpuExit::IoOut(..) | VcpuExit::IoIn(..)) => return left(),
                Ok(VcpuExit::Hlt) => return self.fault(&vcpu),
                Ok(VcpuExit::Shutdown) => return shutdown(&vcpu),
                Ok(VcpuExit::Intr) => {}
                Ok(other) => return Outcome::Violation(format!("unexpected exit {other:?}")),
                Err(error) if matches!(error.errno(), libc::EINTR | libc::EAGAIN) => {}
                Err(error) => return Outcome::SandboxError(refused("KVM_RUN", &error)),
            }
            executor.counters().exits.fetch_add(1, Ordering::Relaxed);
        }
        Outcome::HostError("stopped".into())
    }

    fn final_state(&self, outcome: &Outcome) -> CpuState {
        let state = self.state(&lock(&self.vcpu)).unwrap_or_default();
        match outcome {
            // The exception frame, not the stub that the exception led to.
            Outcome::Fault(fault) => CpuState {
                registers: fault.registers,
                selectors: [USER_CODE, USER_DATA, USER_DATA, USER_DATA, USER_DATA, USER_DATA],
                ..state
            },
            _ => state,
        }
    }
}

fn shutdown(vcpu: &VcpuFd) -> Outcome {
    let place = vcpu.get_regs().map_or(0, |regs| regs.rip);
    Outcome::Violation(format!("triple fault at rip {place:#x}"))
}
