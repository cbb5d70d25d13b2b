// A board of the queue, and figures of it for Prometheus under /metrics. It shows and changes nothing, and asks nobody who they are: put
// it behind something that does, or leave it on this machine.
//
//   INSTAR_QUEUE=redis://queue:6379 node board.mjs      # http://127.0.0.1:3000
import { createBullBoard } from '@bull-board/api';
import { BullMQAdapter } from '@bull-board/api/bullMQAdapter';
import { ExpressAdapter } from '@bull-board/express';
import { createMetrics, openQueue } from '@instar/jobs';
import { Queue } from 'bullmq';
import express from 'express';
import { Redis } from 'ioredis';

const { INSTAR_QUEUE: url = 'redis://127.0.0.1:6379', INSTAR_QUEUE_NAME: name = 'instar' } = process.env;
const { BOARD_HOST: host = '127.0.0.1', BOARD_PORT: port = '3000' } = process.env;

const connection = new Redis(url, { maxRetriesPerRequest: null });
connection.on('error', (error) => console.error(`board: ${error.message}`));
const shown = new Queue(name, { connection });
const queue = await openQueue(url, name);
const metrics = createMetrics();

const adapter = new ExpressAdapter();
createBullBoard({
  queues: [new BullMQAdapter(shown, { readOnlyMode: true, description: 'Disk images' })],
  serverAdapter: adapter,
  options: { uiConfig: { boardTitle: 'instar' } },
});

const app = express();
app.get('/metrics', (_, response) => {
  metrics.text(queue).then(
    (text) => response.type('text/plain; version=0.0.4').send(text),
    () => response.sendStatus(503),
  );
});
app.use('/', adapter.getRouter());
const server = app.listen(Number(port), host, () => {
  console.log(`board: http://${host}:${server.address().port}`);
});

async function end() {
  server.closeAllConnections();
  server.close();
  await shown.close();
  await queue.close();
  connection.disconnect();
}
for (const signal of ['SIGTERM', 'SIGINT']) process.once(signal, () => void end());
