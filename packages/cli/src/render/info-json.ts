import type { ImageDescription, Snapshot } from '@instar/engine';
import { roundUpToSector } from '@instar/operands';
import { luksRecord } from './info-luks.js';
import { openedExtents, ownSize } from './info-extents.js';
import { SCHEMA_VERSION } from './record.js';

function child(name: string, filename: string, length: bigint, actualSize: bigint): object {
  return {
    name,
    info: {
      children: [],
      'virtual-size': roundUpToSector(length),
      filename,
      format: 'file',
      'actual-size': actualSize,
      'format-specific': { type: 'file', data: {} },
      'dirty-flag': false,
    },
  };
}

/** A snapshot with the field names of `qemu-img info --output=json`. */
export function snapshotRecord(item: Snapshot): object {
  return {
    ...(item.instructionCount === undefined ? {} : { icount: item.instructionCount }),
    'vm-clock-nsec': item.vmClockNanoseconds % 1_000_000_000n,
    name: item.name,
    'date-sec': item.dateSeconds,
    'date-nsec': item.dateNanoseconds,
    'vm-clock-sec': item.vmClockNanoseconds / 1_000_000_000n,
    id: item.id,
    'vm-state-size': item.vmStateSize,
  };
}

/** An image with the field names of `qemu-img info --output=json`, and what is ours under `instar`. */
export function infoRecord(image: ImageDescription): object {
  const { qcow2, vmdk, luks } = image;
  const extentFiles = openedExtents(image);
  return {
    children: [
      ...extentFiles.map(({ number, file }) => child(`extents.${number}`, file.path, file.length, file.actualSize)),
      child('file', image.filename, image.fileLength, ownSize(image)),
    ],
    ...(image.snapshots.length === 0 ? {} : { snapshots: image.snapshots.map(snapshotRecord) }),
    ...(image.backingFormat === undefined ? {} : { 'backing-filename-format': image.backingFormat }),
    'virtual-size': image.virtualSize,
    filename: image.filename,
    ...(image.clusterSize === undefined ? {} : { 'cluster-size': image.clusterSize }),
    format: image.format,
    'actual-size': image.actualSize,
    ...(image.encrypted ? { encrypted: true } : {}),
    ...(qcow2 === undefined
      ? {}
      : {
          'format-specific': {
            type: 'qcow2',
            data: {
              compat: qcow2.compat,
              'compression-type': qcow2.compressionType,
              ...(qcow2.compat === '0.10' ? {} : { 'lazy-refcounts': qcow2.lazyRefcounts }),
              ...(qcow2.bitmaps.length === 0
                ? {}
                : {
                    bitmaps: qcow2.bitmaps.map((item) => ({
                      flags: item.flags,
                      name: item.name,
                      granularity: item.granularity,
                    })),
                  }),
              'refcount-bits': qcow2.refcountBits,
              ...(qcow2.encryption === 'aes' ? { encrypt: { format: 'aes' } } : {}),
              ...(qcow2.encryption === 'luks' && luks !== undefined ? { encrypt: luksRecord(luks, 'luks') } : {}),
              ...(qcow2.dataFile === undefined
                ? {}
                : { 'data-file': qcow2.dataFile, 'data-file-raw': qcow2.dataFileRaw }),
              ...(qcow2.compat === '0.10' ? {} : { corrupt: qcow2.corrupt }),
              ...(qcow2.compat === '0.10' ? {} : { 'extended-l2': qcow2.extendedL2 }),
            },
          },
        }),
    ...(luks === undefined || qcow2 !== undefined
      ? {}
      : { 'format-specific': { type: 'luks', data: luksRecord(luks, undefined) } }),
    ...(vmdk === undefined
      ? {}
      : {
          'format-specific': {
            type: 'vmdk',
            data: {
              cid: vmdk.contentId,
              'parent-cid': vmdk.parentContentId,
              'create-type': vmdk.createType,
              extents: vmdk.extents.map((extent) => ({
                ...(extent.compressed ? { compressed: true } : {}),
                'virtual-size': extent.virtualSize,
                filename: extent.filename,
                ...(extent.clusterSize === undefined ? {} : { 'cluster-size': extent.clusterSize }),
                format: extent.format,
              })),
            },
          },
        }),
    ...(image.fullBackingFilename === undefined ? {} : { 'full-backing-filename': image.fullBackingFilename }),
    ...(image.backingFilename === undefined ? {} : { 'backing-filename': image.backingFilename }),
    'dirty-flag': image.dirty,
    instar: {
      schemaVersion: SCHEMA_VERSION,
      safety: image.safety,
      sandbox: image.sandbox,
      iso9660: image.iso9660,
      content: image.content?.name,
    },
  };
}
