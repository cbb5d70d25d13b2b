export { JobsError } from './errors.js';
export type { JobsErrorCode } from './errors.js';
export type { InspectedInput } from './inspections.js';
export { createMetrics } from './metrics.js';
export type { Metrics, ServedMetrics } from './metrics.js';
export { openQueue } from './open.js';
export { checksumJob, compareJob, convertJob, idOf, inspectJob, parseJob } from './payloads.js';
export type { ChecksumJob, CompareJob, ConvertJob, InspectJob, Job } from './payloads.js';
export type { WorkerPolicy } from './policy.js';
export type {
  Counts,
  JobFailure,
  JobQueue,
  JobState,
  JobStatus,
  QueuingOptions,
  Rate,
  Taking,
  TakingOptions,
} from './queue.js';
export type { BegunJob, EndedJob, WorkerOptions } from './run.js';
export { startWorker, submit } from './worker.js';
export type { SubmitOptions } from './worker.js';
