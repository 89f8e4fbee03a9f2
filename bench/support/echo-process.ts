/** Answers bytes on a Unix socket with the same bytes: the peer of a round trip through sockets. */
import { createServer } from 'node:net';
import { serve } from './child.ts';

serve({
  listen: (path: string): Promise<void> =>
    new Promise((resolve, reject) => {
      const server = createServer((socket) => {
        socket.on('data', (bytes) => socket.write(bytes));
        // A client that leaves is the end of the run.
        socket.on('error', () => socket.destroy());
      });
      server.once('error', reject);
      server.listen(path, resolve);
    }),
});
