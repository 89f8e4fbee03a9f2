/**
 * The commands as a user runs them, against a host in a process of its own. What they print for
 * people is not pinned down, but for errors: one line, status 1. What is left out: the progress
 * bar, which needs a terminal.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Prng } from '../../src/base/prng.ts';

const MAIN = fileURLToPath(new URL('../../dist/src/cli/main.js', import.meta.url));

let folder = '';
let socket = '';
let pool = '';
let host: ChildProcess | undefined;

function logflume(...args: string[]): { status: number | null; out: string; err: string } {
  const env = { ...process.env, LOGFLUME_HOST: socket };
  // A command that never ends is a failure of its test, not of the whole run.
  const timeout = 60_000;
  const result = spawnSync(process.execPath, [MAIN, ...args], { encoding: 'utf8', env, timeout });
  return { status: result.status, out: result.stdout, err: result.stderr };
}

/** Runs a command that must succeed and returns the JSON that it prints. */
function logflumeJson(...args: string[]): unknown {
  const { status, out, err } = logflume(...args, '--json');
  expect(err).toBe('');
  expect(status).toBe(0);
  return JSON.parse(out);
}

async function startHost(): Promise<void> {
  host = spawn(process.execPath, [MAIN, 'host', '--pool', pool, '--listen', socket]);
  let printed = '';
  while (!printed.includes('listening on')) {
    const [chunk] = (await once(host.stdout as NodeJS.ReadableStream, 'data')) as [Buffer];
    printed += chunk.toString();
  }
}

async function stopHost(): Promise<number | null> {
  if (host === undefined || host.exitCode !== null) return null;
  const gone = once(host, 'exit');
  host.kill('SIGTERM');
  const [status] = (await gone) as [number | null];
  return status;
}

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'lf-cli-'));
  socket = join(folder, 's');
  pool = join(folder, 'p.pool');
  const made = logflume('pool', 'create', pool, '--size', '256M');
  expect(made.err).toBe('');
  expect(made.out).toContain('allocated');
  await startHost();
});

afterAll(async () => {
  await stopHost();
  rmSync(folder, { recursive: true, force: true });
});

describe('volumes', () => {
  it('are made, listed, resized and removed', () => {
    expect(logflumeJson('volume', 'create', 'one', '--size', '8M')).toMatchObject({ name: 'one' });
    expect(logflumeJson('volume', 'resize', 'one', '--size', '16M')).toMatchObject({
      sizeBytes: 16 * 1024 * 1024,
    });
    const listed = logflumeJson('volume', 'ls') as { name: string }[];
    expect(listed.map(({ name }) => name)).toContain('one');
    expect(logflume('volume', 'info', 'one').out).toContain('16 MiB');
    expect(logflume('volume', 'rm', 'one').status).toBe(0);
    expect(logflume('volume', 'info', 'one')).toMatchObject({ status: 1, out: '' });
  });

  it('take a file and give back the same bytes', () => {
    const bytes = new Uint8Array(3_000_001);
    new Prng(7).fill(bytes);
    const input = join(folder, 'in');
    const output = join(folder, 'out');
    writeFileSync(input, bytes);
    expect(logflume('volume', 'import', input, 'copied')).toMatchObject({ status: 0, err: '' });
    expect(logflume('volume', 'export', 'copied', output)).toMatchObject({ status: 0, err: '' });
    const exported = readFileSync(output);
    expect(Buffer.compare(exported.subarray(0, bytes.byteLength), bytes)).toBe(0);
    expect(exported.subarray(bytes.byteLength).every((byte) => byte === 0)).toBe(true);
    // A second export would overwrite the first.
    expect(logflume('volume', 'export', 'copied', output)).toMatchObject({ status: 1 });
  });

  it('refuse a file that does not fit', () => {
    logflumeJson('volume', 'create', 'small', '--size', '1M');
    const input = join(folder, 'large');
    writeFileSync(input, new Uint8Array(2 * 1024 * 1024));
    const refused = logflume('volume', 'import', input, 'small');
    expect(refused.status).toBe(1);
    expect(refused.err).toContain('volume=small');
  });
});

