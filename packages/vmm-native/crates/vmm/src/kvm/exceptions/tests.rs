//! The descriptor tables as the processor would read them, and exception frames read back.
#![allow(clippy::unwrap_used, clippy::cast_possible_truncation)]

use super::*;

fn built() -> GuestMemory {
    let memory = GuestMemory::anonymous().unwrap();
    build(&memory).unwrap();
    memory
}

fn read<const N: usize>(memory: &GuestMemory, address: u64) -> [u8; N] {
    let mut bytes = [0; N];
    memory.read(address, &mut bytes).unwrap();
    bytes
}

#[test]
fn opens_the_doorbell_ports_and_no_other() {
    let memory = built();
    let map_base = u64::from(u16::from_le_bytes(read(&memory, tss_address() + 0x66)));
    // A port is open when its bit is clear and both bytes that hold its bits lie within the limit (SDM volume 1, 19.5.2).
    let is_open = |port: u64| {
        let offset = map_base + port / 8;
        if offset + 1 > u64::from(TSS_LIMIT) {
            return false;
        }
        let byte = read::<1>(&memory, tss_address() + offset)[0];
        byte & (1 << (port % 8)) == 0
    };
    let open: Vec<u64> = (0..=0xffff).filter(|port| is_open(*port)).collect();
    let expected: Vec<u64> = [PORT_DOORBELL, PORT_WAIT, PORT_EXIT, PORT_ITEM]
        .iter()
        .flat_map(|port| u64::from(*port)..u64::from(*port) + 4)
        .collect();
    assert_eq!(open, expected);
    let closing = read::<1>(&memory, tss_address() + u64::from(TSS_LIMIT))[0];
    assert_eq!(closing, 0xff, "the byte behind the bitmap closes what straddles its end");
}

#[test]
fn every_gate_leads_to_a_stub_of_its_own_and_none_is_open_to_cpl_3() {
    let memory = built();
    for vector in 0..VECTORS {
        let gate = read::<16>(&memory, IDT + vector * 16);
        let target = u64::from(u16::from_le_bytes([gate[0], gate[1]]))
            | u64::from(u16::from_le_bytes([gate[6], gate[7]])) << 16
            | u64::from(u32::from_le_bytes([gate[8], gate[9], gate[10], gate[11]])) << 32;
        assert_eq!(target, STUBS + vector * STUB_STRIDE);
        assert!(target < STUBS + PAGE);
        assert_eq!(u16::from_le_bytes([gate[2], gate[3]]), KERNEL_CODE);
        assert_eq!(gate[5], 0x8e, "present, DPL 0, interrupt gate");
        assert_eq!(gate[4], u8::from(vector == DOUBLE_FAULT), "only double faults have a stack of their own");
    }
    let behind = read::<16>(&memory, IDT + VECTORS * 16);
    assert_eq!(behind, [0; 16]);
}

#[test]
fn stubs_are_nothing_but_hlt() {
    let memory = built();
    assert!(read::<4096>(&memory, STUBS).iter().all(|byte| *byte == HLT));
}

#[test]
fn stacks_of_the_task_end_where_their_pages_end() {
    let memory = built();
    let word = |offset| u64::from_le_bytes(read(&memory, tss_address() + offset));
    assert_eq!(word(0x04), KERNEL_STACK + PAGE);
    assert_eq!(word(0x24), FAULT_STACK + PAGE);
    assert!(tss_address() + u64::from(TSS_LIMIT) < DESCRIPTORS + PAGE);
}

#[test]
fn selectors_have_the_privilege_that_their_name_says() {
    let memory = built();
    let dpl = |selector: u16| read::<8>(&memory, DESCRIPTORS + u64::from(selector & !7))[5] >> 5 & 3;
    assert_eq!([KERNEL_CODE, 0x10, USER_DATA, USER_CODE, TASK].map(dpl), [0, 0, 3, 3, 0]);
    assert_eq!(read::<8>(&memory, DESCRIPTORS), [0; 8]);
}

/// Registers as they are in the stub of a vector, with the processor's frame on the kernel stack.
fn stopped(memory: &GuestMemory, vector: u64, frame: &[u64]) -> Registers {
    let stack = KERNEL_STACK + PAGE - frame.len() as u64 * 8;
    let bytes: Vec<u8> = frame.iter().flat_map(|word| word.to_le_bytes()).collect();
    memory.write(stack, &bytes).unwrap();
    let mut registers = Registers::default();
    registers.values[0] = 0xaaaa;
    registers.values[7] = stack;
    registers.values[16] = STUBS + vector * STUB_STRIDE + 1;
    registers
}

#[test]
fn reads_a_frame_with_an_error_code() {
    let memory = built();
    let registers = stopped(&memory, 14, &[0x15, 0x20_1234, 0x23, 0x202, 0xd_f000, 0x1b]);
    let fault = report(&memory, registers, 0xbad_0000).unwrap();
    assert_eq!((fault.vector, fault.error_code, fault.cr2), (14, 0x15, 0xbad_0000));
    assert_eq!((fault.registers.rip(), fault.registers.rsp()), (0x20_1234, 0xd_f000));
    assert_eq!((fault.registers.values[17], fault.registers.values[0]), (0x202, 0xaaaa));
    assert_eq!(fault.to_string(), "page fault (vector 14, error code 0x15) at rip 0x201234, address 0xbad0000");
}

#[test]
fn reads_a_frame_without_an_error_code() {
    let memory = built();
    for vector in [0, 1, 3, 6, 16, 19] {
        let registers = stopped(&memory, vector, &[0x20_0001, 0x23, 0x10202, 0xd_0000, 0x1b]);
        let fault = report(&memory, registers, 0).unwrap();
        assert_eq!((fault.vector, fault.error_code), (vector, 0));
        assert_eq!((fault.registers.rip(), fault.registers.rsp()), (0x20_0001, 0xd_0000));
    }
}

#[test]
fn makes_no_report_of_a_halt_that_is_in_no_stub() {
    let memory = built();
    let mut registers = stopped(&memory, 6, &[0; 6]);
    for rip in [0, 1, STUBS, STUBS + VECTORS * STUB_STRIDE + 1, 0x20_0000, u64::MAX] {
        registers.values[16] = rip;
        assert_eq!(report(&memory, registers, 0), None, "rip {rip:#x}");
    }
}

#[test]
fn makes_no_report_of_a_frame_outside_memory() {
    let memory = built();
    let mut registers = stopped(&memory, 6, &[0; 6]);
    for rsp in [memory.size() - 8, memory.size(), u64::MAX - 8, u64::MAX] {
        registers.values[7] = rsp;
        assert_eq!(report(&memory, registers, 0), None, "rsp {rsp:#x}");
    }
}
