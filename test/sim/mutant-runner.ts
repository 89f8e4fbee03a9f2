/** Compiles a copy of the sources with one bug planted, and lets the simulator look for it. */
import { spawnSync } from 'node:child_process';
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { Edit, Mutant } from './mutants.ts';

/** What the simulator needs of a checkout. */
const SOURCES: readonly string[] = ['src', 'test/sim'];
const TSC = 'node_modules/typescript/bin/tsc';
/** A search that takes longer has found nothing. */
const SEARCH_MS_MAX = 600_000;

/** The edited files. Throws if a text does not occur exactly once. */
export function applyEdits(
  edits: readonly Edit[],
  read: (file: string) => string,
): Map<string, string> {
  const texts = new Map<string, string>();
  // From the last to the first: a first edit may insert what a later one removes elsewhere.
  for (const { file, text, replacement } of edits.toReversed()) {
    const before = texts.get(file) ?? read(file);
    const parts = before.split(text);
    if (parts.length !== 2) {
      throw new Error(`${file}: '${text}' occurs ${parts.length - 1} times, not once`);
    }
    texts.set(file, parts.join(replacement));
  }
  return texts;
}

export interface SearchOutcome {
  /** Seed under which the bug showed. */
  readonly seed: number | undefined;
  /** What the simulator said last, or of the finding. */
  readonly says: string;
}

/** What a run of the simulator found, by its status and what it printed. */
export function outcomeOf(status: number | null, output: string): SearchOutcome {
  const finding = /^seed (\d+): .*/m.exec(output);
  const says = finding?.[0] ?? output.trim().split('\n').at(-1) ?? '';
  const seed = status === 1 && finding !== null ? Number(finding[1]) : undefined;
  return { seed, says };
}

/** Plants the bug in a copy of the checkout at `root` and runs the simulator there. */
export function searchMutant(root: string, mutant: Mutant, args: readonly string[]): SearchOutcome {
  const folder = mkdtempSync(join(tmpdir(), 'logflume-mutant-'));
  try {
    for (const source of SOURCES)
      cpSync(join(root, source), join(folder, source), { recursive: true });
    for (const file of ['package.json', 'tsconfig.json'])
      cpSync(join(root, file), join(folder, file));
    symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'));
    const texts = applyEdits(mutant.edits, (file) => readFileSync(join(folder, file), 'utf8'));
    for (const [file, text] of texts) {
      mkdirSync(dirname(join(folder, file)), { recursive: true });
      writeFileSync(join(folder, file), text);
    }
    // A planted bug may leave a name unused, and tests' imports are not all here.
    const compile = ['--noEmitOnError', 'false', '--sourceMap', 'false', '--declaration', 'false'];
    spawnSync(process.execPath, [join(folder, TSC), ...compile], { cwd: folder });
    const main = join(folder, 'dist/test/sim/main.js');
    const options = { cwd: folder, encoding: 'utf8', timeout: SEARCH_MS_MAX } as const;
    const { status, stdout, stderr } = spawnSync(process.execPath, [main, ...args], options);
    return outcomeOf(status, stdout + stderr);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
