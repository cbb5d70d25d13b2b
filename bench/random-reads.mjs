// Opens a dump and reads pages at random addresses: node bench/random-reads.mjs FILE COUNT
import { openDump } from '@instar/vmcore';

const [file = '', count = '1000'] = process.argv.slice(2);
const dump = await openDump(file);
const pages = Number(dump.addressLimit / 4096n);
let state = 12345;
for (let index = 0; index < Number(count); index += 1) {
  state = (Math.imul(state, 1103515245) + 12345) >>> 0;
  await dump.read(BigInt(state % pages) * 4096n, 4096);
}
await dump.close();
