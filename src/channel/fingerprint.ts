/**
 * One number that stands for everything guest and host must agree on to share memory: record
 * layouts, ring words, opcodes, flags and limits. Compared before the first command; different
 * numbers mean different builds, however equal their versions.
 */
import { describeRecord } from '../base/record.ts';
import { RING_HEADER_BYTES, RingWord } from '../memory/spsc-ring.ts';
import {
  COMMAND_BYTES_MAX,
  Completion,
  EXTENTS_INLINE_MAX,
  EXTENTS_MAX,
  ExtentEntry,
  HostPage,
  Opcode,
  RegionHeader,
  Submission,
  SubmissionFlag,
  VolumeInfo,
  VolumeInfoFlag,
} from './protocol.ts';

const FNV_OFFSET = 0x811c9dc5;
const FNV_PRIME = 0x01000193;
/** Seeds the second half apart from the first, so that the two are not the same hash. */
const SECOND_SEED = 0x9e3779b9;
const HIGH_BITS_MASK = 0x1f_ffff;

/** What is compared, in words: for people to diff when two fingerprints differ. */
export const CHANNEL_DESCRIPTION: string = [
  ...[Submission, Completion, ExtentEntry, VolumeInfo, RegionHeader, HostPage].map(describeRecord),
  describeNumbers('RingWord', { ...RingWord, HEADER_BYTES: RING_HEADER_BYTES }),
  describeNumbers('Opcode', Opcode),
  describeNumbers('SubmissionFlag', SubmissionFlag),
  describeNumbers('VolumeInfoFlag', VolumeInfoFlag),
  describeNumbers('Limits', { COMMAND_BYTES_MAX, EXTENTS_INLINE_MAX, EXTENTS_MAX }),
].join('\n');

export const CHANNEL_FINGERPRINT: number = fingerprintOf(CHANNEL_DESCRIPTION);

/** A u53 hash of the text: for telling builds apart, not for keeping anyone out. */
export function fingerprintOf(text: string): number {
  const high = fnv1a(text, SECOND_SEED) & HIGH_BITS_MASK;
  return high * 2 ** 32 + fnv1a(text, FNV_OFFSET);
}

function fnv1a(text: string, seed: number): number {
  let hash = seed;
  for (let i = 0; i < text.length; i++) {
    hash = Math.imul(hash ^ text.charCodeAt(i), FNV_PRIME);
  }
  return hash >>> 0;
}

function describeNumbers(name: string, numbers: Readonly<Record<string, number>>): string {
  const pairs = Object.entries(numbers).map(([key, value]) => ` ${key}=${value}`);
  return `${name}${pairs.join('')}`;
}
