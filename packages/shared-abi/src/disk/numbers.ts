import { uint } from '@instar/layout';

/** Numbers of files, whose byte order is that of the format, whatever machine reads them. */
export const be16 = uint(16, { endian: 'big' });
export const be32 = uint(32, { endian: 'big' });
export const be64 = uint(64, { endian: 'big' });
export const le16 = uint(16, { endian: 'little' });
export const le32 = uint(32, { endian: 'little' });
export const le64 = uint(64, { endian: 'little' });
