/** Commands of qemu-img, with their command lines. */
export const QEMU_IMG_COMMANDS = {
  amend: '[--object objectdef] [--image-opts] [-p] [-q] [-f fmt] [-t cache] [--force] -o options filename',
  bench:
    '[-c count] [-d depth] [-f fmt] [--flush-interval=flush_interval] [-i aio] [-n] [--no-drain] [-o offset] [--pattern=pattern] [-q] ' +
    '[-s buffer_size] [-S step_size] [-t cache] [-w] [-U] filename',
  bitmap:
    '(--merge SOURCE | --add | --remove | --clear | --enable | --disable)... [-b source_file [-F source_fmt]] [-g granularity] [--object objectdef] [--image-opts | -f fmt] filename bitmap',
  check:
    '[--object objectdef] [--image-opts] [-q] [-f fmt] [--output=ofmt] [-r [leaks | all]] [-T src_cache] [-U] filename',
  commit: '[--object objectdef] [--image-opts] [-q] [-f fmt] [-t cache] [-b base] [-d] [-r rate_limit] [-p] filename',
  compare:
    '[--object objectdef] [--image-opts] [-f fmt] [-F fmt] [-T src_cache] [-p] [-q] [-s] [-U] filename1 filename2',
  convert:
    '[--object objectdef] [--image-opts] [-U] [-c] [-p] [-q] [-n] [--target-is-zero] [-f fmt] [-t cache] [-T src_cache] ' +
    '[-O output_fmt] [-B backing_file [-F backing_fmt]] [-o options] [-l snapshot_param] [-S sparse_size] [-m num_coroutines] [-W] [-C] [--target-image-opts] ' +
    'filename [filename2 [...]] output_filename',
  create: '[--object objectdef] [-q] [-f fmt] [-b backing_file [-F backing_fmt]] [-u] [-o options] filename [size]',
  dd: '[--image-opts] [-U] [-f fmt] [-O output_fmt] [bs=block_size] [count=blocks] [skip=blocks] if=input of=output',
  info: '[--object objectdef] [--image-opts] [-f fmt] [--output=ofmt] [--backing-chain] [-U] filename',
  map: '[--object objectdef] [--image-opts] [-f fmt] [--start-offset=offset] [--max-length=len] [--output=ofmt] [-U] filename',
  rebase:
    '[--object objectdef] [--image-opts] [-U] [-q] [-f fmt] [-t cache] [-T src_cache] [-p] [-u] [-c] -b backing_file [-F backing_fmt] filename',
  resize:
    '[--object objectdef] [--image-opts] [-f fmt] [--preallocation=prealloc] [-q] [--shrink] filename [+ | -]size',
  snapshot: '[--object objectdef] [--image-opts] [-U] [-q] [-l | -a snapshot | -c snapshot | -d snapshot] filename',
  measure:
    '[--object objectdef] [--image-opts] [-U] [--output=ofmt] [-O output_fmt] [-o options] [--size N | [-f fmt] [-l snapshot_param] filename]',
} as const;

/** What `qemu-img --help` prints. */
export function qemuImgHelp(version: string): string {
  const lines = Object.entries(QEMU_IMG_COMMANDS).map(([name, line]) => `  ${name} ${line}\n`);
  return (
    `${qemuImgVersion(version)}usage: qemu-img command [command options]\n` +
    'Disk images are parsed inside a sandbox only. Files that an image names outside its own directory are opened where\n' +
    'INSTAR_ALLOW_PATH, a list of directories as in PATH, allows it.\n\n' +
    `Command syntax:\n${lines.join('')}`
  );
}

/** The version whose behaviour this is, as programs parse it. */
export function qemuImgVersion(version: string): string {
  return `qemu-img version 10.0.2 (instar ${version})\n`;
}
