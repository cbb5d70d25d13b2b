#!/usr/bin/env node
try {
  const { main } = await import('../dist/main.js');
  await main(process.argv.slice(2));
} catch (error) {
  if (error?.code !== 'ERR_MODULE_NOT_FOUND') throw error;
  console.error(`instar: a part of the program is missing (${error.message}); in a clone, run \`npm ci\` first`);
  process.exitCode = 1;
}
