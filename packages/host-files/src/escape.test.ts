import { describe, expect, it } from 'vitest';

import { escapeText, quoteName } from './escape.js';

describe('escapeText', () => {
  it.for<[text: string, escaped: string]>([
    ['plain name.qcow2', 'plain name.qcow2'],
    ['Größe 尺寸 🙂', 'Größe 尺寸 🙂'],
    ['\u0000\u001b[2J\n\u007f', String.raw`\x00\x1b[2J\x0a\x7f`],
    ['\u0085\u009b', String.raw`\x85\x9b`],
    ['\u202e\u2066\u200b\u2028\ufeff', String.raw`\u{202e}\u{2066}\u{200b}\u{2028}\u{feff}`],
    ['\u{e0041}', String.raw`\u{e0041}`],
    ['\ud800', String.raw`\u{d800}`],
    ['a\udcfe', String.raw`a\xfe`],
    [String.raw`\x1b`, String.raw`\\x1b`],
  ])('%j', ([text, escaped]) => {
    expect(escapeText(text)).toBe(escaped);
  });
});

describe('quoteName', () => {
  it('ends only at its last quote', () => {
    expect(quoteName('a" (is fine), "b')).toBe(String.raw`"a\" (is fine), \"b"`);
  });
});
