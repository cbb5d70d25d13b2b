import { fields, type Attribute } from './gallery.js';

/** What of a format cannot be written back from what is read, and where its specification says it. */
export interface Refused {
  readonly name: string;
  readonly why: string;
  readonly seq: readonly Attribute[];
  readonly instances?: Readonly<Record<string, Attribute>>;
  /** The path of what is refused. */
  readonly at: string;
}

export const REFUSED: readonly Refused[] = [
  {
    name: 'tar',
    why: 'the size is a number in octal digits',
    seq: [...fields('name:str100 mode:str8 user:str8 group:str8 digits:str12 rest:376'), { id: 'data', size: 'len' }],
    instances: { len: { value: 'digits.to_i(8)' } },
    at: 'tar.seq[6].size',
  },
  {
    name: 'ar',
    why: 'the size is a number in decimal digits',
    seq: [...fields('name:str16 time:str12 ids:12 mode:str8 digits:str10 end:2'), { id: 'data', size: 'digits.to_i' }],
    at: 'ar.seq[6].size',
  },
  {
    name: 'cpio',
    why: 'names are padded to even places',
    seq: [...fields('head:20 len:u2'), { id: 'name', size: 'len + len % 2' }],
    at: 'cpio.seq[2].size',
  },
  {
    name: 'riff_odd',
    why: 'chunks of an odd size are padded',
    seq: [...fields('kind:str4 len:u4'), { id: 'data', size: 'len' }, { id: 'padding', size: 'len % 2' }],
    at: 'riff_odd.seq[3].size',
  },
  {
    name: 'lz4_frame',
    why: 'the highest bit of a size is no part of it',
    seq: [...fields('magic:u4 flags:u1 block:u1 sum:u1 len:u4'), { id: 'data', size: 'len & 0x7fffffff' }],
    at: 'lz4_frame.seq[5].size',
  },
  {
    name: 'android_sparse',
    why: 'a size has the header in it',
    seq: [...fields('kind:u2 zero:u2 blocks:u4 len:u4'), { id: 'data', size: 'len - 12' }],
    at: 'android_sparse.seq[4].size',
  },
  {
    name: 'der',
    why: 'a length is of as many bytes as its first one says',
    seq: [...fields('tag:u1 first:u1'), { id: 'data', size: 'first < 128 ? first : 0' }],
    at: 'der.seq[2].size',
  },
  {
    name: 'zlib_part',
    why: 'a program unpacks it',
    seq: [...fields('len:u4'), { id: 'data', size: 'len', process: 'zlib' }],
    at: 'zlib_part.seq[1].process',
  },
  {
    name: 'dos_text',
    why: 'its encoding is not one of ours',
    seq: [{ id: 'text', type: 'str', size: 8, encoding: 'CP437' }],
    at: 'dos_text.seq[0].encoding',
  },
];
