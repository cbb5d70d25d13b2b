const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB', 'EiB'] as const;
const SIGNIFICANT_DIGITS = 3;

/** To three significant digits; of two that are equally near the even one, as C's printf does it and JavaScript not. */
function rounded(value: number): number {
  const digitsBeforePoint = value < 1 ? 0 : Math.floor(Math.log10(value)) + 1;
  const scale = 10 ** (SIGNIFICANT_DIGITS - digitsBeforePoint);
  const scaled = value * scale;
  const below = Math.floor(scaled);
  const above = scaled - below > 0.5 || (scaled - below === 0.5 && below % 2 === 1);
  return (above ? below + 1 : below) / scale;
}

/** Bytes with three significant digits and a binary unit, as qemu-img shows them: `1.5 GiB`, `192 KiB`. */
export function humanSize(bytes: bigint): string {
  let value = Number(bytes);
  let unit = 0;
  // 999.5 would be shown as 1e+03, so the next unit begins there.
  while (value >= 999.5 && unit < UNITS.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${rounded(value)} ${UNITS[unit] ?? ''}`;
}
