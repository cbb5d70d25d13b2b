// What is measured against qemu-img: name, image that is read, tokens for both, least ratio of its time to ours.

/** Block size of rows that copy sector by sector. */
const SECTOR = 512;

/** Rows of dd; `small` bytes are copied sector by sector. */
export const ddRows = (small) => {
  const sectors = [`bs=${SECTOR}`, `count=${small / SECTOR}`];
  const megabytes = ['bs=1M'];
  return [
    ['raw → raw, bs=512', 'disk.raw', 'raw', sectors, 50],
    ['raw → raw, bs=1M', 'disk.raw', 'raw', megabytes, 1.5],
    ['qcow2 → raw, bs=512', 'disk.qcow2', 'qcow2', sectors, 50],
    ['qcow2 → raw, bs=1M', 'disk.qcow2', 'qcow2', megabytes, 2],
    ['qcow2 zlib → raw, bs=1M', 'zlib.qcow2', 'qcow2', megabytes, 2.4],
    ['qcow2 zstd → raw, bs=1M', 'zstd.qcow2', 'qcow2', megabytes, 2.4],
    ['vmdk → raw, bs=1M', 'disk.vmdk', 'vmdk', megabytes, 1.5],
    ['vhdx → raw, bs=1M', 'disk.vhdx', 'vhdx', megabytes, 1.5],
    ['vdi → raw, bs=1M', 'disk.vdi', 'vdi', megabytes, 1.5],
    ['vpc → raw, bs=1M', 'disk.vhd', 'vpc', megabytes, 1.5],
  ];
};

/** Rows of convert. */
export const CONVERT_ROWS = [
  ['convert raw → qcow2', 'disk.raw', ['-f', 'raw', '-O', 'qcow2'], 1.3],
  ['convert qcow2 → raw', 'disk.qcow2', ['-f', 'qcow2', '-O', 'raw'], 1.3],
  ['convert qcow2 zlib → raw', 'zlib.qcow2', ['-f', 'qcow2', '-O', 'raw'], 2.4],
  ['convert qcow2 zstd → raw', 'zstd.qcow2', ['-f', 'qcow2', '-O', 'raw'], 1.5],
  ['convert vmdk → raw', 'disk.vmdk', ['-f', 'vmdk', '-O', 'raw'], 1.5],
  ['convert vhdx → raw', 'disk.vhdx', ['-f', 'vhdx', '-O', 'raw'], 1.5],
  ['convert raw → qcow2 -c zlib', 'disk.raw', ['-f', 'raw', '-O', 'qcow2', '-c'], 6],
  ['convert raw → qcow2 -c zstd', 'disk.raw', ['-f', 'raw', '-O', 'qcow2', '-c', '-o', 'compression_type=zstd'], 1.5],
  ['convert 100 GiB of holes → qcow2', 'sparse.raw', ['-f', 'raw', '-O', 'qcow2'], 0.5],
];
