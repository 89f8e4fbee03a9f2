/** `npm run bench -- NAME [--json FILE] [--tiny]`: one benchmark; without a name, the list. */
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { setUp } from './setup.mjs';
import { become, complain, ROOT } from './tools.mjs';

const SUFFIX = '.bench.ts';

const [name, ...args] = process.argv.slice(2);
if (name === undefined || !existsSync(join(ROOT, 'bench', name + SUFFIX))) {
  const found = readdirSync(join(ROOT, 'bench'), { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith(SUFFIX))
    .map((path) => path.slice(0, -SUFFIX.length));
  complain(`usage: npm run bench -- NAME [--json FILE] [--tiny]; names: ${found.sort().join(' ')}`);
  process.exit(1);
}
setUp();
// The collector is exposed because allocation is measured between two collections.
become(`dist/bench/${name}.bench.js`, args, ['--expose-gc']);
