/**
 * What simulated guests ask for: small volumes, so that commands overlap and meet again, with edges
 * at sectors as well as at blocks, and now and then a long command.
 */
import type { Prng } from '../../src/base/prng.ts';
import { SECTORS_PER_BLOCK } from '../../src/base/units.ts';

export type CommandKind = 'write' | 'zero' | 'discard' | 'read' | 'flush';

export interface Profile {
  /** A small pool in which a small volume is overwritten all the time. */
  readonly churn: boolean;
  readonly guestCount: number;
  readonly volumeCount: number;
  readonly volumeSectors: number;
  readonly queueCount: number;
  readonly queueDepth: number;
  readonly sectorsMax: number;
  /** Probability that a command is only a few sectors or blocks long. */
  readonly short: number;
  readonly weights: Readonly<Record<CommandKind, number>>;
  /** Probability that a write or zeroing asks for FUA. */
  readonly fua: number;
  /** Probability that a command starts and ends at blocks. */
  readonly aligned: number;
  /** Commands that a guest may have in flight. */
  readonly inFlightMax: number;
}

/** What a guest asks for, apart from where its data lies. */
export interface Command {
  readonly kind: CommandKind;
  readonly firstSector: number;
  readonly sectorCount: number;
  readonly fua: boolean;
}

const KINDS: readonly CommandKind[] = ['write', 'zero', 'discard', 'read', 'flush'];

/** The longest command of any profile, which bounds a guest's data area. */
export const SECTORS_MAX = 1024;
const CHURN_ODDS = 0.15;

/** A kind of load, drawn once per run, so that runs differ more than their commands do. */
export function drawProfile(prng: Prng): Profile {
  return prng.chance(CHURN_ODDS) ? drawChurn(prng) : drawMix(prng);
}

/**
 * Segments die and are used again, between checkpoints and while they are read. Nothing moves live
 * blocks out of a segment yet, so what is alive must be a small part of the pool.
 */
function drawChurn(prng: Prng): Profile {
  return {
    churn: true,
    guestCount: 2,
    volumeCount: 1,
    volumeSectors: prng.pick([2048, 4096, 8192]),
    queueCount: 1,
    queueDepth: 8,
    sectorsMax: SECTORS_MAX,
    short: 0.2,
    weights: { write: 60, zero: 1, discard: 2, read: prng.pick([10, 40]), flush: 2 },
    fua: prng.pick([0, 0.1]),
    aligned: prng.pick([0.5, 1]),
    inFlightMax: 16,
  };
}

function drawMix(prng: Prng): Profile {
  const volumeSectors = prng.pick([64, 256, 1024, 2048]);
  // Long commands fill segments, so that they are freed and used again.
  const long = prng.chance(0.3);
  return {
    churn: false,
    guestCount: prng.between(1, 4),
    volumeCount: prng.between(1, 3),
    volumeSectors,
    queueCount: prng.between(1, 2),
    queueDepth: prng.pick([2, 4, 8]),
    sectorsMax: Math.min(volumeSectors, long ? SECTORS_MAX / 2 : prng.pick([8, 24, 64])),
    short: long ? prng.pick([0.1, 0.6]) : 0.6,
    weights: {
      write: 60,
      zero: prng.pick([0, 3, 10]),
      discard: prng.pick([0, 3, 10]),
      read: prng.pick([5, 30]),
      flush: prng.pick([0, 2, 10]),
    },
    fua: prng.pick([0, 0.05, 0.3]),
    aligned: prng.pick([0, 0.5, 0.9, 1]),
    inFlightMax: prng.pick([1, 4, 16]),
  };
}

export function drawCommand(prng: Prng, profile: Profile, volumeSectors: number): Command {
  const kind = drawKind(prng, profile);
  if (kind === 'flush') return { kind, firstSector: 0, sectorCount: 0, fua: false };
  const unit = prng.chance(profile.aligned) ? SECTORS_PER_BLOCK : 1;
  const unitCount = Math.floor(volumeSectors / unit);
  const lengthMax = Math.max(1, Math.min(unitCount, Math.floor(profile.sectorsMax / unit)));
  const length = prng.chance(profile.short)
    ? prng.between(1, Math.min(3, lengthMax))
    : prng.between(1, lengthMax);
  // Half of the commands fall on the first blocks, where they meet.
  const firstMax = unitCount - length;
  const first = prng.chance(0.5)
    ? prng.between(0, Math.min(4, firstMax))
    : prng.between(0, firstMax);
  const fua = kind !== 'read' && prng.chance(profile.fua);
  return { kind, firstSector: first * unit, sectorCount: length * unit, fua };
}

function drawKind(prng: Prng, { weights }: Profile): CommandKind {
  let left = prng.below(KINDS.reduce((sum, kind) => sum + weights[kind], 0));
  for (const kind of KINDS) {
    left -= weights[kind];
    if (left < 0) return kind;
  }
  return 'write';
}
