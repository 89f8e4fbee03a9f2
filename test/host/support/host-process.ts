/**
 * A host in a process of its own, for tests: forked from dist/ by host-child.ts, asked by messages.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { type Host, type HostOptions, startHost } from '../../../host/index.ts';
import { StoreError } from '../../../src/base/errors.ts';

export interface HostQuestion {
  readonly id: number;
  readonly ask: 'start' | 'close' | 'stats' | 'resources' | 'terminate';
  readonly options?: HostOptions;
}

export interface HostAnswer {
  readonly id: number;
  readonly result?: unknown;
  readonly error?: { readonly code: string; readonly message: string };
}

/** What leaks show in. */
export interface HostResources {
  readonly descriptors: number;
  /** Mappings of guests' memory. */
  readonly regions: number;
}

let host: Host | undefined;

async function answer({ ask, options }: HostQuestion): Promise<unknown> {
  switch (ask) {
    case 'start':
      host = await startHost(options);
      return undefined;
    case 'close':
      await host?.close();
      return undefined;
    case 'stats':
      return await host?.stats();
    case 'terminate':
      await host?.terminateReactor();
      return undefined;
    case 'resources':
      return resources();
  }
}

function resources(): HostResources {
  const maps = readFileSync('/proc/self/maps', 'utf8');
  return {
    descriptors: readdirSync('/proc/self/fd').length,
    regions: maps.split('\n').filter((line) => line.includes('/memfd:')).length,
  };
}

process.on('message', (question: HostQuestion) => {
  const { id } = question;
  answer(question).then(
    (result) => process.send?.({ id, result } satisfies HostAnswer),
    (error: unknown) => {
      const code = error instanceof StoreError ? error.code : 'unexpected';
      const message = error instanceof Error ? (error.stack ?? error.message) : String(error);
      process.send?.({ id, error: { code, message } } satisfies HostAnswer);
    },
  );
});

// A test that failed, or was killed, must not leave a host behind.
process.on('disconnect', () => process.exit(0));
