/** Disk-image operations on images from strangers: every image is parsed inside a sandbox. */
export {
  check,
  checkSafety,
  compare,
  convert,
  create,
  dd,
  info,
  infoChain,
  infoOfEach,
  inspect,
  inspectEach,
  map,
  measure,
  measureSize,
  openImage,
} from './api.js';
export type { FileEndpoint, FileName } from './api.js';
export type { DescribedImage } from './described-image.js';
export {
  amend,
  applySnapshot,
  bench,
  commit,
  createSnapshot,
  deleteSnapshot,
  editBitmap,
  rebase,
  repair,
  resize,
} from './api-edits.js';
export type { DdOptions, DdResult, Endpoint } from './dd-request.js';
export type { OutputEncryption } from './encryption/output.js';
export { backingPath, type BackingFile } from './output/backing.js';
export { CHECKSUM_ALGORITHMS } from './output/checksum.js';
export type { ChecksumAlgorithm, Checksums } from './output/checksum.js';
export { VMDK_SUBFORMATS } from './output/layout.js';
export type { ImageLayout } from './output/layout.js';
export { DumpRequests } from './dump-requests.js';
export type { DumpTarget, WrittenDump } from './dump-target.js';
export type { DumpWriteControl } from './dump-write.js';
export type { OperationControl } from './operation.js';
export { isRemoteName, shownName } from './remote/names.js';
export type { RemoteAccess, RemoteVersion } from './remote/source.js';
export { MultipartUpload } from './remote/s3-multipart.js';
export type { ObjectAccess, UploadedPart } from './remote/s3-multipart.js';
export { describeSystemError, EngineError, systemErrorName } from './errors.js';
export type { EngineErrorDetails, ErrorLocation } from './errors.js';
export { errorCodes } from './error-codes.js';
export type { EngineErrorCode, ErrorCodeHelp, ErrorFault, ImageErrorCode } from './error-codes.js';
export { InstarError, isInstarError } from './instar-error.js';
export type { AnyInstarError } from './instar-error.js';
export { jsonOf } from './json.js';
export type { Json } from './json.js';
export { escapeText, quoteName } from '@instar/host-files';
export { CONVERT_FORMATS, READABLE_FORMATS, WRITABLE_FORMATS } from './formats.js';
export type { ConvertFormat, WritableFormat } from './formats.js';
export type { GuestLimits, Isolation, Reflink, OperationDetail } from './session/context.js';
export { prepareSandbox } from './session/ahead.js';
export { closePool } from './session/pool.js';
export type { BenchOptions, BenchReport } from './operations/bench.js';
export type { CheckFinding, CheckOptions, CheckReport, FilePartUse } from './operations/check.js';
export type { ConvertEndpoint, ConvertOptions, ConvertResult } from './operations/convert.js';
export type { Lost, LostRange } from './output/lost.js';
export type { CreatedImage, CreateOptions } from './operations/create.js';
export type { EditedImage, EditOptions } from './operations/edit.js';
export type { CommitOptions, CommittedImage } from './operations/commit.js';
export type { RebaseOptions } from './operations/rebase.js';
export type { AmendedImage, Amendment, AmendOptions } from './operations/amend.js';
export type { KeySlotChange } from './operations/key-slots.js';
export type { BitmapAction, BitmapOptions } from './operations/bitmaps.js';
export type { RepairOptions, RepairReport } from './operations/repair.js';
export type { NewSize, ResizeOptions } from './operations/resize.js';
export type { SnapshotSelector } from './snapshot.js';
export type { CompareOptions, Comparison } from './operations/compare.js';
export type { MapOptions, MappedExtent } from './operations/map.js';
export type { MeasureOptions, Measurement, MeasureTarget } from './operations/measure.js';
export { Image } from './operations/open-image.js';
export type { DiskRange, StreamRange } from './operations/open-image.js';
export type { ReadOptions } from './operations/reading.js';
export type { LuksDetails, LuksSlot } from './luks-details.js';
export type {
  Bitmap,
  Described,
  ImageDescription,
  ManyOptions,
  InfoOptions,
  InspectOptions,
  Inspection,
  Qcow2Details,
  Snapshot,
  VmdkDetails,
} from './info.js';
export type { ImageExtent } from './extent-files.js';
export { IMAGE_DIRECTORY_ONLY, NO_REFERENCES } from './path-policy.js';
export type { PathPolicy } from './path-policy.js';
export type { RawContent, RawContentName } from './content.js';
export { SAFETY_CHECKS } from './safety.js';
export type { SafetyCheck, SafetyCheckName, SafetyStatus, SafetyVerdict } from './safety.js';
export type { Sandbox, SandboxChoice } from './sandbox.js';
export { checkSandboxes } from './sandbox-check.js';
export type { SandboxReport } from './sandbox-check.js';
