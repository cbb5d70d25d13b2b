/** Text of `instar dd --help`. */
export const DD_HELP = `Usage: instar dd [OPTION]... if=INPUT of=OUTPUT [OPERAND]...

Copies a window of a disk image, as qemu-img dd does. The image is parsed inside a sandbox only.

Operands (mixed freely with options; of a repeated one the last counts):
  if=FILE         input image; - is standard input (raw)
  of=FILE         output; - is standard output (raw), ./- is a file of that name
  bs=N            bytes of a block, 1 to 2147483647 (default 512)
  count=N         look at the first N blocks of the input only
  skip=N          leave out N blocks at the start (counted within those of count=)
  seek=N          write N blocks into an existing or new raw output, in place, the rest untouched
  isize=N         virtual size of the input in bytes, in place of its own: cut, or extended with zeros
  osize=N         exact length of a raw output in bytes: cut, or extended with zeros
  conv=WORDS      sparse leaves regions of zeros as holes; fsync, fdatasync (done anyway), notrunc (with seek=)
  iflag=fullblock done anyway
  status=WORD     none, noxfer or progress (default: nothing is printed)

Options:
  -f, --format FMT         format of the input, which is then not probed: raw, qcow2, vmdk, vdi, vpc, vhdx, qcow,
                           qed, parallels, bochs, cloop or dmg
  -O, --output-format FMT  format of the output: raw (default), qcow2, vmdk, vdi, vpc, vhdx, parallels
  -U, --force-share        read an image that another process has locked
  -p, --progress           show a progress bar on a terminal
      --json               print the result, or the error, as a JSON record
      --no-clobber         refuse an output that exists
      --strict             refuse an input that is not whole: what is missing reads as zeros
      --force              write to a block device that is mounted or in use
      --sandbox KIND       kvm, process or auto (default: kvm where it works, else process)
      --allow-path DIR     let the image use backing and data files in DIR as well; may be repeated
      --no-backing         refuse images that refer to other files
      --limit-virtual-size SIZE  refuse an image that claims to be larger
      --limit-output-size SIZE   refuse an output that may come to be longer
      --limit-time TIME    longest time of a run of the sandbox, such as 30s, 5m or 500ms
      --limit-cpu TIME     most CPU time of the sandbox
      --limit-idle TIME    longest time without progress (default 30s)
      --passphrase-file FILE  passphrase of encrypted images: all bytes of FILE; may be repeated
      --object secret,id=NAME,file=FILE|data=TEXT[,format=base64]  the same, as for qemu-img
      --image-opts         if= is driver=FORMAT,file.filename=FILE,key-secret=NAME instead of a name
      --limit-key-memory SIZE  most memory that making a key may take (default 1G)
      --dump-on-crash FILE leave a memory dump of the sandbox in FILE when its program crashes or is stopped by a limit
      --dump-on-signal FILE  leave one whenever this process gets SIGUSR2; the copy goes on
  -h, --help               this text

Numbers: decimal with an optional fraction and one of B K M G T P E (1024-based), or 0x and hexadecimal digits.
A raw output is padded to whole sectors of 512 bytes; osize= gives an exact length.
By default a backing file must lie in the directory of the image that names it.

The output is written beside its final name and put in place when it is complete: after a failure or Ctrl-C a file
that existed before is as it was. Block devices, open files (/dev/fd/N) and files that a replacement would damage
(hard links, mounts, owners or labels that cannot be kept) are written in place, which a warning says.

Dumps are off by default, because they hold data of the images. FILE has mode 0600, passphrases in it are zeroed; a
name that ends in .zst is compressed.

SIGUSR1 prints the progress on standard error.

Exit codes: 0 done, 1 refused or failed; who is ended by a signal dies of it (130 in a shell after Ctrl-C).

Examples:
  instar dd if=disk.qcow2 of=part.raw bs=1M skip=2 count=10
  instar dd -O qcow2 if=disk.raw of=disk.qcow2
  instar dd if=disk.qcow2 of=- bs=1M | sha256sum
`;
