import { lockForWriting } from '@instar/vmm-native';
import { systemErrorName } from './errors.js';

/** Whether nobody else uses the image on this descriptor, as QEMU's locks tell. */
export function lockOutput(fd: number): boolean {
  try {
    return lockForWriting(fd);
  } catch (error) {
    const name = systemErrorName(error);
    // A file system without locks cannot say who else uses the file.
    return name !== 'EAGAIN' && name !== 'EACCES';
  }
}
