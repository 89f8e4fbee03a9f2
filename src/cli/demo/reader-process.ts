/** A process whose worker thread is the guest: its region is a memfd, as for any other process. */
import { Worker } from 'node:worker_threads';
import type { GuestMessage, GuestTask } from './messages.ts';

process.once('message', (task: GuestTask) => {
  const worker = new Worker(new URL('./reader-thread.js', import.meta.url), { workerData: task });
  worker.on('message', (message: GuestMessage) => process.send?.(message));
  worker.on('error', (error: Error) => {
    process.send?.({ kind: 'failed', message: error.message } satisfies GuestMessage);
  });
  worker.on('exit', (status) => {
    process.exitCode = status;
    process.disconnect();
  });
});
