/** Posts every message back: the peer of a round trip through postMessage. */
import { parentPort } from 'node:worker_threads';

parentPort?.on('message', (message) => parentPort?.postMessage(message));
