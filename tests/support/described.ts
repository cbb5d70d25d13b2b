import { qemuImg } from './qemu-img.js';
import type { Workdir } from './workdir.js';

type Json = Record<string, unknown>;

/** What `qemu-img info` says of an image, without what differs from one image to the next. */
export function described(directory: Workdir | string, format: string, file: string): Json {
  const { stdout } = qemuImg('info', '--output=json', '-f', format, file).in(directory).must();
  const told = JSON.parse(stdout) as Json;
  const specific = told['format-specific'] as { data?: Json } | undefined;
  const { cid: _, extents, ...data } = specific?.data ?? {};
  const unnamed = (extents as Json[] | undefined)?.map(({ filename: __, ...extent }) => extent);
  const { filename: ___, 'actual-size': ____, children: _____, ...rest } = told;
  return { ...rest, 'format-specific': { ...data, extents: unnamed } };
}
