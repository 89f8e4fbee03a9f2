/**
 * Runs two programs over shared words in every order in which two threads could, by brute force.
 *
 * A program is ordinary synchronous code, the shipped ring code included. While it runs,
 * `globalThis.Atomics` is replaced by one that answers from the record of what the program was told
 * so far and, when that is used up, breaks off with the operation that comes next. The explorer
 * performs one such operation of one program on its own copy of the words, appends the answer to
 * the record and runs the program again from the start. So programs must be deterministic, and must
 * touch shared words only through Atomics or `plain`. Orders that lead to the same words and the same
 * records are one state, and every reachable state is visited once. A program may say with `settle`
 * that a digest tells all that it still remembers: then the record before that makes no difference.
 *
 * Memory is sequentially consistent here, as Atomics are.
 */
export const WORD_COUNT = 512;

/** Answers of `Atomics.wait`, as numbers in the record. */
const NOT_EQUAL = 0;
const NOTIFIED = 1;
const TIMED_OUT = 2;
const WAIT_ANSWERS = ['not-equal', 'ok', 'timed-out'] as const;

export interface Operation {
  readonly kind: 'load' | 'store' | 'add' | 'exchange' | 'wait' | 'notify' | 'until';
  readonly word: number;
  /** Stored, added, exchanged, expected (`wait`), or to be left (`until`). */
  readonly value: number;
  readonly timeoutMs: number;
}

class Pause {
  readonly operation: Operation;
  constructor(operation: Operation) {
    this.operation = operation;
  }
}

export type Program<Outcome> = () => Outcome;

/** Changes what the explorer does for an operation: a planted fault. */
export type Fault = (
  side: number,
  operation: Operation,
  words: Int32Array,
  previous: Operation | undefined,
) => number | undefined;

export interface Scenario<Outcome> {
  /** The words that the programs touch; all start as 0. */
  readonly touched: readonly number[];
  readonly programs: readonly [Program<Outcome>, Program<Outcome>];
  /** Timeouts at least this long expire only when nobody can go on; shorter ones at any moment. */
  readonly patientMs: number;
  /** Whether either side may die at any step, once in a run. */
  readonly crashes: boolean;
  readonly fault?: Fault;
  /** Called at each end of a run. `outcomes[i]` is undefined if side i died. */
  check(end: End<Outcome>): void;
}

export interface End<Outcome> {
  readonly words: Int32Array;
  readonly outcomes: readonly [Outcome | undefined, Outcome | undefined];
  readonly crashed: number | undefined;
}

export interface Exploration {
  readonly stateCount: number;
  readonly endCount: number;
}

/** Bookkeeping of one side. Records are never changed in place: states share them. */
interface Side<Outcome> {
  readonly record: readonly number[];
  readonly next: Operation | undefined;
  readonly previous: Operation | undefined;
  /** What identifies its private state, with the record from `settledAt` on. */
  readonly digest: string;
  readonly settledAt: number;
  readonly outcome: Outcome | undefined;
  readonly life: 'runs' | 'sleeps' | 'done' | 'dead';
}

interface State<Outcome> {
  readonly words: Int32Array;
  readonly sides: readonly [Side<Outcome>, Side<Outcome>];
}

let answers: readonly number[] = [];
let answerCount = 0;
let digest = '';
let settledAt = 0;

/** Tells that `text` is all that this program still knows of what it was told. */
export function settle(text: string): void {
  digest = text;
  settledAt = answerCount;
}

function ask(kind: Operation['kind'], word: number, value: number, timeoutMs = 0): number {
  const answer = answers[answerCount];
  if (answer === undefined) throw new Pause({ kind, word, value, timeoutMs });
  answerCount++;
  return answer;
}

const REPLACED = {
  load: (_: Int32Array, word: number) => ask('load', word, 0),
  store: (_: Int32Array, word: number, value: number) => ask('store', word, value),
  add: (_: Int32Array, word: number, value: number) => ask('add', word, value),
  exchange: (_: Int32Array, word: number, value: number) => ask('exchange', word, value),
  wait: (_: Int32Array, word: number, value: number, timeoutMs: number) =>
    WAIT_ANSWERS[ask('wait', word, value, timeoutMs)],
  notify: (_: Int32Array, word: number) => ask('notify', word, 0),
};

/** Plain accesses, which a real thread does without Atomics, as steps of their own. */
export const plain = {
  read: (word: number): number => ask('load', word, 0),
  write: (word: number, value: number): void => void ask('store', word, value),
  /** Lets the other side run until the word is no longer `value`: a loop that spins, in one step. */
  until: (word: number, value: number): void => void ask('until', word, value),
};

function advance<Outcome>(
  program: Program<Outcome>,
  record: readonly number[],
  previous?: Operation,
): Side<Outcome> {
  const real = globalThis.Atomics;
  answers = record;
  answerCount = 0;
  settle('');
  globalThis.Atomics = REPLACED as unknown as typeof Atomics;
  try {
    const outcome = program();
    digest = JSON.stringify(outcome);
    settledAt = record.length;
    return { record, next: undefined, previous, outcome, digest, settledAt, life: 'done' };
  } catch (error) {
    if (!(error instanceof Pause)) throw error;
    const next = error.operation;
    return { record, next, previous, outcome: undefined, digest, settledAt, life: 'runs' };
  } finally {
    globalThis.Atomics = real;
  }
}

