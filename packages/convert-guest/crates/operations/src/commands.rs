//! Commands in flight: submits descriptors, keeps track of them, and turns failures into errors. No end of a command is
//! lost: a ticket that is dropped, and every write that failed, come out of [`Commands::finish`].

use alloc::rc::Rc;
use core::cell::{Cell, RefCell};

use instar_abi::{Completion, Descriptor, RING_ENTRIES, opcode};
use instar_guest_runtime::Ring;

use crate::error::OperationError;
use crate::packed_streams::SharedStreams;

const SLOTS: usize = RING_ENTRIES as usize;

/// What is known of one command.
#[derive(Clone, Copy)]
enum Slot {
    Free,
    /// In flight; nobody will ask for its end.
    Detached(Places),
    /// In flight; a ticket is out.
    Attached(Places),
    /// Done; a ticket is out.
    Done(Option<Failed>),
}

/// Where a command works, for its error.
#[derive(Clone, Copy)]
struct Places {
    source: (u32, u64),
    target: (u32, u64),
    reads: Reads,
}

/// Which places of a command are read.
#[derive(Clone, Copy)]
enum Reads {
    /// The source alone, and nothing is written.
    One,
    /// Both, and nothing is written.
    Both,
    /// The source, where there is one; the target is written.
    Source,
}

/// How a command failed.
#[derive(Clone, Copy)]
struct Failed {
    write: bool,
    place: (u32, u64),
    errno: u32,
}

/// A command that someone will wait for. It ends in [`Commands::wait`]: one that is dropped makes the operation fail.
#[must_use = "a command whose end nobody awaits may fail unseen"]
pub struct Ticket {
    slot: usize,
    awaited: bool,
    dropped: Rc<Cell<bool>>,
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if !self.awaited {
            self.dropped.set(true);
        }
    }
}

/// The commands in flight.
pub struct Commands {
    ring: Ring,
    slots: [Slot; SLOTS],
    in_flight: usize,
    /// The first write, or detached command, that failed; the next `submit`, `drain` or `finish` tells.
    failed: Option<Failed>,
    /// Set by a ticket that nobody waited for.
    dropped: Rc<Cell<bool>>,
    /// Packed files that are read by these commands.
    streams: SharedStreams,
}

/// One set of commands for all who read and write.
pub type SharedCommands = Rc<RefCell<Commands>>;

fn places_of(descriptor: &Descriptor) -> Places {
    Places {
        source: (descriptor.device, descriptor.offset),
        target: (descriptor.target_device, descriptor.target_offset),
        reads: match descriptor.opcode {
            opcode::READ | opcode::EXTENT => Reads::One,
            opcode::COMPARE => Reads::Both,
            _ => Reads::Source,
        },
    }
}

impl Places {
    /// What a completion says of the command that works here.
    fn outcome(self, completion: Completion) -> Option<Failed> {
        let at_source = completion.source_failed != 0 || matches!(self.reads, Reads::One);
        let write = !at_source && matches!(self.reads, Reads::Source);
        let place = if at_source { self.source } else { self.target };
        let errno = completion.status.unsigned_abs();
        (errno != 0).then_some(Failed {
            write,
            place,
            errno,
        })
    }
}

impl From<Failed> for OperationError {
    fn from(failed: Failed) -> Self {
        let Failed {
            write,
            place: (device, offset),
            errno,
        } = failed;
        Self::Command {
            write,
            device,
            offset,
            errno,
        }
    }
}

impl Commands {
    /// No command in flight.
    pub fn new(ring: Ring) -> Self {
        Self {
            ring,
            slots: [Slot::Free; SLOTS],
            in_flight: 0,
            failed: None,
            dropped: Rc::default(),
            streams: SharedStreams::default(),
        }
    }

    /// The packed files that the guest reads.
    pub fn streams(&self) -> SharedStreams {
        Rc::clone(&self.streams)
    }

    /// For sharing within the guest's one thread.
    pub fn shared(self) -> SharedCommands {
        Rc::new(RefCell::new(self))
    }

