import { expect, it } from 'vitest';
import { EngineError } from './errors.js';

function messageOf(field: string, value: bigint, expected: string): string {
  const location = { field, offset: 8n, value, expected };
  return new EngineError('IMAGE_NOT_THIS_FORMAT', 'no', { file: 'a', location }).message;
}

it.each([
  ['magic', 0x514649fbn, String(0x4b495636), 'a: no (magic at offset 8 is 51 46 49 fb, expected 4b 49 56 36)'],
  ['magic', 0n, '1', 'a: no (magic at offset 8 is 00 00 00 00, expected 00 00 00 01)'],
  ['magic', 0x6578_6861_6864_7576n, '', 'a: no (magic at offset 8 is 65 78 68 61 68 64 75 76)'],
  ['format', 3n, 'raw or qcow2', 'a: no (expected raw or qcow2)'],
  ['format', 14n, '', 'a: no'],
  ['cluster_bits', 40n, '9 to 21', 'a: no (cluster_bits at offset 8 is 40, expected 9 to 21)'],
])('says the %s %d as people know it', (field, value, expected, message) => {
  expect(messageOf(field, value, expected)).toBe(message);
});
