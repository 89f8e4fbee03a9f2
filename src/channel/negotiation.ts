/**
 * Whether a guest and a host fit together. Both say what they can do and what they cannot do
 * without; a refusal names what differs.
 */
import { StoreError } from '../base/errors.ts';
import type { AttachMessage } from './control-schema.ts';
import { CHANNEL_FINGERPRINT } from './fingerprint.ts';
import { PROTOCOL_VERSION } from './protocol.ts';

/** Bits of what a side may offer or require. Numbers are never reused. */
export const Feature = {
  DISCARD: 1,
  WRITE_ZEROES: 2,
  /** Commands put back after the loss of a host are answered exactly once (R25). */
  REPLAY: 4,
  /** The host says when the volume's size changes. */
  RESIZE_EVENTS: 8,
} as const;

/** Everything that this build can do. */
export const FEATURES_KNOWN =
  Feature.DISCARD | Feature.WRITE_ZEROES | Feature.REPLAY | Feature.RESIZE_EVENTS;

export interface FeatureOffer {
  readonly offered: number;
  readonly required: number;
}

/**
 * The features that both offer.
 *
 * @throws StoreError `protocol_mismatch` naming the side that lacks something, and what.
 */
export function negotiateFeatures(guest: FeatureOffer, host: FeatureOffer): number {
  const hostLacks = guest.required & ~host.offered;
  if (hostLacks !== 0) {
    throw new StoreError('protocol_mismatch', { hostLacks: namesOf(hostLacks) });
  }
  const guestLacks = host.required & ~guest.offered;
  if (guestLacks !== 0) {
    throw new StoreError('protocol_mismatch', { guestLacks: namesOf(guestLacks) });
  }
  return (guest.offered & host.offered) >>> 0;
}

/**
 * Checks what a guest says about its build, and returns the features to use.
 *
 * @throws StoreError `protocol_mismatch` naming the first thing that differs.
 */
export function acceptGuest(attach: AttachMessage, host: FeatureOffer): number {
  requireEqual('protocolVersion', attach.protocolVersion, PROTOCOL_VERSION);
  requireEqual('fingerprint', attach.fingerprint, CHANNEL_FINGERPRINT);
  const guest = { offered: attach.featuresOffered, required: attach.featuresRequired };
  return negotiateFeatures(guest, host);
}

function requireEqual(field: string, guest: number, host: number): void {
  if (guest !== host) throw new StoreError('protocol_mismatch', { field, guest, host });
}

function namesOf(features: number): string {
  const known: string[] = Object.entries(Feature)
    .filter(([, bit]) => (features & bit) !== 0)
    .map(([name]) => name.toLowerCase());
  const rest = (features & ~FEATURES_KNOWN) >>> 0;
  if (rest !== 0) known.push(`0x${rest.toString(16)}`);
  return known.join('+');
}
