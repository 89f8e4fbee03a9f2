/**
 * How commands speak: tables and sentences on standard output for people, one JSON value with
 * `--json` for programs; errors on standard error, one line each.
 */
import { getSystemErrorMap } from 'node:util';
import { StoreError } from '../base/errors.ts';

export type Row = Readonly<Record<string, string | number | boolean>>;

/** Rows as aligned columns under a heading; numbers to the right. No rows, no output. */
export function formatTable(rows: readonly Row[]): string {
  const first = rows[0];
  if (first === undefined) return '';
  const names = Object.keys(first);
  const widths = names.map((name) =>
    Math.max(name.length, ...rows.map((row) => String(row[name] ?? '').length)),
  );
  const line = (cells: readonly string[], row: Row | undefined) =>
    cells
      .map((cell, i) => {
        const right = row !== undefined && typeof row[names[i] ?? ''] === 'number';
        return right ? cell.padStart(widths[i] ?? 0) : cell.padEnd(widths[i] ?? 0);
      })
      .join('  ')
      .trimEnd();
  const body = rows.map((row) =>
    line(
      names.map((name) => String(row[name] ?? '')),
      row,
    ),
  );
  return [line(names, undefined), ...body].join('\n');
}

/** Name and value pairs, one a line. */
export function formatFacts(facts: Row): string {
  const width = Math.max(...Object.keys(facts).map((name) => name.length));
  return Object.entries(facts)
    .map(([name, value]) => `${name.padEnd(width)}  ${value}`)
    .join('\n');
}

export function print(text: string): void {
  if (text !== '') process.stdout.write(`${text}\n`);
}

export function printJson(value: unknown): void {
  process.stdout.write(`${JSON.stringify(value, undefined, 2)}\n`);
}

/** What the kernel's name for a failure means: `ENOENT` is known to few. */
function meaningOf(error: unknown): string {
  const errno = error instanceof StoreError ? error.details['errno'] : undefined;
  const meanings = [...getSystemErrorMap().values()];
  const meaning = meanings.find(([name]) => name === errno)?.[1];
  return meaning === undefined ? '' : ` (${meaning})`;
}

/** One line for a failure; with `verbose` the chain of causes below it. */
export function formatError(error: unknown, verbose: boolean): string {
  const head = error instanceof Error ? error.message : String(error);
  const code = error instanceof StoreError ? ` [${error.code}]` : '';
  const lines = [`logflume: ${head}${meaningOf(error)}${code}`];
  if (verbose) {
    let cause: unknown = error;
    while (cause instanceof Error) {
      if (cause !== error) lines.push(`  caused by: ${cause.message}`);
      for (const frame of (cause.stack ?? '').split('\n').slice(1)) lines.push(`  ${frame.trim()}`);
      cause = cause.cause;
    }
  }
  return lines.join('\n');
}
