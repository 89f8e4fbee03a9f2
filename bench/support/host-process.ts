/** A host in a process of its own, for benchmarks; started by bench-host.ts. */
import { type Host, type HostOptions, startHost } from '../../host/index.ts';
import { serve } from './child.ts';
import { type HeapReading, readWorkerHeaps } from './heap.ts';

let host: Host | undefined;

serve({
  start: async (options: HostOptions): Promise<void> => {
    host = await startHost(options);
  },
  close: async (): Promise<void> => {
    await host?.close();
    host = undefined;
  },
  readHeaps: (question: 'read' | 'collect'): Promise<HeapReading[]> => readWorkerHeaps(question),
});

process.on('SIGTERM', () => {
  void (host?.close() ?? Promise.resolve()).finally(() => process.exit(0));
});
