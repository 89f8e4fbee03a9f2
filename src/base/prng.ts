/**
 * A small, fast, seeded generator (xoshiro128**, Blackman and Vigna), for simulation, sampling and
 * jitter. Equal seeds give equal sequences on every machine. Never for secrets: its state can be
 * computed from its output; ids and secrets come from `Entropy`.
 */
import { assert } from './assert.ts';

const TWO_POW_32 = 0x1_0000_0000;
const TWO_POW_53 = 0x20_0000_0000_0000;
const TWO_POW_21 = 0x20_0000;

function rotateLeft(value: number, bits: number): number {
  return (value << bits) | (value >>> (32 - bits));
}

/** Turns a seed into well-mixed words: neighbouring seeds must not give similar sequences. */
function mix(value: number): number {
  let mixed = Math.imul(value ^ (value >>> 16), 0x21f0aaad);
  mixed = Math.imul(mixed ^ (mixed >>> 15), 0x735a2d97);
  return mixed ^ (mixed >>> 15);
}

export class Prng {
  #a: number;
  #b: number;
  #c: number;
  #d: number;

  /** `seed` is any integer of at most 2^53 - 1. */
  constructor(seed: number) {
    assert(Number.isSafeInteger(seed), 'a seed is an integer');
    assert(seed >= 0, 'a seed is not negative');
    const low = seed >>> 0;
    const high = Math.floor(seed / TWO_POW_32);
    this.#a = mix(low + 0x9e3779b9);
    this.#b = mix(low + 0x3c6ef372);
    this.#c = mix((high ^ low) + 0xdaa66d2b);
    // The one state that the generator never leaves is all zeros; an odd word excludes it.
    this.#d = mix(high + 0x78dde6e4) | 1;
  }

  /** An integer in [0, 2^32). */
  u32(): number {
    const result = Math.imul(rotateLeft(Math.imul(this.#b, 5), 7), 9) >>> 0;
    const shifted = this.#b << 9;
    this.#c ^= this.#a;
    this.#d ^= this.#b;
    this.#b ^= this.#c;
    this.#a ^= this.#d;
    this.#c ^= shifted;
    this.#d = rotateLeft(this.#d, 11);
    return result;
  }

  /** An integer in [0, 2^53), fit for a seed. */
  u53(): number {
    return (this.u32() % TWO_POW_21) * TWO_POW_32 + this.u32();
  }

  /** A number in [0, 1). */
  unit(): number {
    return this.u53() / TWO_POW_53;
  }

  /** An integer in [0, bound), for a bound of at most 2^53. Its bias is below 2^-21 · bound / 2^32. */
  below(bound: number): number {
    assert(bound >= 1, 'there is something to choose from');
    if (bound <= TWO_POW_32) return Math.floor((this.u32() / TWO_POW_32) * bound);
    return this.u53() % bound;
  }

  /** An integer in [low, high], both included. */
  between(low: number, high: number): number {
    return low + this.below(high - low + 1);
  }

  /** True with this probability. 0 and 1 are certain, and cost no draw that differs from others. */
  chance(probability: number): boolean {
    return this.u32() / TWO_POW_32 < probability;
  }

  /** One of the values, which are at least one. */
  pick<Value>(values: readonly Value[]): Value {
    return values[this.below(values.length)] as Value;
  }

  /** Puts the values in a random order, in place. */
  shuffle<Value>(values: Value[]): Value[] {
    for (let i = values.length - 1; i > 0; i--) {
      const j = this.below(i + 1);
      const held = values[i] as Value;
      values[i] = values[j] as Value;
      values[j] = held;
    }
    return values;
  }

  fill(bytes: Uint8Array): void {
    for (let i = 0; i < bytes.byteLength; i++) bytes[i] = this.u32() >>> 24;
  }

  /** An independent generator, so that one part's draws do not shift another's. */
  fork(): Prng {
    return new Prng(this.u53());
  }
}
