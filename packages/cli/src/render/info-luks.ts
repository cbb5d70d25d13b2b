import { escapeText, type LuksDetails } from '@instar/engine';

/** What a LUKS header says, as lines of `qemu-img info`; `format` is told where the header is part of another format. */
export function luksLines(luks: LuksDetails, indent: string, format: string | undefined): string[] {
  const { cipher, mode, ivGenerator, ivHash, hash, uuid, payloadOffset, masterKeyIterations, slots } = luks;
  const lines = [
    `ivgen alg: ${escapeText(ivGenerator)}`,
    'detached header: false',
    `hash alg: ${escapeText(hash)}`,
    `cipher alg: ${escapeText(cipher)}`,
    `uuid: ${escapeText(uuid)}`,
    ...(ivHash === undefined ? [] : [`ivgen hash alg: ${escapeText(ivHash)}`]),
    ...(format === undefined ? [] : [`format: ${format}`]),
    `cipher mode: ${escapeText(mode)}`,
    'slots:',
    ...slots.flatMap(({ active, iterations, stripes, keyOffset }, number) => [
      `    [${number}]:`,
      `        active: ${active}`,
      ...(active ? [`        iters: ${iterations}`] : []),
      `        key offset: ${keyOffset}`,
      ...(active ? [`        stripes: ${stripes}`] : []),
    ]),
    `payload offset: ${payloadOffset}`,
    `master key iters: ${masterKeyIterations}`,
  ];
  return lines.map((line) => `${indent}${line}`);
}

/** The same, with the field names of `qemu-img info --output=json`. */
export function luksRecord(luks: LuksDetails, format: string | undefined): object {
  return {
    'ivgen-alg': luks.ivGenerator,
    'detached-header': false,
    ...(luks.ivHash === undefined ? {} : { 'ivgen-hash-alg': luks.ivHash }),
    'hash-alg': luks.hash,
    'cipher-alg': luks.cipher,
    uuid: luks.uuid,
    ...(format === undefined ? {} : { format }),
    'cipher-mode': luks.mode,
    slots: luks.slots.map(({ active, iterations, stripes, keyOffset }) =>
      active ? { active, iters: iterations, 'key-offset': keyOffset, stripes } : { active, 'key-offset': keyOffset },
    ),
    'payload-offset': luks.payloadOffset,
    'master-key-iters': luks.masterKeyIterations,
  };
}
