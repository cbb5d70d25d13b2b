import { array, integral, struct, tablePointer, tagged, u32, u64, uint, type Struct } from '@instar/layout';

/** The word that says what a capability is: its type has six bits. */
export const CapHeader = integral('CapHeader', u32, {
  alloc_count: uint(20),
  restr: uint(5),
  swizzled: uint(1),
  kind: uint(6),
});

/** An entry of the object table: a pointer while the object is in memory, an index in an image on disk. */
export const objectEntry = tablePointer('OTEntry', 32);

/** A capability: what follows the header is what its six bits say. */
export const Capability = struct('Capability', {
  header: CapHeader,
  body: tagged('CapBody', 'header.kind', {
    none: [0, struct('CapNone', { zero: array(u32, 2) })],
    window: [1, struct('CapWindow', { slot: u32, limit: u32 })],
    object: [17, struct('CapObject', { oid: u64 })],
    prepared: [18, struct('CapPrepared', { entry: objectEntry })],
  }),
});

/** A process as a tool that makes images knows it: the registers of the target follow, and are none of its business. */
export function processWith<V>(registers: Struct<V>) {
  return struct(
    'Process',
    { run_state: u32, fault_code: u32, fault_info: u64, schedule: Capability, registers },
    { tail: 'registers' },
  );
}

export const RegistersRiscV = struct('RegistersRiscV', { pc: u64, x: array(u64, 31) });
export const RegistersColdFire = struct('RegistersColdFire', { d: array(u32, 8), a: array(u32, 8), pc: u32, sr: u32 });
