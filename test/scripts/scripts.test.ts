/**
 * The pure parts of the scripts: which way to build, what is missing, what is stale, and the sum
 * line. What they do as a whole is what `npm test` itself exercises.
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

interface Counts {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
}

interface Scripts {
  planBuild(has: (name: string) => boolean): { tool: string | undefined; missing: string[] };
  missingMessage(missing: string[]): string;
  addonIsStale(root: string, werror: boolean): boolean;
  isStale(stamp: string, paths: string[]): boolean;
  countsOfStep(status: number, counts: Counts | undefined): Counts;
  sumCounts(steps: Counts[]): Counts;
  sumLine(sum: Counts): string;
  readCounts(file: string): Counts | undefined;
}

async function load(name: string): Promise<Scripts> {
  return (await import(new URL(`../../scripts/${name}`, import.meta.url).href)) as Scripts;
}

const { planBuild, missingMessage, addonIsStale } = await load('addon.mjs');
const { isStale } = await load('tools.mjs');
const { countsOfStep, sumCounts, sumLine, readCounts } = await load('counts.mjs');

describe('the way to build', () => {
  const having = (...names: string[]) => planBuild((name) => names.includes(name));

  it('is cmake-js where CMake and a maker are there', () => {
    expect(having('g++', 'cmake', 'make', 'python3').tool).toBe('cmake-js');
    expect(having('clang++', 'cmake', 'ninja').tool).toBe('cmake-js');
  });

  it('is node-gyp where CMake is missing', () => {
    expect(having('g++', 'make', 'python3').tool).toBe('node-gyp');
  });

  it('names what is missing, for the way that is nearer', () => {
    expect(having('cmake', 'make', 'python3')).toEqual({ tool: undefined, missing: ['g++'] });
    expect(having('g++', 'cmake')).toEqual({ tool: undefined, missing: ['make'] });
    expect(having('make', 'g++')).toEqual({ tool: undefined, missing: ['cmake'] });
    expect(having().missing).toEqual(['g++', 'make', 'cmake']);
    expect(missingMessage(['g++', 'make'])).toContain(
      'apt-get install -y --no-install-recommends g++ make',
    );
  });
});

describe('staleness', () => {
  let folder = '';
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'logflume-stale-'));
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  /** Writes a file with a modification time of so many seconds. */
  function write(name: string, atS: number, text = ''): string {
    const path = join(folder, name);
    writeFileSync(path, text);
    utimesSync(path, atS, atS);
    return path;
  }

  it('is a missing stamp, a newer file, or a newer folder', () => {
    const sources = join(folder, 'src');
    mkdirSync(sources);
    write('src/a.ts', 100);
    utimesSync(sources, 100, 100);
    expect(isStale(join(folder, 'stamp'), [sources])).toBe(true);
    const stamp = write('stamp', 200);
    expect(isStale(stamp, [sources, join(folder, 'absent')])).toBe(false);
    utimesSync(join(sources, 'a.ts'), 300, 300);
    expect(isStale(stamp, [sources])).toBe(true);
    // A deleted file shows only in its folder's time.
    rmSync(join(sources, 'a.ts'));
    utimesSync(sources, 300, 300);
    expect(isStale(stamp, [sources])).toBe(true);
  });

  it('of the addon includes a build that was not strict enough', () => {
    mkdirSync(join(folder, 'build/Release'), { recursive: true });
    expect(addonIsStale(folder, false)).toBe(true);
    write('build/Release/logflume.node', 100);
    expect(addonIsStale(folder, false)).toBe(true);
    write('build/addon.json', 200, '{"werror":false}');
    expect(addonIsStale(folder, false)).toBe(false);
    expect(addonIsStale(folder, true)).toBe(true);
    write('build/addon.json', 200, '{"werror":true}');
    expect(addonIsStale(folder, true)).toBe(false);
    write('CMakeLists.txt', 300);
    expect(addonIsStale(folder, true)).toBe(true);
  });
});

describe('the sum', () => {
  it('adds up steps, with a failed process as a failure of its own', () => {
    const steps = [
      countsOfStep(0, undefined),
      countsOfStep(1, undefined),
      countsOfStep(0, { passed: 5, failed: 0, skipped: 2 }),
      countsOfStep(1, { passed: 3, failed: 2, skipped: 0 }),
      countsOfStep(1, { passed: 4, failed: 0, skipped: 0 }),
    ];
    expect(sumLine(sumCounts(steps))).toBe('12 passed, 4 failed, 2 skipped');
  });

  it('is a failure where nothing passed', () => {
    expect(sumLine(sumCounts([]))).toBe('0 passed, 1 failed, 0 skipped');
    const skipped = countsOfStep(0, { passed: 0, failed: 0, skipped: 3 });
    expect(sumCounts([skipped]).failed).toBe(1);
  });

  it('takes a file that is absent or cut off for no counts', () => {
    expect(readCounts(join(tmpdir(), 'logflume-no-such-file'))).toBeUndefined();
  });
});

describe('npm run bench', () => {
  it('lists the benchmarks when asked for none of them', () => {
    const args = ['scripts/bench.mjs', 'no-such'];
    const { status, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' });
    expect(status).toBe(1);
    expect(stderr).toMatch(/^logflume: usage: npm run bench -- NAME/);
  });
});
