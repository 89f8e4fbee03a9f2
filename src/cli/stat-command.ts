/** `logflume stat`: a running host's counters, once or again and again. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Command } from 'commander';
import { StoreError } from '../base/errors.ts';
import { type HostOption, withAdmin, withHost } from './host-option.ts';
import { formatFacts, print, printJson, type Row } from './output.ts';

interface StatOptions extends HostOption {
  readonly json?: boolean;
  readonly watch?: string;
}

export function addStatCommand(program: Command): void {
  withHost(program.command('stat').description("show a host's live counters"))
    .option('--watch <seconds>', 'again every so many seconds, with the change per second')
    .option('--json', 'print JSON, one value a line with --watch')
    .action(stat);
}

async function stat(options: StatOptions): Promise<void> {
  const seconds = options.watch === undefined ? undefined : Number(options.watch);
  if (seconds !== undefined && !(seconds > 0 && seconds <= 3600)) {
    const expected = 'seconds above 0, at most 3600';
    throw new StoreError('invalid_argument', {
      option: '--watch',
      value: options.watch ?? '',
      expected,
    });
  }
  await withAdmin(options, async (admin) => {
    let before: Row | undefined;
    for (;;) {
      const facts = flatten(await admin.stat());
      if (options.json !== true) print(formatFacts(withRates(facts, before, seconds ?? 1)));
      else if (seconds === undefined) printJson(facts);
      else print(JSON.stringify(facts));
      if (seconds === undefined) return;
      before = facts;
      await sleep(seconds * 1000);
      if (options.json !== true) print('');
    }
  });
}

/** One level of names, joined by dots. */
function flatten(value: object, prefix = ''): Row {
  const row: Record<string, string | number | boolean> = {};
  for (const [name, inner] of Object.entries(value) as [string, unknown][]) {
    const path = prefix === '' ? name : `${prefix}.${name}`;
    if (typeof inner === 'object' && inner !== null) Object.assign(row, flatten(inner, path));
    // Latencies come with fractions of a nanosecond, from a clock that counts in microseconds.
    else if (typeof inner === 'number') row[path] = Math.round(inner);
    else if (typeof inner === 'boolean') row[path] = inner;
    else row[path] = String(inner);
  }
  return row;
}

function withRates(facts: Row, before: Row | undefined, seconds: number): Row {
  if (before === undefined) return facts;
  const entries = Object.entries(facts).map(([name, value]) => {
    const earlier = before[name];
    if (typeof value !== 'number' || typeof earlier !== 'number' || value === earlier) {
      return [name, value] as const;
    }
    return [name, `${value}  (${((value - earlier) / seconds).toFixed(1)} per s)`] as const;
  });
  return Object.fromEntries(entries);
}