    fn settle(&mut self, completion: Completion) {
        self.in_flight = self.in_flight.saturating_sub(1);
        let index = usize::try_from(completion.user_data).unwrap_or(SLOTS);
        let Some(slot) = self.slots.get_mut(index) else {
            return;
        };
        match *slot {
            Slot::Detached(places) => {
                *slot = Slot::Free;
                self.failed = self.failed.or(places.outcome(completion));
            }
            Slot::Attached(places) => {
                let outcome = places.outcome(completion);
                *slot = Slot::Done(outcome);
                // Whoever waits is told as well. A read may be tried in vain; what should have been written is missing.
                self.failed = self.failed.or(outcome.filter(|failed| failed.write));
            }
            Slot::Free | Slot::Done(_) => {}
        }
    }

    fn check(&self) -> Result<(), OperationError> {
        self.failed.map_or(Ok(()), |failed| Err(failed.into()))
    }

    fn put(&mut self, mut descriptor: Descriptor, attached: bool) -> usize {
        while let Some(completion) = self.ring.poll() {
            self.settle(completion);
        }
        let index = loop {
            if let Some(index) = self
                .slots
                .iter()
                .position(|slot| matches!(slot, Slot::Free))
            {
                break index;
            }
            let completion = self.ring.next_completion();
            self.settle(completion);
        };
        descriptor.user_data = index as u64;
        let places = places_of(&descriptor);
        if let Some(slot) = self.slots.get_mut(index) {
            *slot = if attached {
                Slot::Attached(places)
            } else {
                Slot::Detached(places)
            };
        }
        self.in_flight = self.in_flight.saturating_add(1);
        self.ring.submit(&descriptor);
        index
    }

    /// Submits a command and forgets it; its failure comes out of a later call.
    pub fn submit(&mut self, descriptor: Descriptor) -> Result<(), OperationError> {
        self.check()?;
        self.put(descriptor, false);
        Ok(())
    }

    /// Submits a command that someone will wait for.
    pub fn start(&mut self, descriptor: Descriptor) -> Ticket {
        Ticket {
            slot: self.put(descriptor, true),
            awaited: false,
            dropped: Rc::clone(&self.dropped),
        }
    }

    /// Waits for one command, and tells how that one ended.
    pub fn wait(&mut self, mut ticket: Ticket) -> Result<(), OperationError> {
        ticket.awaited = true;
        loop {
            match self.slots.get(ticket.slot) {
                Some(Slot::Done(failed)) => {
                    let failed = *failed;
                    if let Some(slot) = self.slots.get_mut(ticket.slot) {
                        *slot = Slot::Free;
                    }
                    return failed.map_or(Ok(()), |failed| Err(failed.into()));
                }
                Some(Slot::Attached(_)) => {
                    let completion = self.ring.next_completion();
                    self.settle(completion);
                }
                _ => {
                    let detail = "a command was waited for twice";
                    return Err(OperationError::plain(
                        instar_abi::error_kind::INTERNAL,
                        0,
                        detail,
                    ));
                }
            }
        }
    }

    /// Waits until nothing is in flight, and tells the first failure. Tickets that are out stay good.
    pub fn drain(&mut self) -> Result<(), OperationError> {
        while self.in_flight > 0 {
            let completion = self.ring.next_completion();
            self.settle(completion);
        }
        self.check()
    }

    /// Tells the host that the result is there, and sleeps until it has put another request into the config pages. Returns
    /// whether it has. What went wrong before is forgotten: it stands in the result.
    pub fn next_request(&mut self) -> bool {
        // Whatever is in flight is of no use any more.
        let _ = self.drain();
        self.failed = None;
        self.dropped.set(false);
        self.slots = [Slot::Free; SLOTS];
        let ticket = self.start(descriptor(opcode::NEXT));
        let came = self.wait(ticket).is_ok();
        self.failed = None;
        came
    }

    /// Ends an operation: everything has come back, nothing failed, and no end of a command was left unasked.
    pub fn finish(&mut self) -> Result<(), OperationError> {
        self.drain()?;
        let asked = |slot: &Slot| matches!(slot, Slot::Free);
        if self.dropped.get() || !self.slots.iter().all(asked) {
            let detail = "the end of a command was not awaited";
            return Err(OperationError::plain(
                instar_abi::error_kind::INTERNAL,
                0,
                detail,
            ));
        }
        Ok(())
    }
}

/// A descriptor with nothing set but its opcode.
pub fn descriptor(opcode: u32) -> Descriptor {
    Descriptor {
        opcode,
        ..Descriptor::ZERO
    }
}
