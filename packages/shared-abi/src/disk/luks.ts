import { array, bytes, field } from '@instar/layout';
import { diskStruct } from './disk-struct.js';
import { be16, be32, be64 } from './numbers.js';

/** "LUKS On-Disk Format Specification", 1.2.3, "Key slot". */
export const LuksKeySlot = diskStruct('LuksKeySlot', 48, 'Key slot of LUKS 1.', {
  state: field(be32, 0, '0x00ac71f3 in use, 0x0000dead not'),
  iterations: field(be32, 4, 'of PBKDF2'),
  salt: field(bytes(32), 8, 'of PBKDF2'),
  key_material_offset: field(be32, 40, 'sector'),
  stripes: field(be32, 44, 'parts that the key is split into'),
});

/** "LUKS On-Disk Format Specification", 1.2.3, "Partition header". */
export const LuksHeader = diskStruct('LuksHeader', 592, 'Header of LUKS 1.', {
  magic: field(bytes(6), 0, '"LUKS", 0xba, 0xbe'),
  version: field(be16, 6, '1'),
  cipher_name: field(bytes(32), 8, 'such as "aes"'),
  cipher_mode: field(bytes(32), 40, 'such as "xts-plain64"'),
  hash_spec: field(bytes(32), 72, 'such as "sha256"'),
  payload_offset: field(be32, 104, 'sector of the disk'),
  key_bytes: field(be32, 108, 'bytes of the volume key'),
  mk_digest: field(bytes(20), 112, 'of the volume key'),
  mk_digest_salt: field(bytes(32), 132, 'of that digest'),
  mk_digest_iterations: field(be32, 164, 'of that digest'),
  uuid: field(bytes(40), 168, 'text'),
  key_slots: field(array(LuksKeySlot, 8), 208, 'key slots'),
});

/** "LUKS2 On-Disk Format Specification", 1.1.3, "Binary Header". */
export const Luks2Header = diskStruct('Luks2Header', 4096, 'Binary header of LUKS 2.', {
  magic: field(bytes(6), 0, '"LUKS" or, of the second one, "SKUL", 0xba, 0xbe'),
  version: field(be16, 6, '2'),
  header_size: field(be64, 8, 'bytes with the metadata behind it'),
  sequence_number: field(be64, 16, 'the higher one counts'),
  label: field(bytes(48), 24, 'text'),
  checksum_algorithm: field(bytes(32), 72, 'such as "sha256"'),
  salt: field(bytes(64), 104, 'that both headers differ by'),
  uuid: field(bytes(40), 168, 'text'),
  subsystem: field(bytes(48), 208, 'text'),
  header_offset: field(be64, 256, 'byte offset of this header'),
  padding: field(bytes(184), 264, 'zero'),
  checksum: field(bytes(64), 448, 'of header and metadata, with zeros in this place'),
  padding4096: field(bytes(3584), 512, 'zero'),
});
