#!/bin/sh
':' //; while read -r key value; do case $key in SigIgn:) INSTAR_START="ignored=$value";; esac; done </proc/self/status; for fd in 0 1 2; do [ -e /proc/self/fd/$fd ] || INSTAR_START="$INSTAR_START closed=$fd"; done; while read -r a b c soft rest; do case "$a $b $c $soft" in "Max address space unlimited") ;; "Max address space "*) export MALLOC_ARENA_MAX="${MALLOC_ARENA_MAX:-1}";; esac; done </proc/self/limits; export INSTAR_START; exec node "$0" "$@"
// The line above is a shell's: node resets the signals that were ignored when it started (nohup), and opens /dev/null
// where a standard stream was closed, so what was is told to it. Under a
// limit of the address space (prlimit --as) glibc must not reserve 64 MiB for each thread. Started as `node instar.js` it looks for other traces.
const start = process.env.INSTAR_START;
delete process.env.INSTAR_START;
// Before anything else: without a listener node opens its debugger's port when this signal comes.
process.on('SIGUSR1', () => undefined);
function failed(error) {
  const limit = { EMFILE: '; raise ulimit -n', ENOMEM: '; raise ulimit -v, or limit a cgroup instead' }[error?.code];
  if (error?.code !== 'MODULE_NOT_FOUND' && limit === undefined) throw error;
  const what = limit === undefined ? 'a part of the program is missing' : 'cannot start';
  const advice = limit ?? '; in a clone, run `npm ci` first';
  console.error(`instar: ${what} (${error.message.split('\n')[0]})${advice}`);
  process.exitCode = 1;
}
try {
  require('../dist/start.cjs')
    .main(process.argv.slice(2), start)
    .catch(failed);
} catch (error) {
  failed(error);
}
