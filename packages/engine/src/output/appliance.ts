import { leafOf } from '@instar/host-files';

/** An appliance that is being written: where its disk begins, and what stands in front of it and behind. */
export interface ApplianceLayout {
  /** Name of the disk inside. */
  readonly disk: string;
  /** Byte offset at which the disk begins. */
  readonly start: bigint;
}

/** What is known of the disk when it is written. */
export interface ApplianceDisk {
  /** Bytes of the file. */
  readonly length: bigint;
  /** Bytes of the disk in it. */
  readonly capacity: bigint;
  /** SHA-256 of the file, hexadecimal digits. */
  readonly sha256: string;
  readonly adapter: 'ide' | 'lsilogic' | 'buslogic';
  /** Seconds since 1970. */
  readonly time: number;
}

/** Bytes of a file, and where they go (byte offset). */
export interface Piece {
  readonly offset: bigint;
  readonly bytes: Uint8Array;
}

const SECTOR = 512;
/** Bytes of the description, which is written when the length of the disk is known: its end is filled up with line ends. */
const DESCRIPTION = 8 * SECTOR;
const MOST_NAME = 64;
/** Largest length that the octal digits of a header hold (bytes); larger ones are written as GNU tar and POSIX readers take them. */
const MOST_OCTAL = 0o77777777777n;
const NOT_IN_NAMES = /[^A-Za-z0-9._-]/g;
/** What describes a disk in hardware, by its adapter: resource type (CIM), and the type that VMware has for it. */
const CONTROLLERS = {
  ide: [5, 'PIIX4'],
  lsilogic: [6, 'lsilogic'],
  buslogic: [6, 'buslogic'],
} as const;

/** The name of an appliance inside, of letters that need nothing else anywhere. */
function nameOf(output: string): string {
  const leaf = leafOf(output).replace(/\.ova$/i, '');
  const plain = leaf.replace(NOT_IN_NAMES, '_').slice(0, MOST_NAME).replace(/^\.+/, '');
  return plain === '' ? 'disk' : plain;
}

/** Where the disk of an appliance lies. */
export function applianceLayout(output: string): ApplianceLayout {
  return { disk: `${nameOf(output)}-disk1.vmdk`, start: BigInt(SECTOR + DESCRIPTION + SECTOR) };
}

/**
 * What an appliance in one file holds besides its disk: a tar archive of its description, the disk and the manifest, in this
 * order (DMTF DSP0243 1.1.1, "Distribution as a single file").
 */
export function aroundDisk(output: string, disk: ApplianceDisk, hash: (bytes: Uint8Array) => string): readonly Piece[] {
  const name = nameOf(output);
  const { disk: diskName, start } = applianceLayout(output);
  const text = descriptionOf(name, diskName, disk);
  const description = Buffer.alloc(DESCRIPTION, '\n');
  if (description.write(text) !== text.length) throw new RangeError('a description longer than its place');
  const manifest = Buffer.from(
    `SHA256(${name}.ovf)= ${hash(description)}\nSHA256(${diskName})= ${disk.sha256}\n`,
    'latin1',
  );
  const end = start + disk.length;
  const behind = end + padding(disk.length);
  const afterManifest = Buffer.alloc(manifest.length + Number(padding(BigInt(manifest.length))) + 2 * SECTOR);
  manifest.copy(afterManifest);
  return [
    { offset: 0n, bytes: header(`${name}.ovf`, BigInt(DESCRIPTION), disk.time) },
    { offset: BigInt(SECTOR), bytes: description },
    { offset: start - BigInt(SECTOR), bytes: header(diskName, disk.length, disk.time) },
    { offset: end, bytes: new Uint8Array(Number(behind - end)) },
    { offset: behind, bytes: header(`${name}.mf`, BigInt(manifest.length), disk.time) },
    // The archive ends with two blocks of zeros.
    { offset: behind + BigInt(SECTOR), bytes: afterManifest },
  ];
}

/** Bytes up to the next block of an archive. */
function padding(length: bigint): bigint {
  const block = BigInt(SECTOR);
  return (block - (length % block)) % block;
}

