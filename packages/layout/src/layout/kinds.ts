import type { ResolvedField, ResolvedStruct, ResolvedTagged, ResolvedType, ResolvedUnion } from './resolved.js';
import type { Target } from './target.js';
import type { Codec, Compiler } from '../codec/codec.js';
import type {
  BitFieldDescription,
  Description,
  FieldDescription,
  StructDescription,
  TaggedDescription,
  Type,
  UnionDescription,
} from './types.js';

// Kinds of types that not every program uses. What makes a description of one enters its code here, so that a bundler
// leaves out the code of kinds that are never made.

type Resolve<D, R> = (type: D, target: Target, inside: readonly Description[]) => R;

/** Reading and writing, as the interpreter does. */
interface Interpreted<R> {
  readonly read: (type: R, view: DataView, bit: number, path: string, around: Fields) => unknown;
  readonly write: (type: R, view: DataView, bit: number, value: unknown, path: string, around: Fields) => void;
}

/** Values of the fields of a struct. */
export type Fields = Readonly<Record<string, unknown>>;

/** A struct's size and offset as they grow, field by field. */
export interface Cursor {
  bit: number;
  align: number;
  /** The unit that bit fields of one size share by Microsoft's rules, and its first free bit. */
  unit?: { readonly end: number; readonly bits: number; next: number } | undefined;
}

// The package's name when the language was a part of it: copies from then and now agree.
const KINDS = Symbol.for('@instar/shared-abi kinds');

interface Kinds {
  text?: Interpreted<ResolvedType>;
  union?: Interpreted<ResolvedUnion> & { readonly resolve: Resolve<UnionDescription, ResolvedUnion> };
  tagged?: Interpreted<ResolvedTagged> & {
    readonly resolve: Resolve<TaggedDescription, ResolvedTagged>;
    /** The bytes of a struct that ends with the arm of its last field, zeros behind them; undefined for anything else. */
    readonly padded: (type: ResolvedType, view: DataView, offset: number) => DataView | undefined;
    /** Fills in tags that were left out but that follow from the arm that was given. */
    readonly fill: (fields: readonly ResolvedField[], given: Fields, path: string, offset: number) => Fields;
  };
  /** Structs that are packed to the bit. */
  bits?: { readonly resolve: Resolve<StructDescription, ResolvedStruct> };
  /** Parts without a fixed size. */
  variable?: {
    readonly codec: <T>(type: Type<T>, target: Target, copy: boolean, compiler: Compiler | undefined) => Codec<T>;
  };
  bitField?: {
    readonly place: (
      type: BitFieldDescription,
      item: FieldDescription,
      cursor: Cursor,
      packed: boolean,
      target: Target,
      path: string,
    ) => { readonly type: ResolvedType; readonly bit: number };
  };
}

const shared = globalThis as Partial<Record<symbol, Kinds>>;

/** What was entered so far, by any copy of this module: a program may hold one as an ES module and one as CommonJS. */
export const kinds: Kinds = (shared[KINDS] ??= {});

/** The code of a kind; a description that no function of this package made has none. */
export function known<K>(kind: K | undefined): K {
  if (kind === undefined) throw new TypeError('found a description that was not made by its function');
  return kind;
}