/** Performs the operation on `words`; the answer, or undefined if the side now sleeps. */
function perform(operation: Operation, words: Int32Array): number | undefined {
  const { kind, word, value } = operation;
  const before = words[word] as number;
  switch (kind) {
    case 'load':
    case 'until':
      return before;
    case 'store':
      words[word] = value;
      return value;
    case 'add':
      words[word] = before + value;
      return before;
    case 'exchange':
      words[word] = value;
      return before;
    case 'notify':
      return 0;
    case 'wait':
      return before === value ? undefined : NOT_EQUAL;
    default:
      return kind satisfies never;
  }
}

/**
 * Visits every state; `check` throws at the first end that is wrong.
 *
 * @throws Error naming the operations of a run that ends in a wrong or impossible way.
 */
export function explore<Outcome>(scenario: Scenario<Outcome>): Exploration {
  const { programs } = scenario;
  const seen = new Set<string>();
  const first = advance(programs[0], []);
  const second = advance(programs[1], []);
  const stack: State<Outcome>[] = [{ words: new Int32Array(WORD_COUNT), sides: [first, second] }];
  let endCount = 0;
  while (stack.length > 0) {
    const state = stack.pop() as State<Outcome>;
    const key = keyOf(scenario, state);
    if (seen.has(key)) continue;
    seen.add(key);
    const successors = successorsOf(scenario, state);
    if (successors.length === 0) {
      endCount++;
      checkEnd(scenario, state);
    }
    stack.push(...successors);
  }
  return { stateCount: seen.size, endCount };
}

function keyOf<Outcome>({ touched }: Scenario<Outcome>, { words, sides }: State<Outcome>): string {
  const kept = touched.map((word) => words[word]);
  const [first, second] = sides.map((side) => {
    return `${side.life} ${side.digest} ${side.record.slice(side.settledAt)}`;
  });
  return `${kept}|${first}|${second}`;
}

function successorsOf<Outcome>(
  scenario: Scenario<Outcome>,
  state: State<Outcome>,
): State<Outcome>[] {
  const successors: State<Outcome>[] = [];
  for (const side of [0, 1] as const) {
    if (state.sides[side].life === 'runs') successors.push(...stepsOf(scenario, state, side));
    successors.push(...expiriesOf(scenario, state, side, false));
  }
  // Nobody can go on: only now is a patient sleeper's time up.
  if (successors.length === 0) {
    for (const side of [0, 1] as const) {
      successors.push(...expiriesOf(scenario, state, side, true));
    }
  }
  const crashed = state.sides.some((side) => side.life === 'dead');
  if (!scenario.crashes || crashed) return successors;
  for (const side of [0, 1] as const) {
    if (state.sides[side].life === 'done') continue;
    const dead: Side<Outcome> = { ...state.sides[side], next: undefined, life: 'dead' };
    successors.push({ words: state.words, sides: withSide(state.sides, side, dead) });
  }
  return successors;
}

function stepsOf<Outcome>(
  scenario: Scenario<Outcome>,
  state: State<Outcome>,
  side: 0 | 1,
): State<Outcome>[] {
  const { record, next, previous } = state.sides[side];
  if (next === undefined) return [];
  if (next.kind === 'until' && state.words[next.word] === next.value) return [];
  const words = state.words.slice();
  const faulty = scenario.fault?.(side, next, words, previous);
  const answer = faulty ?? perform(next, words);
  let sides = state.sides;
  if (next.kind === 'notify' && faulty === undefined) {
    const other = side === 0 ? 1 : 0;
    const sleeper = sides[other];
    if (sleeper.life === 'sleeps' && sleeper.next?.word === next.word) {
      const woken = advance(scenario.programs[other], [...sleeper.record, NOTIFIED], sleeper.next);
      sides = withSide(sides, other, woken);
    }
  }
  const mine =
    answer === undefined
      ? { ...state.sides[side], life: 'sleeps' as const }
      : advance(scenario.programs[side], [...record, answer], next);
  return [{ words, sides: withSide(sides, side, mine) }];
}

function expiriesOf<Outcome>(
  scenario: Scenario<Outcome>,
  state: State<Outcome>,
  side: 0 | 1,
  stuck: boolean,
): State<Outcome>[] {
  const { record, next, life } = state.sides[side];
  if (life !== 'sleeps' || next === undefined) return [];
  if (!stuck && next.timeoutMs >= scenario.patientMs) return [];
  const woken = advance(scenario.programs[side], [...record, TIMED_OUT], next);
  return [{ words: state.words, sides: withSide(state.sides, side, woken) }];
}

function withSide<Outcome>(
  sides: State<Outcome>['sides'],
  side: 0 | 1,
  changed: Side<Outcome>,
): State<Outcome>['sides'] {
  return side === 0 ? [changed, sides[1]] : [sides[0], changed];
}

function checkEnd<Outcome>(scenario: Scenario<Outcome>, { words, sides }: State<Outcome>): void {
  const dead = sides.findIndex((side) => side.life === 'dead');
  const crashed = dead < 0 ? undefined : dead;
  const stuck = sides.find((side) => side.life === 'runs');
  try {
    if (stuck !== undefined && crashed === undefined) throw new Error('a side waits for ever');
    scenario.check({ words, outcomes: [sides[0].outcome, sides[1].outcome], crashed });
  } catch (cause) {
    const records = sides.map((side) => `[${side.record}] ${side.life}`).join(' ');
    throw new Error(`wrong end: ${(cause as Error).message} after ${records}`, { cause });
  }
}
