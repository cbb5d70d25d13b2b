//! Commands in flight: submits descriptors, keeps track of them, and turns failures into errors.

use alloc::rc::Rc;
use core::cell::RefCell;

use instar_abi::{Completion, Descriptor, RING_ENTRIES, opcode};
use instar_guest_runtime::Ring;

use crate::error::OperationError;

const SLOTS: usize = RING_ENTRIES as usize;

/// What is known of one command.
#[derive(Clone, Copy)]
enum Slot {
    Free,
    /// In flight; nobody will ask for its end.
    Detached(Place),
    /// In flight; a ticket is out.
    Attached(Place),
    /// Done with this status; a ticket is out.
    Done(Place, i32),
}

/// Where a command works, for its error.
#[derive(Clone, Copy)]
struct Place {
    write: bool,
    device: u32,
    offset: u64,
}

/// A command that someone will wait for.
#[derive(Debug)]
pub struct Ticket(usize);

/// The commands in flight.
pub struct Commands {
    ring: Ring,
    slots: [Slot; SLOTS],
    in_flight: usize,
    failed: Option<OperationError>,
}

/// One set of commands for all who read and write.
pub type SharedCommands = Rc<RefCell<Commands>>;

fn place_of(descriptor: &Descriptor) -> Place {
    let write = descriptor.opcode != opcode::READ;
    if write {
        Place {
            write,
            device: descriptor.target_device,
            offset: descriptor.target_offset,
        }
    } else {
        Place {
            write,
            device: descriptor.device,
            offset: descriptor.offset,
        }
    }
}

fn error_of(place: Place, status: i32) -> OperationError {
    OperationError::Command {
        write: place.write,
        device: place.device,
        offset: place.offset,
        errno: status.unsigned_abs(),
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
        }
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
            Slot::Detached(place) => {
                *slot = Slot::Free;
                if completion.status != 0 && self.failed.is_none() {
                    self.failed = Some(error_of(place, completion.status));
                }
            }
            Slot::Attached(place) => *slot = Slot::Done(place, completion.status),
            Slot::Free | Slot::Done(..) => {}
        }
    }

    fn check(&mut self) -> Result<(), OperationError> {
        match &self.failed {
            Some(error) => Err(error.clone()),
            None => Ok(()),
        }
    }

    fn put(&mut self, mut descriptor: Descriptor, attached: bool) -> Result<usize, OperationError> {
        while let Some(completion) = self.ring.poll() {
            self.settle(completion);
        }
        self.check()?;
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
        let place = place_of(&descriptor);
        if let Some(slot) = self.slots.get_mut(index) {
            *slot = if attached {
                Slot::Attached(place)
            } else {
                Slot::Detached(place)
            };
        }
        self.in_flight = self.in_flight.saturating_add(1);
        self.ring.submit(&descriptor);
        Ok(index)
    }

    /// Submits a command and forgets it; its failure comes out of a later call.
    pub fn submit(&mut self, descriptor: Descriptor) -> Result<(), OperationError> {
        self.put(descriptor, false).map(|_| ())
    }

    /// Submits a command that someone will wait for.
    pub fn start(&mut self, descriptor: Descriptor) -> Result<Ticket, OperationError> {
        self.put(descriptor, true).map(Ticket)
    }

    /// Waits for one command.
    pub fn wait(&mut self, ticket: Ticket) -> Result<(), OperationError> {
        loop {
            match self.slots.get(ticket.0) {
                Some(Slot::Done(place, status)) => {
                    let (place, status) = (*place, *status);
                    if let Some(slot) = self.slots.get_mut(ticket.0) {
                        *slot = Slot::Free;
                    }
                    return if status == 0 {
                        self.check()
                    } else {
                        Err(error_of(place, status))
                    };
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

    /// Waits until nothing is in flight. Tickets that are out stay good.
    pub fn drain(&mut self) -> Result<(), OperationError> {
        while self.in_flight > 0 {
            let completion = self.ring.next_completion();
            self.settle(completion);
        }
        self.check()
    }
}

/// A descriptor with nothing set but its opcode.
pub fn descriptor(opcode: u32) -> Descriptor {
    Descriptor {
        opcode,
        ..Descriptor::ZERO
    }
}
