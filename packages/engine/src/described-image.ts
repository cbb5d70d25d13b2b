import type { ImageDescription } from './info.js';

/**
 * A description, which is also the list that `info` returned until 0.17: the image itself, and with `backingChain` those below it.
 * `infoChain` returns that list.
 */
export type DescribedImage = ImageDescription & {
  /** @deprecated the description is this object; goes in the next minor version */
  readonly 0: ImageDescription;
  /** @deprecated use `infoChain`; goes in the next minor version */
  readonly length: number;
  /** @deprecated use `infoChain`; goes in the next minor version */
  [Symbol.iterator](): ArrayIterator<ImageDescription>;
};

/** The first of some descriptions, with what makes it the list of all; no list of its fields shows that. */
export function describedImage(images: readonly [ImageDescription, ...ImageDescription[]]): DescribedImage {
  const [first] = images;
  const hidden = (value: unknown): PropertyDescriptor => ({ value, configurable: true, writable: true });
  const list = {
    ...Object.fromEntries(images.map((image, index) => [index, hidden(image)])),
    length: hidden(images.length),
    [Symbol.iterator]: hidden(() => images.values()),
  };
  return Object.defineProperties({ ...first }, list) as DescribedImage;
}
