// Words of qemu-img, coreutils and their peers that people type here, and what to write instead. A word that comes to exist
// here is never looked up.

/** Commands. */
export const OTHER_COMMANDS: Readonly<Record<string, string>> = {
  bench: 'nothing here measures speed',
  cat: 'write instar dd if=FILE of=-',
  copy: 'write instar dd if=INPUT of=OUTPUT, or instar convert INPUT OUTPUT',
  cp: 'write instar dd if=INPUT of=OUTPUT, or instar convert INPUT OUTPUT',
  diff: 'write instar compare A B',
  dump: 'memory dumps are read by instar vmcore',
  hash: 'write instar convert --checksum sha256',
  inspect: 'write instar info --require-safe FILE',
  layout: 'binary layouts are shown by instar abi show',
  ls: 'files inside of disks are not looked at; instar info describes the image',
  make: 'write instar create -f FORMAT FILE SIZE',
  mount: 'disks are not mounted; instar convert -O raw writes one that can be',
  nbd: 'disks are not served; openImage() of @instar/engine reads any range of one',
  new: 'write instar create -f FORMAT FILE SIZE',
  repair: 'write instar check -r all FILE; dumps: instar vmcore repair',
  sandbox: 'write instar doctor',
  sha256sum: 'write instar convert --checksum sha256',
  show: 'write instar info FILE',
  size: 'write instar info FILE, or instar measure for the length of an output',
  stat: 'write instar info FILE',
  verify: 'write instar check FILE; dumps: instar vmcore verify',
  version: 'write instar --version',
};

/** Operands of dd, by their name before `=`. */
export const OTHER_OPERANDS: Readonly<Record<string, string>> = {
  cbs: 'bytes are copied as they are',
  dst: 'write of=FILE',
  dest: 'write of=FILE',
  files: 'one input is one file',
  format: 'write -f FORMAT for the input, -O FORMAT for the output',
  ibs: 'one bs= holds for both sides',
  in: 'write if=FILE',
  input: 'write if=FILE',
  iseek: 'write skip=N',
  length: 'write count=N blocks, or osize=N bytes',
  obs: 'one bs= holds for both sides',
  offset: 'write skip=N blocks',
  oseek: 'write seek=N',
  out: 'write of=FILE',
  output: 'write of=FILE',
  size: 'write count=N blocks, or osize=N bytes',
  src: 'write if=FILE',
};

/** Options of one command that it does not have, and of all where the command is `*`. */
export const OTHER_OPTIONS: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  '*': {
    '--allow-paths': 'write --allow-path DIR, once for each directory',
    '--human': 'that is the default; --json prints a record',
    '--password': 'write --passphrase-file FILE, so that no list of processes shows it',
    '--passphrase': 'write --passphrase-file FILE, so that no list of processes shows it',
    '--timeout': 'write --limit-time TIME',
    '--unsafe': 'there is no way around the sandbox; --allow-path DIR lets an image use files elsewhere',
    '--no-sandbox': 'there is no way around the sandbox; --sandbox=process needs no /dev/kvm',
    '--version': 'write instar --version',
  },
  check: { '--fix': 'write -r all' },
  convert: {
    '-e': 'write -o encrypt.format=luks with --passphrase-file FILE',
    '-6': 'write -o compat=…',
    '-s': 'write -l NAME',
    '--snapshot': 'write -l NAME',
  },
  create: {
    '-e': 'write -o encrypt.format=luks with --passphrase-file FILE',
    '-6': 'write -o compat=…',
    '--size': 'write the size as the last operand: create -f qcow2 disk.qcow2 10G',
  },
  dd: {
    '--if': 'write if=FILE',
    '--of': 'write of=FILE',
    '--bs': 'write bs=N',
    '--count': 'write count=N',
    '--skip': 'write skip=N',
    '--seek': 'write seek=N',
    '--size': 'write count=N blocks, or osize=N bytes',
    '-i': 'write if=FILE',
    '-o': 'write of=FILE',
    '-n': 'write seek=0 to write into an output that exists',
  },
  info: {
    '-c': 'write --backing-chain',
    '--chain': 'write --backing-chain',
    '--limits': 'a limit is one option: --limit-time, --limit-cpu, --limit-idle, --limit-virtual-size',
    '--safe': 'write --require-safe',
  },
  map: { '--start': 'write --start-offset OFFSET', '--length': 'write --max-length SIZE' },
};
