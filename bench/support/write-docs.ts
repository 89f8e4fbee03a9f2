/**
 * Brings docs/benchmarks.md and its charts up to date: `node dist/bench/support/write-docs.js FILE…`,
 * each a file that a benchmark wrote with `--json`. Run from the top of the checkout.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { chartOf, replaceSection, sectionOf } from './docs.ts';
import type { ReportFile } from './report.ts';

const DOCUMENT = 'docs/benchmarks.md';
const FOLDER = 'docs/benchmarks';

mkdirSync(FOLDER, { recursive: true });
for (const path of process.argv.slice(2)) {
  const file = JSON.parse(readFileSync(path, 'utf8')) as ReportFile;
  const document = readFileSync(DOCUMENT, 'utf8');
  writeFileSync(DOCUMENT, replaceSection(document, file.name, sectionOf(file)));
  writeFileSync(join(FOLDER, `${file.name}.json`), `${JSON.stringify(file, undefined, 2)}\n`);
  const chart = chartOf(file);
  if (chart !== undefined) writeFileSync(join(FOLDER, `${file.name}.svg`), chart);
  process.stdout.write(`${file.name}: written to ${DOCUMENT}\n`);
}
