import { defineConfig } from 'tsup';
import { library } from '../../tsup.base.js';

// What nobody uses who has the other queue is loaded when a queue is opened, and stays outside.
export default defineConfig(
  library({ entry: ['src/index.ts'], platform: 'node', external: ['bullmq', 'ioredis', 'pg-boss'] }),
);
