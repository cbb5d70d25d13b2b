//! What the check of a descriptor accepts and refuses.
#![allow(clippy::unwrap_used)]

use instar_abi::{command_flag, opcode, Descriptor, COMMAND_MAX_LENGTH, LOG_MAX_LENGTH, REGION_RING, REGION_WINDOWS};
use instar_vmm::descriptor::{validate, Command, DeviceRange};
use instar_vmm::device::{Access, Device, DeviceTable};
use proptest::prelude::*;

const INPUT_SIZE: u64 = 10_000;
const OUTPUT_LIMIT: u64 = 20_000;
const OUTPUT: u32 = 1;
const STREAM: u32 = 2;
const EDITED: u32 = 3;

fn device(access: Access, size: u64) -> Device {
    Device { fd: -1, access, size, fresh: false, log: None, remote: None }
}

fn devices() -> DeviceTable {
    DeviceTable::new(vec![
        device(Access::Input, INPUT_SIZE),
        device(Access::Output, OUTPUT_LIMIT),
        device(Access::StreamOutput, u64::MAX),
        device(Access::Edited, OUTPUT_LIMIT),
    ])
}

fn base(code: u32) -> Descriptor {
    Descriptor { opcode: code, ..Descriptor::ZERO }
}

fn read() -> Descriptor {
    Descriptor { length: 512, window: REGION_WINDOWS.start, ..base(opcode::READ) }
}

fn write() -> Descriptor {
    Descriptor { target_device: OUTPUT, length: 512, window: REGION_WINDOWS.start, ..base(opcode::WRITE) }
}

fn copy() -> Descriptor {
    Descriptor { target_device: OUTPUT, length: 512, ..base(opcode::COPY) }
}

fn zero() -> Descriptor {
    Descriptor { target_device: OUTPUT, length: 512, ..base(opcode::ZERO) }
}

fn preserve() -> Descriptor {
    Descriptor { target_device: EDITED, length: 512, ..base(opcode::PRESERVE) }
}

fn release() -> Descriptor {
    Descriptor { target_device: EDITED, length: 512, ..base(opcode::RELEASE) }
}

fn compare() -> Descriptor {
    Descriptor { target_device: EDITED, length: 512, window: REGION_WINDOWS.start, ..base(opcode::COMPARE) }
}

fn flush() -> Descriptor {
    Descriptor { target_device: OUTPUT, ..base(opcode::FLUSH) }
}

fn log() -> Descriptor {
    Descriptor { length: 16, window: REGION_WINDOWS.start, ..base(opcode::LOG) }
}

fn progress() -> Descriptor {
    Descriptor { offset: 3, length: 7, ..base(opcode::PROGRESS) }
}

fn refused(descriptor: Descriptor, words: &str) {
    let error = validate(&descriptor, &devices()).unwrap_err();
    assert!(error.contains(words), "`{error}` does not contain `{words}`");
}

#[test]
fn accepts_each_command_and_carries_its_fields_over() {
    let source = DeviceRange { device: 0, offset: 0, length: 512 };
    let target = DeviceRange { device: OUTPUT, offset: 0, length: 512 };
    let window = REGION_WINDOWS.start;
    for (descriptor, command) in [
        (read(), Command::Read { source, window }),
        (write(), Command::Write { target, window }),
        (copy(), Command::Copy { source, target }),
        (zero(), Command::Zero { target, hole: false }),
        (Descriptor { flags: command_flag::HOLE, ..zero() }, Command::Zero { target, hole: true }),
        (flush(), Command::Flush { device: OUTPUT }),
        (log(), Command::Log { window, length: 16 }),
        (progress(), Command::Progress { done: 3, total: 7 }),
        (compare(), Command::Compare { source, other: DeviceRange { device: EDITED, offset: 0, length: 512 }, window }),
        (base(opcode::NEXT), Command::Next),
    ] {
        assert_eq!(validate(&descriptor, &devices()), Ok(command));
    }
}

#[test]
fn refuses_unknown_opcodes() {
    for code in [0, 13, 255, u32::MAX] {
        refused(Descriptor { opcode: code, ..read() }, "opcode");
    }
}

