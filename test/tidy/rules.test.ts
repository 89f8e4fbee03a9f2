/** Each rule reports the violation planted for it, and leaves its nearest innocent neighbour alone. */
import { describe, expect, it } from 'vitest';
import { bannedInProduct, bannedText, bannedTypes } from './banned.ts';
import { blankComments, blankStrings } from './blank.ts';
import { FLOORS } from './floors.ts';
import { deadFiles, deadMentions, strayImports } from './imports.ts';
import { misnamed, sourceListGaps, tooLong } from './shape.ts';
import { Source } from './source.ts';

describe('floors', () => {
  it('reports an import that goes up', () => {
    const text = [
      "import { x } from '../base/assert.ts';",
      "import { y } from '../maps/block-map.ts';",
      "export type { Z } from '../../host/index.ts';",
      "const w = await import('../volumes/volume.ts');",
    ].join('\n');
    expect(strayImports(new Source('src/log/log.ts', text))).toEqual([
      'src/log/log.ts:2: src/log may not import src/maps',
      'src/log/log.ts:3: src/log may not import host',
      'src/log/log.ts:4: src/log may not import src/volumes',
    ]);
  });

  it('reports an import through the name of our own package', () => {
    const text = "import { connect } from 'logflume/guest';";
    expect(strayImports(new Source('src/store/pool.ts', text))).toEqual([
      'src/store/pool.ts:1: src/store may not import guest',
    ]);
  });

  it('reports a product file that imports a test or a benchmark', () => {
    const text = "import { disk } from '../../test/sim/disk.ts';\nimport '../../bench/map.ts';";
    expect(strayImports(new Source('src/log/log.ts', text))).toEqual([
      'src/log/log.ts:1: src/log may not import test',
      'src/log/log.ts:2: src/log may not import bench',
    ]);
  });

  it('reports a folder that is in no floor', () => {
    expect(strayImports(new Source('src/extra/x.ts', ''))).toEqual([
      'src/extra/x.ts:1: src/extra is not in floors.ts',
    ]);
  });

  it('keeps a subfolder with its own floor apart', () => {
    const text = "import { x } from '../../session.ts';";
    expect(strayImports(new Source('host/fronts/nbd/server.ts', text))).toEqual([
      'host/fronts/nbd/server.ts:1: host/fronts may not import host',
    ]);
  });

  it('allows what stands in prose or goes to a package', () => {
    const text = "// import { y } from '../maps/x.ts'\nimport { z } from 'zod';";
    expect(strayImports(new Source('src/log/log.ts', text))).toEqual([]);
  });

  it('keeps the towers apart', () => {
    const storage = ['src/formats', 'src/log', 'src/maps', 'src/volumes', 'src/store'];
    for (const floor of ['src/memory', 'src/channel', 'guest']) {
      for (const folder of storage) {
        expect(FLOORS[floor]).not.toContain(folder);
        expect(FLOORS[folder]).not.toContain(floor);
      }
    }
  });
});

describe('dead files', () => {
  const entry = new Source('guest/index.ts', "export { connect } from './connect.ts';");
  const connect = new Source('guest/connect.ts', "new URL('./worker.js', import.meta.url)");
  const worker = new Source('guest/worker.ts', '');

  it('reports a file that only its own test imports', () => {
    const lone = new Source('src/base/lone.ts', '');
    const test = new Source('test/base/lone.test.ts', "import '../../src/base/lone.ts';");
    expect(deadFiles([entry, connect, worker, lone, test], ['guest/index.ts'])).toEqual([
      'src/base/lone.ts:1: nothing reaches this file',
    ]);
  });

  it('reports files that only hold each other', () => {
    const a = new Source('src/base/a.ts', "import './b.ts';");
    const b = new Source('src/base/b.ts', "import './a.ts';");
    expect(deadFiles([entry, connect, worker, a, b], ['guest/index.ts'])).toHaveLength(2);
  });

  it('follows worker threads, benchmarks and test harnesses', () => {
    const prng = new Source('src/base/prng.ts', '');
    const sim = new Source('test/sim/run.ts', "import '../../src/base/prng.ts';");
    expect(deadFiles([entry, connect, worker, prng, sim], ['guest/index.ts'])).toEqual([]);
  });

  it('reports a mention of a file that is not there', () => {
    const paths = new Set(['guest/index.ts', 'guest/connect.ts']);
    expect(deadMentions(connect, paths)).toEqual([
      'guest/connect.ts:1: guest/worker.ts is not there',
    ]);
    expect(deadMentions(entry, paths)).toEqual([]);
  });
});

