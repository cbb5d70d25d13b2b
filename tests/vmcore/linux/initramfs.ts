/** A file of an initramfs. */
export interface RamFile {
  /** Path without a leading slash. */
  readonly path: string;
  readonly content: Uint8Array;
}

const [DIRECTORY, EXECUTABLE, CHARACTER] = [0o040755, 0o100755, 0o020600];
/** Numbers of /dev/console (Linux, Documentation/admin-guide/devices.txt). */
const CONSOLE: readonly [number, number] = [5, 1];

function padded(bytes: Uint8Array): Buffer {
  return Buffer.concat([bytes, Buffer.alloc(-bytes.length & 3)]);
}

function entry(
  inode: number,
  path: string,
  mode: number,
  content: Uint8Array,
  device: readonly [number, number] = [0, 0],
): Buffer {
  const name = `${path}\0`;
  const fields = [inode, mode, 0, 0, 1, 0, content.length, 0, 0, ...device, name.length, 0];
  const header = `070701${fields.map((field) => field.toString(16).padStart(8, '0')).join('')}`;
  return Buffer.concat([padded(Buffer.from(header + name)), padded(content)]);
}

/** An archive as the kernel unpacks it (Linux, Documentation/driver-api/early-userspace/buffer-format.rst). */
export function initramfs(files: readonly RamFile[]): Buffer {
  const nothing = new Uint8Array(0);
  const directories = new Set(['dev', 'proc', 'sys', 'tmp']);
  for (const { path } of files) {
    const parts = path.split('/').slice(0, -1);
    parts.forEach((_part, index) => directories.add(parts.slice(0, index + 1).join('/')));
  }
  const entries = [
    ...[...directories].sort().map((path) => ({ path, mode: DIRECTORY, content: nothing })),
    ...files.map(({ path, content }) => ({ path, mode: EXECUTABLE, content })),
  ];
  return Buffer.concat([
    ...entries.map(({ path, mode, content }, index) => entry(index + 1, path, mode, content)),
    entry(entries.length + 1, 'dev/console', CHARACTER, nothing, CONSOLE),
    entry(0, 'TRAILER!!!', 0, nothing),
  ]);
}