/** The header of a file in an archive (POSIX.1-2001 pax, "ustar Interchange Format"). */
function header(name: string, length: bigint, time: number): Uint8Array {
  const bytes = Buffer.alloc(SECTOR);
  const octal = (value: bigint, digits: number): string => value.toString(8).padStart(digits, '0');
  const put = (at: number, text: string): void => {
    bytes.write(text, at, 'latin1');
  };
  put(0, name);
  put(100, `${octal(0o644n, 7)}\0${octal(0n, 7)}\0${octal(0n, 7)}\0`);
  if (length <= MOST_OCTAL) put(124, `${octal(length, 11)} `);
  else {
    bytes[124] = 0x80;
    bytes.writeBigUInt64BE(length, 128);
  }
  put(136, `${octal(BigInt(time), 11)} `);
  // The sum counts its own field as spaces.
  put(148, '        ');
  put(156, '0');
  put(257, 'ustar\x0000');
  put(265, 'instar');
  put(297, 'instar');
  const sum = bytes.reduce((total, byte) => total + byte, 0);
  put(148, `${octal(BigInt(sum), 6)}\0 `);
  return bytes;
}

/** Elements of one piece of hardware, which the schema wants in alphabetical order. */
function item(elements: Readonly<Record<string, string | number>>): string {
  const lines = Object.entries(elements).map(([name, value]) => `        <rasd:${name}>${value}</rasd:${name}>\n`);
  return `      <Item>\n${lines.sort().join('')}      </Item>\n`;
}

/** The description (DSP0243 1.1.1): one machine, with one processor, 2 GiB of memory and the disk. */
function descriptionOf(name: string, diskName: string, disk: ApplianceDisk): string {
  const [controller, subtype] = CONTROLLERS[disk.adapter];
  const hardware = [
    item({ ElementName: '1 virtual CPU', InstanceID: 1, ResourceType: 3, VirtualQuantity: 1 }),
    item({
      AllocationUnits: 'byte * 2^20',
      ElementName: '2048 MB of memory',
      InstanceID: 2,
      ResourceType: 4,
      VirtualQuantity: 2048,
    }),
    item({
      Address: 0,
      ElementName: 'Controller 0',
      InstanceID: 3,
      ResourceSubType: subtype,
      ResourceType: controller,
    }),
    item({
      AddressOnParent: 0,
      ElementName: 'Hard disk 1',
      HostResource: 'ovf:/disk/vmdisk1',
      InstanceID: 4,
      Parent: 3,
      ResourceType: 17,
    }),
  ].join('');
  const cim = 'http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2';
  return `<?xml version="1.0" encoding="UTF-8"?>
<Envelope xmlns="http://schemas.dmtf.org/ovf/envelope/1" xmlns:ovf="http://schemas.dmtf.org/ovf/envelope/1"
    xmlns:rasd="${cim}/CIM_ResourceAllocationSettingData" xmlns:vssd="${cim}/CIM_VirtualSystemSettingData">
  <References>
    <File ovf:href="${diskName}" ovf:id="file1" ovf:size="${disk.length}"/>
  </References>
  <DiskSection>
    <Info>Virtual disks</Info>
    <Disk ovf:capacity="${disk.capacity}" ovf:capacityAllocationUnits="byte" ovf:diskId="vmdisk1" ovf:fileRef="file1"
        ovf:format="http://www.vmware.com/interfaces/specifications/vmdk.html#streamOptimized"/>
  </DiskSection>
  <VirtualSystem ovf:id="${name}">
    <Info>A virtual machine</Info>
    <Name>${name}</Name>
    <OperatingSystemSection ovf:id="102">
      <Info>Other, 64-bit</Info>
    </OperatingSystemSection>
    <VirtualHardwareSection>
      <Info>Virtual hardware</Info>
      <System>
        <vssd:ElementName>Virtual Hardware Family</vssd:ElementName>
        <vssd:InstanceID>0</vssd:InstanceID>
        <vssd:VirtualSystemIdentifier>${name}</vssd:VirtualSystemIdentifier>
        <vssd:VirtualSystemType>vmx-07</vssd:VirtualSystemType>
      </System>
${hardware}    </VirtualHardwareSection>
  </VirtualSystem>
</Envelope>
`;
}