#[test]
fn refuses_what_a_command_does_not_use() {
    type Change = fn(&mut Descriptor);
    let set: [(&str, Change); 8] = [
        ("flags", |d| d.flags = 1 << 31),
        ("reserved", |d| d.reserved = 1),
        ("device is", |d| d.device = 1),
        ("target_device", |d| d.target_device = 2),
        ("offset is", |d| d.offset = 1),
        ("target_offset", |d| d.target_offset = 1),
        ("length", |d| d.length = 1),
        ("window", |d| d.window = REGION_WINDOWS.start),
    ];
    let used: [(Descriptor, &[&str]); 10] = [
        (compare(), &["device is", "target_device", "offset is", "target_offset", "length", "window"]),
        (preserve(), &["target_device", "target_offset", "length"]),
        (release(), &["target_device", "target_offset", "length"]),
        (read(), &["device is", "offset is", "length", "window"]),
        (write(), &["target_device", "target_offset", "length", "window"]),
        (copy(), &["device is", "target_device", "offset is", "target_offset", "length"]),
        (zero(), &["target_device", "target_offset", "length"]),
        (flush(), &["target_device"]),
        (log(), &["length", "window"]),
        (progress(), &["offset is", "length"]),
    ];
    for (descriptor, uses) in used {
        for (field, change) in set.iter().filter(|(field, _)| !uses.contains(field)) {
            let mut bent = descriptor;
            change(&mut bent);
            refused(bent, field);
        }
    }
}

#[test]
fn refuses_the_wrong_direction() {
    for descriptor in [read(), copy()] {
        refused(Descriptor { device: OUTPUT, ..descriptor }, "expected an input");
        refused(Descriptor { device: STREAM, ..descriptor }, "expected an input");
        refused(Descriptor { device: 4, ..descriptor }, "a device of the table");
        refused(Descriptor { device: u32::MAX, ..descriptor }, "a device of the table");
    }
    for descriptor in [write(), copy(), zero(), flush()] {
        refused(Descriptor { target_device: 0, ..descriptor }, "inputs are never written");
        refused(Descriptor { target_device: 4, ..descriptor }, "a device of the table");
        refused(Descriptor { target_device: u32::MAX, ..descriptor }, "a device of the table");
    }
    for device in [0, OUTPUT, STREAM] {
        for descriptor in [preserve(), release()] {
            let words = if device == 0 { "never written" } else { "edited" };
            refused(Descriptor { target_device: device, ..descriptor }, words);
        }
    }
}

#[test]
fn reads_and_writes_an_edited_device() {
    let range = DeviceRange { device: EDITED, offset: 0, length: 512 };
    let window = REGION_WINDOWS.start;
    for (descriptor, command) in [
        (Descriptor { device: EDITED, ..read() }, Command::Read { source: range, window }),
        (Descriptor { target_device: EDITED, ..write() }, Command::Write { target: range, window }),
        (preserve(), Command::Preserve { target: range }),
        (release(), Command::Release { target: range }),
    ] {
        assert_eq!(validate(&descriptor, &devices()), Ok(command));
    }
    for descriptor in [preserve(), release()] {
        refused(Descriptor { target_offset: OUTPUT_LIMIT, ..descriptor }, "within the output limit");
    }
}

#[test]
fn refuses_lengths_outside_their_bounds() {
    let most = u64::from(COMMAND_MAX_LENGTH);
    for descriptor in [read(), write(), copy()] {
        for length in [0, most + 1, u64::MAX] {
            refused(Descriptor { length, ..descriptor }, "length");
        }
    }
    for length in [0, (u64::MAX >> 1) + 1, u64::MAX] {
        refused(Descriptor { length, ..zero() }, "length");
    }
    for length in [0, u64::from(LOG_MAX_LENGTH) + 1, u64::MAX] {
        refused(Descriptor { length, ..log() }, "length");
    }
}

#[test]
fn refuses_ranges_beyond_a_device() {
    for offset in [INPUT_SIZE - 511, INPUT_SIZE, u64::MAX - 511, u64::MAX] {
        refused(Descriptor { offset, ..read() }, "offset");
        refused(Descriptor { offset, ..copy() }, "offset");
    }
    for target_offset in [OUTPUT_LIMIT - 511, OUTPUT_LIMIT, u64::MAX - 511, u64::MAX] {
        for descriptor in [write(), copy(), zero()] {
            refused(Descriptor { target_offset, ..descriptor }, "output limit");
        }
    }
    assert!(validate(&Descriptor { offset: INPUT_SIZE - 512, ..read() }, &devices()).is_ok());
    assert!(validate(&Descriptor { target_offset: OUTPUT_LIMIT - 512, ..write() }, &devices()).is_ok());
}