describe('banned names', () => {
  const inLog = (text: string) => bannedInProduct(new Source('src/log/log.ts', text));

  it.each([
    'Date.now()',
    'new Date()',
    'performance.now()',
    'process.hrtime.bigint()',
    'setTimeout(f, 1)',
    'setInterval(f, 1)',
    'Math.random()',
    'randomBytes(8)',
    'crypto.getRandomValues(x)',
    'Atomics.load(words, 0)',
    "import { open } from 'node:fs';",
    "import { open } from 'node:fs/promises';",
    "import { setTimeout as wait } from 'node:timers/promises';",
  ])('reports %s in the product', (text) => {
    expect(inLog(`// First line.\n${text}\n`)[0]).toMatch(/^src\/log\/log\.ts:2: /);
  });

  it('leaves prose, strings and other names alone', () => {
    const text = [
      '/** Date.now() is banned here. */',
      "const says = 'setTimeout';",
      'const reset = offsetTimeout; // Math.random',
      'const text = `Atomics ${words} Atomics`;',
      'const made = new Date(atMs);',
    ].join('\n');
    expect(inLog(text)).toEqual([]);
  });

  it('finds a name inside a template', () => {
    const text = 'const text = `${`${Date.now()}`} Date.now`;';
    expect(inLog(text)).toHaveLength(1);
  });

  it('allows Atomics in src/memory, and the rest in src/platform and src/cli', () => {
    const all = 'Atomics.load(w, 0); Date.now(); Math.random();';
    expect(bannedInProduct(new Source('src/platform/real.ts', all))).toEqual([]);
    const memory = bannedInProduct(new Source('src/memory/ring.ts', all));
    expect(memory.map((line) => line.split(': ')[1])).toEqual(['Date.now', 'Math.random']);
    const cli = bannedInProduct(new Source('src/cli/main.ts', all));
    expect(cli.map((line) => line.split(': ')[1])).toEqual(['Atomics']);
  });

  it.each(['x as any', 'const f = (x: any) => x', 'x as unknown as Y', `// @ts-${'ignore'}`])(
    'reports the way around types: %s',
    (text) => {
      expect(bannedTypes(new Source('src/log/log.ts', text))).toHaveLength(1);
    },
  );

  it('allows a wrong value in a test', () => {
    expect(bannedTypes(new Source('test/log/x.test.ts', 'x as unknown as Y'))).toEqual([]);
  });

  // Spelt in two halves, or tidy would report this file.
  it.each([
    `// ${'TO'}DO: later`,
    `// ${'FIX'}ME (#3)`,
    `see /${'work'}/main`,
    `see /${'root'}/.npmrc`,
    `see /${'home'}/somebody/x`,
    `"${'res'}olved": "https://host/x.tgz"`,
    `https://${'reg'}istry.example.org/x`,
  ])('reports the text %s', (text) => {
    expect(bannedText(new Source('docs/x.md', `\n${text}\n`))[0]).toMatch(/^docs\/x\.md:2: /);
  });

  it('leaves marks with an issue, and relative paths, alone', () => {
    const text = `// ${'TO'}DO(#12) and ${'TO'}DO(test/log/x.test.ts)\nframework/${'work'}/x`;
    expect(bannedText(new Source('src/x.ts', text))).toEqual([]);
  });
});

describe('shape', () => {
  it('reports a file of 501 lines, not one of 500', () => {
    expect(tooLong(new Source('src/x.ts', 'x\n'.repeat(500)))).toEqual([]);
    expect(tooLong(new Source('src/x.ts', 'x\n'.repeat(501)))).toEqual([
      'src/x.ts:501: 501 lines, at most 500',
    ]);
  });

  it('reports names in another case', () => {
    const bad = ['src/log/segmentWriter.ts', 'src/Log/x.ts', 'test/a_b.test.ts', 'native/a-b.cc'];
    expect(bad.flatMap(misnamed)).toHaveLength(bad.length);
    const good = ['src/log/segment-writer.ts', 'test/x.slow.test.ts', 'native/disk_threads.cc'];
    expect(good.flatMap(misnamed)).toEqual([]);
  });

  it('reports native sources that are not listed, and the other way round', () => {
    expect(sourceListGaps('native/a.cc\nnative/b.cc\n', ['native/a.cc', 'native/c.cc'])).toEqual([
      'native/sources.txt:1: native/b.cc is not there',
      'native/sources.txt:1: native/c.cc is missing',
    ]);
  });
});

describe('blanking', () => {
  it('keeps lines and columns', () => {
    const text = "a /* x\ny */ b // c\nd = /'\\/[/]/g; e = 'f' + `g${h}i`;";
    expect(blankComments(text)).toBe("a     \n     b     \nd = /'\\/[/]/g; e = 'f' + `g${h}i`;");
    expect(blankStrings(text)).toBe('a     \n     b     \nd =         g; e =     +     h   ;');
  });

  it('takes a slash after a value for a division', () => {
    expect(blankStrings("x = a / b; y = c / 'd';")).toBe('x = a / b; y = c /    ;');
  });

  it('takes a slash after return for a regular expression', () => {
    expect(blankStrings("return /'/.test(x);")).toBe('return    .test(x);');
  });
});
