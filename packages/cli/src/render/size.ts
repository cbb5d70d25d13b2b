const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB', 'EiB'] as const;

/** Bytes with three significant digits and a binary unit, as qemu-img shows them: `1.5 GiB`, `192 KiB`. */
export function humanSize(bytes: bigint): string {
  let value = Number(bytes);
  let unit = 0;
  // 999.5 would be shown as 1e+03, so the next unit begins there.
  while (value >= 999.5 && unit < UNITS.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${String(Number(value.toPrecision(3)))} ${UNITS[unit] ?? ''}`;
}
