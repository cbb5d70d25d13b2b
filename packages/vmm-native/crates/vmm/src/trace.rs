//! A trace of the commands that guests had carried out, one line each, for who looks for a fault. It shows places and lengths,
//! no content.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::time::Instant;

use crate::descriptor::{Command, DeviceRange};

/// Where the lines go.
pub struct Trace {
    file: File,
    started: Instant,
}

impl Trace {
    /// Appends to a file, which is made where there is none.
    ///
    /// # Errors
    /// Those of opening it.
    pub fn open(path: &Path) -> std::io::Result<Self> {
        let file = OpenOptions::new().append(true).create(true).open(path)?;
        Ok(Self { file, started: Instant::now() })
    }

    /// Notes a command that ended: when it began (seconds since the run did), what it was, the number of its error, and how long
    /// it took.
    pub fn note(&self, command: &Command, began: Instant, errno: i32) {
        let at = began.saturating_duration_since(self.started).as_secs_f64();
        let took = began.elapsed().as_secs_f64();
        let what = words(command);
        let line = format!("{at:.6} {what} = {errno} <{took:.6}>\n");
        // Whoever traces may have filled the disk; the run goes on as it would without.
        let _ = (&self.file).write_all(line.as_bytes());
    }
}

fn range(name: &str, DeviceRange { device, offset, length }: &DeviceRange) -> String {
    format!("{name}={device} offset={offset} length={length}")
}

fn words(command: &Command) -> String {
    match command {
        Command::Read { source, window } => format!("READ {} window={window:#x}", range("device", source)),
        Command::Write { target, window } => format!("WRITE {} window={window:#x}", range("device", target)),
        Command::Copy { source, target } => {
            format!("COPY {} target={} target_offset={}", range("device", source), target.device, target.offset)
        }
        Command::Zero { target, hole } => format!("ZERO {} hole={}", range("device", target), u8::from(*hole)),
        Command::Flush { device } => format!("FLUSH device={device}"),
        Command::Log { length, .. } => format!("LOG length={length}"),
        Command::Progress { done, total } => format!("PROGRESS done={done} total={total}"),
        Command::Preserve { target } => format!("PRESERVE {}", range("device", target)),
        Command::Release { target } => format!("RELEASE {}", range("device", target)),
        Command::Compare { source, other, .. } => {
            format!("COMPARE {} other={} other_offset={}", range("device", source), other.device, other.offset)
        }
        Command::Extent { source, .. } => format!("EXTENT {}", range("device", source)),
        Command::Next => "NEXT".into(),
    }
}
