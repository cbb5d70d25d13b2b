import { struct, type FieldSpec, type Struct, type StructValue } from '@instar/layout';

/**
 * A structure of a disk image: every offset and the size are stated and checked, nothing lies between fields that is not
 * declared, and numbers have the byte order of the format, so that it is the same on every machine.
 * @param size Bytes.
 */
export function diskStruct<const F extends Readonly<Record<string, FieldSpec>>>(
  name: string,
  size: number,
  doc: string,
  specs: F,
): Struct<StructValue<F>> {
  return struct<F>(name, specs, { doc, size, explicit: true, packing: 'packed' });
}
