/**
 * A host and a driver in threads of one process, in an installation whose addon was not built: the
 * channel works over SharedArrayBuffers alone, parked and awake; what needs the addon says so.
 */
import { execFile } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, it } from 'vitest';

const SCRIPT = `
  import { once } from 'node:events';
  import { Worker } from 'node:worker_threads';
  import { startHost } from 'logflume/host';
  import { connect } from 'logflume/guest';

  const host = await startHost();
  const driver = await connect({ host: host.openPort(), volume: 'any' });
  for (let i = 0; i < 50; i++) await driver.async.nop();
  await host.terminateReactor();
  await driver.async.nop();
  await driver.close();

  const worker = new Worker(\`
    const { parentPort, workerData } = require('node:worker_threads');
    import('logflume/guest').then(async ({ connect }) => {
      const driver = await connect({ host: workerData, volume: 'any' });
      for (let i = 0; i < 1000; i++) driver.sync.nop();
      await driver.close();
      parentPort.postMessage('done');
    });
  \`, { eval: true, ...portData(host.openPort()) });
  function portData(port) { return { workerData: port, transferList: [port] }; }
  await once(worker, 'message');
  const { counters } = await host.stats();
  console.log('lost', counters.lostWakes, 'nops', counters.commandsNop >= 1000);

  const codes = [];
  for (const options of [{ pool: 'x' }, { listen: 'x.sock' }]) {
    await startHost(options).catch((error) => codes.push(error.code));
  }
  console.log(codes.join(' '));
  await host.close();
`;

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'lf-bare-'));
  mkdirSync(join(folder, 'dist'));
  for (const part of ['src', 'guest', 'host']) {
    cpSync(resolve('dist', part), join(folder, 'dist', part), { recursive: true });
  }
  cpSync('package.json', join(folder, 'package.json'));
  symlinkSync(resolve('node_modules'), join(folder, 'node_modules'));
  writeFileSync(join(folder, 'script.mjs'), SCRIPT);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

it('serves threads without the addon, and says what needs it', async () => {
  const run = promisify(execFile);
  const { stdout } = await run(process.execPath, ['script.mjs'], { cwd: folder });
  expect(stdout).toBe('lost 0 nops true\naddon_missing addon_missing\n');
});
