/**
 * The addon is built in two ways, by cmake-js for us and by node-gyp for whoever has no CMake. Both
 * must be the same addon: same dynamic symbols, same JavaScript names. Leaves out that they behave
 * alike; the sources and flags are shared.
 */
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CheckoutCopy } from '../support/checkout-copy.ts';

interface AddonScript {
  buildAddon(options: { root: string; tool: string; werror: boolean }): {
    status: number;
    output: string;
  };
}

const INPUTS = ['native', 'CMakeLists.txt', 'binding.gyp', 'package.json'];

async function build(tool: string): Promise<CheckoutCopy> {
  const url = new URL('../../scripts/addon.mjs', import.meta.url).href;
  const { buildAddon } = (await import(url)) as AddonScript;
  const copy = new CheckoutCopy(INPUTS);
  const { status, output } = buildAddon({ root: copy.folder, tool, werror: true });
  if (status !== 0) {
    copy.remove();
    throw new Error(`${tool} failed:\n${output}`);
  }
  return copy;
}

function symbolsOf(file: string): string[] {
  const lines = execFileSync('nm', ['-D', '--defined-only', file], { encoding: 'utf8' });
  const names = lines
    .trim()
    .split('\n')
    .map((line) => line.split(' ').at(-1) ?? '');
  return names.sort();
}

/** In a process of its own: two builds of one addon need not get along in this one. */
function namesOf(file: string): string[] {
  const print = 'console.log(JSON.stringify(Object.keys(require(process.argv[1])).sort()))';
  return JSON.parse(execFileSync(process.execPath, ['-e', print, file], { encoding: 'utf8' }));
}

describe('the addon by cmake-js and by node-gyp', () => {
  const copies: CheckoutCopy[] = [];
  const files: string[] = [];

  beforeAll(async () => {
    for (const tool of ['cmake-js', 'node-gyp']) {
      const copy = await build(tool);
      copies.push(copy);
      files.push(join(copy.folder, 'build/Release/logflume.node'));
    }
  }, 600_000);

  afterAll(() => {
    for (const copy of copies) copy.remove();
  });

  it('exports the entry points of Node-API and nothing else', () => {
    const expected = ['napi_register_module_v1', 'node_api_module_get_api_version_v1'];
    for (const file of files) expect(symbolsOf(file)).toEqual(expected);
  });

  it('offers the same names to JavaScript', () => {
    const [byCmake = [], byGyp = []] = files.map(namesOf);
    expect(byCmake.length).toBeGreaterThan(0);
    expect(byGyp).toEqual(byCmake);
  });
});