#[test]
fn refuses_windows_outside_their_region() {
    let end = REGION_WINDOWS.start + REGION_WINDOWS.size;
    for window in [0, 4096, REGION_RING.start, REGION_WINDOWS.start - 1, end - 15, end, u64::MAX - 15, u64::MAX] {
        for descriptor in [read(), write(), log()] {
            refused(Descriptor { window, ..descriptor }, "window");
        }
    }
    assert!(validate(&Descriptor { window: end - 512, ..read() }, &devices()).is_ok());
}

#[test]
fn knows_no_device_where_there_is_none() {
    for descriptor in [read(), write(), copy(), zero(), flush()] {
        assert!(validate(&descriptor, &DeviceTable::default()).is_err());
    }
    assert!(validate(&log(), &DeviceTable::default()).is_ok());
}

/// Numbers near the edges of everything that is checked, or anything.
fn number() -> impl Strategy<Value = u64> {
    let edges = [
        0,
        512,
        INPUT_SIZE,
        OUTPUT_LIMIT,
        u64::from(COMMAND_MAX_LENGTH),
        u64::from(LOG_MAX_LENGTH),
        REGION_WINDOWS.start,
        REGION_WINDOWS.start + REGION_WINDOWS.size,
        u64::MAX >> 1,
        u64::MAX,
    ];
    prop_oneof![
        4 => Just(0_u64),
        4 => (prop::sample::select(edges.to_vec()), 0_u64..1024).prop_map(|(edge, by)| edge.wrapping_add(by)),
        4 => (prop::sample::select(edges.to_vec()), 0_u64..1024).prop_map(|(edge, by)| edge.wrapping_sub(by)),
        1 => any::<u64>(),
    ]
}

fn word() -> impl Strategy<Value = u32> {
    prop_oneof![8 => 0_u32..4, 1 => any::<u32>()]
}

prop_compose! {
    fn descriptor()(
        opcode in prop_oneof![9 => 0_u32..10, 1 => any::<u32>()],
        flags in word(), device in word(), target_device in word(), user_data in any::<u64>(),
        offset in number(), target_offset in number(), length in number(), window in number(),
        reserved in prop_oneof![9 => Just(0_u64), 1 => any::<u64>()],
    ) -> Descriptor {
        Descriptor { opcode, flags, device, target_device, user_data, offset, target_offset, length, window, reserved }
    }
}

fn lies_within(range: DeviceRange, allowed: impl Fn(Access) -> bool) -> bool {
    let table = devices();
    let device = table.get(range.device).unwrap();
    allowed(device.access) && range.offset.checked_add(range.length).is_some_and(|end| end <= device.size)
}

fn is_window(window: u64, length: u64) -> bool {
    let end = u128::from(window) + u128::from(length);
    window >= REGION_WINDOWS.start && end <= u128::from(REGION_WINDOWS.start + REGION_WINDOWS.size)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 20_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn accepts_only_what_lies_within_devices_and_limits(descriptor in descriptor()) {
        let readable = |access| matches!(access, Access::Input | Access::Edited);
        let writable = |access| access != Access::Input;
        let good = match validate(&descriptor, &devices()) {
            Err(text) => !text.is_empty(),
            Ok(Command::Read { source, window }) => {
                lies_within(source, readable) && is_window(window, source.length) && source.length <= 0x80_0000
            }
            Ok(Command::Write { target, window }) => lies_within(target, writable) && is_window(window, target.length),
            Ok(Command::Copy { source, target }) => {
                lies_within(source, readable) && lies_within(target, writable) && source.length == target.length
            }
            Ok(Command::Compare { source, other, window }) => {
                lies_within(source, readable)
                    && lies_within(other, readable)
                    && source.length == other.length
                    && source.length <= 0x80_0000
                    && is_window(window, source.length.div_ceil(4096) * 2)
            }
            Ok(Command::Extent { source, window }) => lies_within(source, readable) && is_window(window, 16),
            Ok(Command::Zero { target, .. }) => lies_within(target, writable) && target.length > 0,
            Ok(Command::Preserve { target } | Command::Release { target }) => lies_within(target, |access| access == Access::Edited),
            Ok(Command::Flush { device }) => writable(devices().get(device).unwrap().access),
            Ok(Command::Log { window, length }) => is_window(window, length) && (1..=1024).contains(&length),
            Ok(Command::Progress { done, total }) => done == descriptor.offset && total == descriptor.length,
            Ok(Command::Next) => descriptor.length == 0 && descriptor.window == 0,
        };
        prop_assert!(good);
    }

    #[test]
    fn never_panics_on_any_bytes(bytes in any::<[u8; Descriptor::SIZE]>()) {
        let _ = validate(&Descriptor::from_bytes(&bytes), &devices());
    }
}
