import { bitField, bitStruct, i16, i32, struct, u8, uint } from '@instar/layout';

/** As the kernel's header says it; where the nibbles lie is the compiler's business, and the target's. */
export const Regs = struct('regs', { dst: bitField(u8, 4), src: bitField(u8, 4) });

/** The same by labels: the place of each field follows from the byte order. */
export const RegsByLabel = bitStruct('regs_by_label', {
  src: { type: uint(4), label: { little: 0, big: 4 } },
  dst: { type: uint(4), label: { little: 4, big: 0 } },
});

/** An eBPF instruction (kernel documentation, "BPF Instruction Set", "Instruction encoding"). */
export const Instruction = struct('bpf_insn', { code: u8, regs: Regs, off: i16, imm: i32 }, { size: 8 });
