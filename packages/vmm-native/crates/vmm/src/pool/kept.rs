//! A sandbox that serves one run after the other, as if each were its first.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use instar_abi::{SandboxBoot, REGION_CHAIN_CONFIG, REGION_OPERATION_CONFIG};

use super::template::Template;
use crate::attendant::Attendant;
use crate::device::DeviceTable;
use crate::guest_image::{startup_entry, GuestImage};
use crate::kvm::{CpuTemplate, Doorbell, KvmBackend};
use crate::memory::GuestMemory;
use crate::process::{cpu_seconds, prepare, put_boot_page, Nursery, ProcessBackend, ProcessKind};
use crate::report::Report;
use crate::run::{conduct, executor, put_config, Control, Processors, RunOptions, Sandbox, StartError};
use crate::watchdog::Limits;

/// What a guest may take to refuse that it has nothing to read.
const REHEARSAL: Duration = Duration::from_secs(1);

/// A sandbox between two runs.
pub struct Kept {
    cell: Cell,
    memory: Arc<GuestMemory>,
    template: Template,
}

enum Cell {
    /// The same VM for all runs. Without a template of its processor none is used twice.
    Vm { backend: Box<KvmBackend>, cpu: Option<Box<CpuTemplate>> },
    /// A new process for each run, made ahead, of a nursery that no guest can reach.
    Process { nursery: Nursery, boot: Box<SandboxBoot>, next: Option<ProcessBackend> },
}

impl Kept {
    /// Makes one.
    pub fn make(image: &[u8], sandbox: Sandbox, helper: &Path) -> Result<Self, StartError> {
        let image = GuestImage::parse(image).map_err(StartError::Image)?;
        let memory = match sandbox {
            Sandbox::Kvm => GuestMemory::anonymous(),
            Sandbox::Process => GuestMemory::shared(),
        };
        let memory = memory.map_err(|error| StartError::Sandbox(format!("guest memory: {error}")))?;
        image.load(&memory).map_err(StartError::Image)?;
        let memory = Arc::new(memory);
        let cell = match sandbox {
            Sandbox::Kvm => {
                let backend = Box::new(KvmBackend::new(&memory, &image, Doorbell::Exit)?);
                let cpu = backend.cpu_template().ok().map(Box::new);
                Cell::Vm { backend, cpu }
            }
            Sandbox::Process => {
                let entry = startup_entry(&memory, &image).map_err(StartError::Image)?;
                let boot =
                    prepare(&memory, &image, entry, ProcessKind::alone(None, false)).map_err(StartError::Sandbox)?;
                let nursery = Nursery::start(helper).map_err(StartError::Sandbox)?;
                Cell::Process { nursery, boot: Box::new(boot), next: None }
            }
        };
        let template = Template::take(&memory, &image).map_err(StartError::Sandbox)?;
        let mut kept = Self { cell, memory, template };
        kept.fork_ahead().map_err(StartError::Sandbox)?;
        Ok(kept)
    }

    /// Serves a run, which `attendant` watches. Returns its report, and whether it ended so that the sandbox may be restored.
    pub fn run(
        &mut self,
        options: &RunOptions<'_>,
        control: &Control,
        attendant: Option<&Attendant>,
    ) -> Result<(Report, bool), StartError> {
        put_config(&self.memory, &REGION_CHAIN_CONFIG, options.chain_config)
            .and_then(|()| put_config(&self.memory, &REGION_OPERATION_CONFIG, options.operation_config))
            .map_err(StartError::Config)?;
        let executor = executor(options, control, &self.memory)?;
        let executor = if options.io_threads == 0 { executor.in_guest_thread() } else { executor };
        match &mut self.cell {
            Cell::Vm { backend, .. } => Ok(conduct(
                executor,
                Processors { first: &**backend, second: None, attendant },
                &self.memory,
                options,
                control,
            )),
            Cell::Process { nursery, boot, next } => {
                let seconds = cpu_seconds(options.limits.cpu);
                // What was made ahead has no limit of its own.
                let ahead = next.take().filter(|_| seconds == 0);
                let backend = match ahead {
                    Some(backend) => backend,
                    None => {
                        let boot = SandboxBoot { cpu_seconds: seconds, ..**boot };
                        put_boot_page(&self.memory, &boot)
                            .and_then(|()| ProcessBackend::fork(nursery, &self.memory))
                            .map_err(StartError::Sandbox)?
                    }
                };
                backend.release();
                Ok(conduct(
                    executor,
                    Processors { first: &backend, second: None, attendant },
                    &self.memory,
                    options,
                    control,
                ))
            }
        }
    }

    /// Has the guest of a VM run once, without a file, which it refuses: what KVM and the system only do for memory that is
    /// touched for the first time is done then. `None` where it did not end as it should, or could not be restored.
    pub fn rehearsed(mut self, attendant: Option<&Attendant>) -> Option<Self> {
        if !matches!(self.cell, Cell::Vm { cpu: Some(_), .. }) {
            return Some(self);
        }
        let devices = DeviceTable::default();
        let nothing = RunOptions {
            image: &[],
            chain_config: &[],
            operation_config: &[],
            secrets: &[],
            key_memory: 0,
            devices: &devices,
            limits: Limits { wall_clock: Some(REHEARSAL), ..Limits::default() },
            sandbox: Sandbox::Kvm,
            helper: Path::new(""),
            io_threads: 0,
            session: false,
            second: false,
            trace: None,
            dump: None,
        };
        let (_, clean) = self.run(&nothing, &Control::default(), attendant).ok()?;
        (clean && self.restore().is_ok()).then_some(self)
    }

    /// Brings everything back to what it was before the first run.
    pub fn restore(&mut self) -> Result<(), String> {
        self.template.restore(&self.memory)?;
        if let Cell::Vm { backend, cpu } = &mut self.cell {
            let cpu = cpu.as_ref().ok_or("this KVM cannot restore a vCPU")?;
            backend.restore(cpu)?;
        }
        self.fork_ahead()
    }

    /// Makes the process of the next run: its memory is ready.
    fn fork_ahead(&mut self) -> Result<(), String> {
        if let Cell::Process { nursery, boot, next } = &mut self.cell {
            put_boot_page(&self.memory, boot)?;
            *next = Some(ProcessBackend::fork(nursery, &self.memory)?);
        }
        Ok(())
    }
}
