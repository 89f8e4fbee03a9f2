/**
 * What every benchmark prints and writes: a table for people, and with `--json FILE`
 * `{ name, node, cpu, results: [{ metric, unit, value, peer? }] }`. A peer's figure is named
 * `PEER_METRIC` and carries `peer: true`. Goals are printed beside the figures; they gate nothing.
 */
import { writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { parseArgs } from 'node:util';
import { formatTable } from '../../src/cli/output.ts';

/** One figure. */
export interface Result {
  readonly metric: string;
  readonly unit: string;
  readonly value: number;
  readonly peer?: true;
}

/** What `--json FILE` writes. */
export interface ReportFile {
  readonly name: string;
  readonly node: string;
  readonly cpu: string;
  readonly results: readonly Result[];
}

/** The command line of every benchmark. */
export interface BenchOptions {
  /** Where the JSON goes, if anywhere. */
  readonly jsonPath: string | undefined;
  /** Inputs so small that only rot is found, not speed. */
  readonly tiny: boolean;
  /** Run only metrics whose name contains this. */
  readonly only: string | undefined;
}

/** @throws Error naming an option that does not exist. */
export function parseBenchOptions(args: readonly string[]): BenchOptions {
  const { values } = parseArgs({
    args: [...args],
    options: { json: { type: 'string' }, tiny: { type: 'boolean' }, only: { type: 'string' } },
  });
  return { jsonPath: values.json, tiny: values.tiny ?? false, only: values.only };
}

export type Relation = '<=' | '>=';

/** A goal: what a figure should reach, computed from the other figures of the same run. */
export interface Goal {
  readonly says: string;
  /** Undefined where a figure it needs was not measured. */
  readonly met: boolean | undefined;
  readonly measured: string;
}

/** Collects figures, then shows them. */
export class Report {
  readonly #name: string;
  readonly #results: Result[] = [];
  readonly #goals: Goal[] = [];
  readonly #notes: string[] = [];

  constructor(name: string) {
    this.#name = name;
  }

  /** A figure of ours. NaN, which is not written to the file, if it could not be taken. */
  add(metric: string, unit: string, value: number): void {
    this.#results.push({ metric, unit, value });
  }

  /** A figure of somebody else's, named `PEER_METRIC`. */
  addPeer(metric: string, unit: string, value: number): void {
    this.#results.push({ metric, unit, value, peer: true });
  }

  /** The figures so far, in order. */
  get results(): readonly Result[] {
    return this.#results;
  }

  /** What should be reached, and whether it was. */
  get goals(): readonly Goal[] {
    return this.#goals;
  }

  /** Says something that the figures need to be read rightly: how they were taken, what is missing. */
  note(text: string): void {
    this.#notes.push(text);
  }

  /** What was measured under this name; undefined if nothing was. */
  value(metric: string): number | undefined {
    return this.#results.find((result) => result.metric === metric)?.value;
  }

  /**
   * States that `metric` ÷ `other` should be at most, or at least, `bound`. `metric` is first
   * multiplied by `scale`, where the two are in different units.
   */
  goalRatio(metric: string, other: string, relation: Relation, bound: number, scale = 1): void {
    const value = this.value(metric);
    const a = value === undefined ? undefined : value * scale;
    const b = this.value(other);
    const ratio = a === undefined || b === undefined || b === 0 ? undefined : a / b;
    this.#goals.push({
      says: `${metric} ${relation} ${bound} x ${other}`,
      met: ratio === undefined ? undefined : relation === '<=' ? ratio <= bound : ratio >= bound,
      measured: ratio === undefined ? 'not measured' : `${ratio.toPrecision(3)} x`,
    });
  }

  /** States that `metric` should be at most, or at least, `bound`. */
  goalBound(metric: string, relation: Relation, bound: number): void {
    const a = this.value(metric);
    this.#goals.push({
      says: `${metric} ${relation} ${bound}`,
      met: a === undefined ? undefined : relation === '<=' ? a <= bound : a >= bound,
      measured: a === undefined ? 'not measured' : a.toPrecision(3),
    });
  }

  /** Prints the tables and writes the file. */
  finish(options: BenchOptions): void {
    const rows = this.#results.map(({ metric, unit, value, peer }) => ({
      metric,
      value: Number(value.toPrecision(4)),
      unit,
      peer: peer === true ? 'peer' : '',
    }));
    const cpu = cpus()[0]?.model.trim() ?? 'unknown';
    process.stdout.write(
      `\n${this.#name} on ${cpu}, ${cpus().length} cpus, node ${process.version}\n`,
    );
    process.stdout.write(`${formatTable(rows)}\n`);
    const goals = this.#goals.map(({ says, met, measured }) => ({
      goal: says,
      measured,
      met: met === undefined ? '-' : met ? 'yes' : 'no',
    }));
    if (goals.length > 0) process.stdout.write(`\n${formatTable(goals)}\n`);
    for (const note of this.#notes) process.stdout.write(`\n${note}\n`);
    if (options.jsonPath !== undefined) {
      const { version: node } = process;
      const results = this.#results.filter(({ value }) => Number.isFinite(value));
      const body: ReportFile = { name: this.#name, node, cpu, results };
      writeFileSync(options.jsonPath, `${JSON.stringify(body, undefined, 2)}\n`);
    }
  }
}

/** The p-th quantile, 0 ≤ p ≤ 1, of unsorted samples. */
export function quantile(samples: Float64Array | readonly number[], p: number): number {
  const sorted = Float64Array.from(samples).sort();
  return sorted[Math.min(sorted.length - 1, Math.floor(p * sorted.length))] ?? Number.NaN;
}

/** The middle one of some figures: what a run of several rounds reports. */
export function median(samples: readonly number[]): number {
  return quantile(samples, 0.5);
}
