/**
 * A guest as a process of its own, started by `real-host.test.ts` from dist/. Does one thing, says
 * so on standard output, and ends only when nothing keeps it alive.
 */
import { connect } from '../../../guest/index.ts';

const [task = '', host = ''] = process.argv.slice(2);
const say = (line: string) => process.stdout.write(`${line}\n`);

/** Attached, never used again, never closed: the process ends. */
async function idle(): Promise<void> {
  const driver = await connect({ host });
  await driver.async.nop();
  say(driver.state);
}

/** As `idle`, but the host goes away and does not come back. */
async function orphaned(): Promise<void> {
  const driver = await connect({ host });
  driver.on('state', (state) => say(state));
  say('attached');
  // Standard input ends when the host is gone: until then this process has something to do.
  for await (const _ of process.stdin) say('input');
}

/** A command in flight keeps the process until it is answered, although nobody awaits it. */
async function busy(): Promise<void> {
  const driver = await connect({ host });
  say('attached');
  await new Promise<void>((resolve) => {
    process.stdin.once('data', () => resolve());
  });
  process.stdin.destroy();
  void driver.async.nop().then(() => say('answered'));
  say('submitted');
}

const WARM_COUNT = 300_000;
const COUNT = 500_000;
const ROUNDS = 4;

/** Bytes of heap per command of the batch face, the least of some rounds. Needs --expose-gc. */
async function allocate(): Promise<void> {
  const driver = await connect({ host });
  const { batch } = driver;
  const run = (count: number) => {
    let submitted = 0;
    let completed = 0;
    while (completed < count) {
      while (submitted < count && batch.submitNop() >= 0) submitted++;
      batch.publish();
      completed += batch.reap(64);
    }
  };
  run(WARM_COUNT);
  let least = Number.POSITIVE_INFINITY;
  for (let round = 0; round < ROUNDS; round++) {
    globalThis.gc?.();
    const before = process.memoryUsage().heapUsed;
    run(COUNT);
    least = Math.min(least, (process.memoryUsage().heapUsed - before) / COUNT);
  }
  say(String(least));
  await driver.close();
}

const TASKS: Record<string, () => Promise<void>> = { idle, orphaned, busy, allocate };
await TASKS[task]?.();
