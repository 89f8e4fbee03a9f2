/**
 * Pool files of this machine: made whole or not at all, owned by one open file (R5), never behind
 * the page cache. That they survive the loss of power can only be seen in what is called.
 */
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { fileSystemOf, isInMemory } from '../../src/platform/file-systems.ts';
import { createNodePlatform } from '../../src/platform/node-platform.ts';
import { makeTemporaryFolder } from './temporary-folder.ts';

const folder = makeTemporaryFolder();
const SHARED = '/dev/shm';
const hasMemoryFolder = existsSync(SHARED) && isInMemory(fileSystemOf(SHARED));
const memory = hasMemoryFolder ? makeTemporaryFolder(SHARED) : undefined;
const { pools, kernels } = createNodePlatform({ bankDir: folder });
const SMALL = { sizeBytes: 1024 * 1024, writeThrough: false };

describe('pool files', () => {
  it.each([false, true])('are allocated whole, written through %s', async (writeThrough) => {
    const path = join(folder, `whole-${writeThrough}`);
    await pools.create(path, { sizeBytes: 9 * 1024 * 1024, writeThrough });
    const stat = statSync(path);
    expect(stat.size).toBe(9 * 1024 * 1024);
    expect(stat.blocks * 512).toBeGreaterThanOrEqual(stat.size);
    expect(stat.mode & 0o777).toBe(0o600);
  });

  it('are not made over what is there', async () => {
    const path = join(folder, 'there');
    writeFileSync(path, 'precious');
    await expect(pools.create(path, SMALL)).rejects.toMatchObject({ code: 'already_exists' });
    expect(statSync(path).size).toBe(8);
  });

  it('leave nothing behind where there is no room', async () => {
    const path = join(folder, 'too-large');
    const creating = pools.create(path, { sizeBytes: 2 ** 50, writeThrough: false });
    await expect(creating).rejects.toMatchObject({ code: 'system_error' });
    expect(existsSync(path)).toBe(false);
  });

  it('have one owner, also within a process', async () => {
    const path = join(folder, 'owned');
    await pools.create(path, SMALL);
    const disk = await pools.open(path, { lockWaitMs: 0 });
    const refused = pools.open(path, { lockWaitMs: 30, readOnly: true });
    await expect(refused).rejects.toMatchObject({ code: 'pool_locked' });
    await expect(refused).rejects.toThrow(`holder=${process.pid} (`);
    const waiting = pools.open(path, { lockWaitMs: 60_000 });
    await disk.close();
    await (await waiting).close();
  });

  it('are free again once a killed owner is gone', async () => {
    const path = join(folder, 'orphaned');
    await pools.create(path, SMALL);
    const owner = spawn('flock', ['--exclusive', '--no-fork', path, 'sh', '-c', 'echo; read line']);
    await new Promise((resolve) => owner.stdout.once('data', resolve));
    const refused = pools.open(path, { lockWaitMs: 0 });
    await expect(refused).rejects.toThrow(`holder=${owner.pid}`);
    const waiting = pools.open(path, { lockWaitMs: 60_000 });
    owner.kill('SIGKILL');
    await (await waiting).close();
  });

  it('are refused unless they are regular files', async () => {
    const path = join(folder, 'folder');
    mkdirSync(path);
    const opened = pools.open(path, { lockWaitMs: 0, readOnly: true });
    await expect(opened).rejects.toMatchObject({
      code: expect.stringMatching(/unsupported|system/),
    });
    const missing = pools.open(join(folder, 'missing'), { lockWaitMs: 0 });
    await expect(missing).rejects.toThrow('ENOENT');
  });

  it('can be opened for reading only', async () => {
    const path = join(folder, 'read-only');
    await pools.create(path, SMALL);
    const disk = await pools.open(path, { lockWaitMs: 0, readOnly: true });
    const bytes = kernels.allocate(4096);
    await disk.read(bytes, 0);
    await expect(disk.write(bytes, 0)).rejects.toThrow('opened for writing');
    await disk.close();
  });

  it.runIf(memory !== undefined)(
    'are refused in memory, by the name of the file system',
    async () => {
      const path = join(memory ?? '', 'pool');
      const creating = pools.create(path, SMALL);
      await expect(creating).rejects.toMatchObject({ code: 'unsupported' });
      await expect(creating).rejects.toThrow('fileSystem=tmpfs');
      expect(existsSync(path)).toBe(false);
      writeFileSync(path, Buffer.alloc(4096));
      await expect(pools.open(path, { lockWaitMs: 0 })).rejects.toThrow('fileSystem=tmpfs');
    },
  );
});
