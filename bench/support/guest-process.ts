/** A guest in a process of its own, for benchmarks that need more than one, or one under strace. */
import type { Driver } from '../../guest/api.ts';
import { type ConnectOptions, connect } from '../../guest/index.ts';
import { serve } from './child.ts';
import { nopRoundTrips } from './nop-load.ts';

let driver: Driver | undefined;

function attached(): Driver {
  if (driver === undefined) throw new Error('not attached');
  return driver;
}

serve({
  connect: async (options: ConnectOptions): Promise<void> => {
    driver = await connect(options);
  },
  nops: (count: number): void => nopRoundTrips(attached(), count),
  close: async (): Promise<void> => {
    await driver?.close();
    driver = undefined;
  },
});
