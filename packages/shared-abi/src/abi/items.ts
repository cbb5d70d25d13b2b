import { bytes, deferStruct, defineEnum, field, i32, named, u16, u32, u64 } from '@instar/layout';

/** I/O port on which a guest rings for an item request on KVM. */
export const PORT_ITEM = 0x50c;
/** Byte offset of the item mailbox from the start of the ring region. */
export const ITEM_MAILBOX_OFFSET = 0x3800;
/** Most bytes that one request moves. */
export const ITEM_MAX_LENGTH = 256;

/** Items that guest and host share, by selector; those of QEMU's fw_cfg files begin at 0x20 as well. */
export const ITEM = defineEnum('Item', 'Selectors of items.', {
  VMCOREINFO: [0x20, '`etc/vmcoreinfo`: FwCfgVmCoreInfo, written by the guest'],
});

/** What an item request asks for. */
export const ITEM_REQUEST = defineEnum('ItemRequest', 'What an item request asks for.', {
  NONE: [0, 'no request, or it was answered'],
  READ: [1, 'item[offset, +length) → data'],
  WRITE: [2, 'data → item[offset, +length)'],
});

/** Where the item functions of the call table meet the host; a guest only calls them. */
export const ItemMailbox = deferStruct('ItemMailbox', 288, 'A request for an item.', () => ({
  request: field(named(u32, ITEM_REQUEST), 0, 'ItemRequest; the host sets it to NONE when it has answered'),
  selector: field(u32, 4, 'Item'),
  offset: field(u32, 8, 'bytes'),
  length: field(u32, 12, 'bytes, at most ITEM_MAX_LENGTH'),
  status: field(i32, 16, 'bytes that were moved, or a negated errno'),
  pad: field(bytes(12), 20, 'zero'),
  data: field(bytes(ITEM_MAX_LENGTH), 32, 'what is moved'),
}));

/** Formats of a vmcoreinfo note (QEMU, docs/specs/vmcoreinfo). */
export const VMCOREINFO_FORMAT = defineEnum('VmCoreInfoFormat', 'Formats of a vmcoreinfo note.', {
  NONE: [0, 'nothing is described'],
  ELF: [1, 'an ELF note'],
});

/** The item `etc/vmcoreinfo`, little endian. Only a write of all 16 bytes counts. */
export const FwCfgVmCoreInfo = deferStruct('FwCfgVmCoreInfo', 16, 'Where the note for memory dumps lies.', () => ({
  host_format: field(named(u16, VMCOREINFO_FORMAT), 0, 'format that the host takes; a guest cannot change it'),
  guest_format: field(named(u16, VMCOREINFO_FORMAT), 2, 'format of the note'),
  size: field(u32, 4, 'bytes of the note with its header, at most 1 MiB'),
  paddr: field(u64, 8, 'guest physical address of the note'),
}));