describe('a running host', () => {
  it('shows its counters', () => {
    expect(logflumeJson('stat')).toMatchObject({ hostPid: host?.pid });
    expect(logflume('stat').out).toContain('uptimeMs');
  });

  it('takes a load, but writes only where that was asked for', () => {
    logflumeJson('volume', 'create', 'load', '--size', '4M');
    const args = ['bench', 'load', '--seconds', '0.1', '--depth', '4', '--rw'];
    expect(logflume(...args, 'randwrite')).toMatchObject({ status: 1 });
    expect(logflumeJson(...args, 'randwrite', '--destroy')).toMatchObject({ rw: 'randwrite' });
    const read = logflumeJson(...args, 'randread') as { count: number };
    expect(read.count).toBeGreaterThan(0);
  });

  it('lets its pool be looked at', () => {
    expect(logflumeJson('pool', 'info', pool)).toMatchObject({ clean: false });
  });

  it('keeps its pool from others', () => {
    const second = logflume('host', '--pool', pool, '--listen', join(folder, 's2'));
    expect(second.status).toBe(1);
    expect(second.err).toContain('[pool_locked]');
  }, 30_000);

  it('keeps its socket from others, which end and let go of their pool', () => {
    const other = join(folder, 'other.pool');
    expect(logflume('pool', 'create', other, '--size', '96M').status).toBe(0);
    const second = logflume('host', '--pool', other, '--listen', socket);
    expect(second.status).toBe(1);
    expect(second.err).toContain('[in_use]');
    expect(second.err).not.toContain('reactor lost');
    expect(logflumeJson('pool', 'info', other)).toMatchObject({ clean: true });
  }, 30_000);
});

describe('errors', () => {
  it.each([
    ['a host that is not there', ['volume', 'ls', '--host', '/nonexistent/s'], '/nonexistent/s'],
    ['a size that is none', ['volume', 'create', 'x', '--size', '7Q'], '7Q'],
    ['a name that is none', ['volume', 'create', 'a/b', '--size', '1M'], 'field=name'],
    ['a volume that is not there', ['volume', 'info', 'nosuch'], '[not_found]'],
    ['a pool that is not there', ['pool', 'info', '/nonexistent/p'], '/nonexistent/p'],
    ['a number that is none', ['host', '--pool', 'x', '--spin-us', 'many'], 'many'],
  ])('are one line and status 1: %s', (_what, args, names) => {
    const { status, out, err } = logflume(...args);
    expect({ status, out }).toEqual({ status: 1, out: '' });
    expect(err.trimEnd().split('\n')).toHaveLength(1);
    expect(err).toContain(names);
  });

  it('of a host that cannot open its pool are its last words', () => {
    const { status, err } = logflume('host', '--pool', '/nonexistent/p', '--listen', `${socket}2`);
    expect(status).toBe(1);
    expect(err.trimEnd().split('\n').at(-1)).toContain('no such file or directory');
  });

  it('show their cause with --verbose', () => {
    const { err } = logflume('--verbose', 'volume', 'ls', '--host', '/nonexistent/s');
    expect(err.trimEnd().split('\n').length).toBeGreaterThan(1);
  });

  it('of usage name the option', () => {
    const { status, err } = logflume('pool', 'create', 'x');
    expect(status).toBe(1);
    expect(err).toContain('--size');
  });

  it('are none for help and version', () => {
    expect(logflume('--help')).toMatchObject({ status: 0, err: '' });
    expect(logflume('--version').out.trim()).toMatch(/^\d+\.\d+\.\d+$/);
  });
});

// Last, because afterwards no host can open the pool.
describe('check', () => {
  it('finds nothing wrong in a pool closed in order, and what is wrong in a damaged one', async () => {
    expect(await stopHost()).toBe(0);
    const info = logflumeJson('pool', 'info', pool);
    expect(info).toMatchObject({ clean: true });
    expect(logflumeJson('check', pool)).toMatchObject({ findings: [] });
    damage(pool);
    const damaged = logflume('check', pool);
    expect(damaged.status).toBe(1);
    expect(damaged.out).toMatch(/^damage: .*(checksum|does not match)/m);
  });
});

/** Flips one byte in the middle of every segment's used part: some stored block is hit. */
function damage(path: string): void {
  const bytes = readFileSync(path);
  const segments = 16 * 1024 * 1024;
  for (let at = segments; at < bytes.byteLength; at += 64 * 1024) {
    bytes[at + 4096 + 77] = (bytes[at + 4096 + 77] ?? 0) ^ 1;
  }
  writeFileSync(path, bytes);
}
