/** Who may do what with a region at CPL 3. */
export type Protection = 'none' | 'supervisor' | 'r' | 'rw' | 'rx' | 'image';

/** One region of a memory map; guest-virtual and guest-physical addresses are the same. */
export interface Region {
  readonly name: string;
  /** First byte. */
  readonly start: number;
  /** Bytes. */
  readonly size: number;
  readonly protection: Protection;
  readonly doc: string;
}
