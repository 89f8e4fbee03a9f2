import { Worker } from 'node:worker_threads';

/**
 * Starts a worker of ours with what it is told. It runs with this process's options for Node, but
 * for `--input-type`, which is about the main script and stops a worker that is a file.
 */
export function startThread(script: URL, workerData: unknown): Worker {
  const execArgv = process.execArgv.filter((argument, i, all) => {
    const isValue = all[i - 1] === '--input-type';
    return !isValue && !argument.startsWith('--input-type');
  });
  return new Worker(script, { workerData, execArgv });
}
