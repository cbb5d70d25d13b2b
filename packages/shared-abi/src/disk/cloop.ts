import { bytes, field } from '@instar/layout';
import { diskStruct } from './disk-struct.js';
import { be32 } from './numbers.js';

/** cloop 2 (`compressed_loop.h`). */
export const CloopHeader = diskStruct('CloopHeader', 136, 'Header of a compressed loop image.', {
  script: field(bytes(128), 0, 'a shell script that mounts it'),
  block_size: field(be32, 128, 'bytes of a block'),
  n_blocks: field(be32, 132, 'blocks; one offset more follows'),
});
