// What disk images consist of: headers, entries of lists, marks. Tables of plain numbers have no description of their own.
export * from './asif.js';
export * from './bochs.js';
export * from './cloop.js';
export * from './dmg.js';
export * from './luks.js';
export * from './parallels.js';
export * from './qcow.js';
export * from './qcow2.js';
export * from './qed.js';
export * from './simg.js';
export * from './sparseimage.js';
export * from './vdi.js';
export * from './vhdx.js';
export * from './vmdk.js';
export * from './vpc.js';
