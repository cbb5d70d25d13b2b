// Preloaded into a node process: writes its peak memory (KiB) to a file when it ends.
const { writeFileSync } = require('node:fs');

process.on('exit', () => {
  writeFileSync(process.env.INSTAR_TEST_PEAK, String(process.resourceUsage().maxRSS));
});
