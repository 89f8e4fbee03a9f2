/** The tree as text, for rules that the linter cannot state. TypeScript 7 offers no syntax tree. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path/posix';
import { blankComments, blankStrings } from './blank.ts';

/** What our own package calls itself, in tests and benchmarks. */
const SELF = /^logflume\/(guest|host)$/;
const SPECIFIER = /(?:\bfrom|\bimport\(|\bimport)\s*(['"])([^'"\n]+)\1/g;
const PATH_STRING = /(['"])(\.{1,2}\/[^'"\n]+\.(?:ts|js|mjs))\1/g;
const NOT_OURS = /(^|\/)node_modules$|^(\.git|dist|build)$/;

export interface Import {
  /** The path from the root where it is ours, or the package's name. */
  readonly target: string;
  readonly ours: boolean;
  readonly line: number;
}

export class Source {
  readonly path: string;
  readonly text: string;

  constructor(path: string, text: string) {
    this.path = path;
    this.text = text;
  }

  /** The text with comments blanked, line for line. */
  get uncommented(): string {
    return blankComments(this.text);
  }

  /** The text with comments and the insides of strings blanked, line for line. */
  get code(): string {
    return blankStrings(this.text);
  }

  /** What the import and export statements name. */
  get imports(): readonly Import[] {
    return this.#matches(SPECIFIER);
  }

  /** Imports, and strings that name a file beside this one: worker threads are started so. */
  get mentions(): readonly Import[] {
    return [...this.imports, ...this.#matches(PATH_STRING)];
  }

  #matches(pattern: RegExp): Import[] {
    const text = this.uncommented;
    return [...text.matchAll(pattern)].map((match) => {
      const name = match[2] ?? '';
      const line = lineAt(text, match.index);
      const self = SELF.exec(name)?.[1];
      if (self !== undefined) return { target: `${self}/index.ts`, ours: true, line };
      if (!name.startsWith('.')) return { target: name, ours: false, line };
      const target = join(dirname(this.path), name).replace(/\.js$/, '.ts');
      return { target, ours: true, line };
    });
  }
}

/** The 1-based line on which the character at `index` stands. */
export function lineAt(text: string, index: number): number {
  return text.slice(0, index).split('\n').length;
}

/** All files at or below a path of the checkout, sorted; none if there is no such path. */
export function filesUnder(path: string): string[] {
  if (!existsSync(path)) return [];
  const entries = readdirSync(path, { withFileTypes: true });
  return entries
    .flatMap((entry) => {
      const child = join(path, entry.name);
      if (NOT_OURS.test(child)) return [];
      return entry.isDirectory() ? filesUnder(child) : [child];
    })
    .sort();
}

/** Reads the files below these folders whose names match. */
export function readSources(folders: readonly string[], names: RegExp): Source[] {
  return folders
    .flatMap(filesUnder)
    .filter((path) => names.test(path))
    .map((path) => new Source(path, readFileSync(path, 'utf8')));
}
