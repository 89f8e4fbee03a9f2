/** Rules about who imports whom. */
import { FLOORS } from './floors.ts';
import type { Source } from './source.ts';

/** The longest folder of FLOORS that holds the path, or the folder it stands in if none does. */
export function folderOf(path: string): string {
  const holders = Object.keys(FLOORS).filter((folder) => path.startsWith(`${folder}/`));
  const longest = holders.sort((a, b) => b.length - a.length)[0];
  return (
    longest ??
    path
      .split('/')
      .slice(0, path.startsWith('src/') ? 2 : 1)
      .join('/')
  );
}

/** Imports that go up the house or across its towers, and folders that are in no floor. */
export function strayImports(source: Source): string[] {
  const { path } = source;
  const from = folderOf(path);
  const allowed = FLOORS[from];
  if (allowed === undefined) return [`${path}:1: ${from} is not in floors.ts`];
  return source.imports.flatMap(({ target, ours, line }) => {
    const to = folderOf(target);
    if (!ours || to === from || allowed.includes(to)) return [];
    return [`${path}:${line}: ${from} may not import ${to}`];
  });
}

/** Imports of our own files that are not there. The compiler overlooks those in strings. */
export function deadMentions(source: Source, paths: ReadonlySet<string>): string[] {
  const missing = source.mentions
    .filter(({ target, ours }) => ours && target.endsWith('.ts') && !paths.has(target))
    .map(({ target, line }) => `${source.path}:${line}: ${target} is not there`);
  // An import is a string as well, and would be reported twice.
  return [...new Set(missing)];
}

/**
 * Product files that no entry point, benchmark or test harness reaches. A file that only its own
 * test imports is dead as well: nobody runs it.
 */
export function deadFiles(sources: readonly Source[], entryPoints: readonly string[]): string[] {
  const byPath = new Map(sources.map((source) => [source.path, source]));
  const isProduct = (path: string) => /^(src|guest|host)\//.test(path);
  const queue = sources
    .map(({ path }) => path)
    .filter(
      (path) => entryPoints.includes(path) || (!isProduct(path) && !path.endsWith('.test.ts')),
    );
  const reached = new Set(queue);
  for (const path of queue) {
    for (const { target } of byPath.get(path)?.mentions ?? []) {
      if (reached.has(target)) continue;
      reached.add(target);
      queue.push(target);
    }
  }
  return sources
    .map(({ path }) => path)
    .filter((path) => isProduct(path) && !reached.has(path))
    .map((path) => `${path}:1: nothing reaches this file`);
}
