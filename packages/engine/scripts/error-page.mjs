// Writes docs/errors.md from the table of codes: npm run generate:errors -w @instar/engine
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const FAULTS = {
  image: 'the image, and who made it',
  caller: 'the caller: options, names, limits',
  machine: 'the machine: files, devices, the kernel',
  instar: 'instar: please report it',
};

/** The text of the page. */
export function errorPage(codes) {
  const rows = [...codes].map(
    ([code, { cause, remedy, fault }]) => `| \`${code}\` | ${cause} | ${remedy} | ${fault} |`,
  );
  return `# Errors of the engine

Every error is an \`EngineError\` with a stable \`code\`; \`isInstarError(error)\` knows errors of all packages of this project,
also of another copy of one. \`message\` is one line with the path of the file in front; \`reason\` is the same without that
path, for who sent the image. \`JSON.stringify(error)\` has both. An operation whose signal was aborted throws an error of name
\`AbortError\`. New codes may come; none changes its meaning. This page is made of the table that \`errorCodes()\` returns.

Whose fault it is: ${Object.entries(FAULTS)
    .map(([fault, text]) => `_${fault}_ is ${text}`)
    .join('; ')}.

| code | cause | remedy | fault |
| --- | --- | --- | --- |
${rows.join('\n')}
`;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { errorCodes } = await import('../dist/index.js');
  const { format, resolveConfig } = await import('prettier');
  const page = fileURLToPath(new URL('../../../docs/errors.md', import.meta.url));
  const options = { ...(await resolveConfig(page)), filepath: page };
  writeFileSync(page, await format(errorPage(errorCodes()), options));
}
