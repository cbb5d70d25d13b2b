import type { ImageDescription, ImageExtent } from '@instar/engine';

/** An extent file that was opened, with its number among the extents. */
export interface OpenedExtent {
  readonly number: number;
  readonly file: NonNullable<ImageExtent['file']>;
}

/** The extents of which the files were opened, in the order in which qemu-img lists child nodes. */
export function openedExtents({ vmdk }: ImageDescription): readonly OpenedExtent[] {
  const opened = (vmdk?.extents ?? []).flatMap(({ file }, number) => (file === undefined ? [] : [{ number, file }]));
  return opened.sort((a, b) => (String(a.number) < String(b.number) ? -1 : 1));
}

/** Bytes that the image's own file takes on its file system. */
export function ownSize(image: ImageDescription): bigint {
  return openedExtents(image).reduce((left, { file }) => left - file.actualSize, image.actualSize);
}
