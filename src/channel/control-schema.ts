/**
 * What guest and host say to each other beside the rings: attaching, administration, events. JSON
 * objects with a `type`; fields that a reader does not know are dropped, so that later ones can be
 * added; `undefined` is an absent field.
 *
 * The life of a session:
 *
 *   guest  attach ------------> host   checks everything, ends an earlier session of that guest
 *   guest  <---------- attached host   (or `error`)
 *   guest  reaps what the earlier host left, resets the rings, puts back what has no completion
 *   guest  start -------------> host   serves the rings from here on
 *   …
 *   guest  detach ------------> host   completes what it took
 *   guest  <----- session-ended host   no longer touches the region; also sent if it must end it
 */
import { z } from 'zod';
import { type ErrorCode, isErrorCode } from '../base/errors.ts';

/** Longest volume name, in UTF-16 units: fits a catalogue entry with room. */
export const VOLUME_NAME_MAX = 128;
/** Longest text of an error: enough for its facts. */
const TEXT_MAX = 1024;
/** Facts of an error. */
const DETAILS_MAX = 16;
/** Listings are cut into pages of at most this many volumes; names alone would fill the body. */
export const LISTING_MAX = 128;

const u32 = z.int().min(0).max(0xffff_ffff);
const u53 = z.int().min(0).max(Number.MAX_SAFE_INTEGER);
const text = z.string().max(TEXT_MAX);

/** Names are shown on terminals and in paths: no control characters, slashes or outer blanks. */
export const volumeName = z
  .string()
  .min(1)
  .max(VOLUME_NAME_MAX)
  .regex(/^[^\p{C}/\s](?:[^\p{C}/]*[^\p{C}/\s])?$/u);

/** 16 random bytes in hexadecimal. */
const secret = z.string().regex(/^[0-9a-f]{32}$/);

const geometry = z.object({ queueCount: u32, queueDepth: u32, dataBytes: u32 });

const resume = z.object({ guestId: u53, secret, incarnation: u53 });

const volume = z.object({ id: u53, name: volumeName, sizeBytes: u53, readOnly: z.boolean() });

const details = z
  .record(z.string().max(64), z.union([text, z.number()]))
  .refine((facts) => Object.keys(facts).length <= DETAILS_MAX);

/** A code of a newer peer is no reason to lose its message. */
const errorCode = z
  .string()
  .max(64)
  .transform((code): ErrorCode => (isErrorCode(code) ? code : 'protocol_mismatch'));

const attach = z.object({
  type: z.literal('attach'),
  protocolVersion: u32,
  fingerprint: u53,
  featuresOffered: u32,
  featuresRequired: u32,
  geometry,
  /** The volume to open; a session without one serves NOP only. */
  volume: volumeName.optional(),
  mode: z.enum(['exclusive', 'shared', 'readonly']),
  /** Rises with each host that the region meets. */
  epoch: u32,
  /** A guest that was attached before says who it is. */
  resume: resume.optional(),
});

const attached = z.object({
  type: z.literal('attached'),
  guestId: u53,
  /** Proves who it is when the guest comes back. Never logged. */
  secret,
  /** Of the pool: changes when completed writes were lost. */
  incarnation: u53,
  sessionId: u53,
  /** Whether the guest was known, so that what it puts back is answered exactly once. */
  resumed: z.boolean(),
  volume: volume.optional(),
  limits: z.object({ commandsInFlightMax: u32, regionBytesMax: u53, queueCountMax: u32 }),
  features: u32,
  hostPid: u32,
  doorbell: z.enum(['eventfd', 'notify']),
});

const start = z.object({ type: z.literal('start'), epoch: u32 });
const detach = z.object({ type: z.literal('detach') });

const error = z.object({
  type: z.literal('error'),
  /** Of the request that failed; absent if it is the attach, or the session. */
  requestId: u32.optional(),
  code: errorCode,
  message: text,
  details: details.optional(),
});

const volumeResized = z.object({ type: z.literal('volume-resized'), sizeBytes: u53 });
const sessionEnded = z.object({
  type: z.literal('session-ended'),
  code: errorCode,
  reason: text,
});

const volumeCreate = z.object({
  type: z.literal('volume-create'),
  requestId: u32,
  name: volumeName,
  sizeBytes: u53,
});
const volumeList = z.object({
  type: z.literal('volume-list'),
  requestId: u32,
  /** Names after this one; absent for the first page. */
  after: volumeName.optional(),
});
const volumeByName = <Type extends string>(type: Type) =>
  z.object({ type: z.literal(type), requestId: u32, name: volumeName });
const volumeResize = z.object({
  type: z.literal('volume-resize'),
  requestId: u32,
  name: volumeName,
  sizeBytes: u53,
});
const plainRequest = <Type extends string>(type: Type) =>
  z.object({ type: z.literal(type), requestId: u32 });

const reply = z.object({
  type: z.literal('reply'),
  requestId: u32,
  /** Checked by the asker, with the schema of what it asked (`ADMIN_RESULTS`). */
  result: z.record(z.string().max(64), z.unknown()),
});

export const controlMessage = z.discriminatedUnion('type', [
  attach,
  attached,
  start,
  detach,
  error,
  volumeResized,
  sessionEnded,
  volumeCreate,
  volumeList,
  volumeByName('volume-info'),
  volumeResize,
  volumeByName('volume-remove'),
  plainRequest('stat'),
  plainRequest('pool-info'),
  reply,
]);

export type ControlMessage = z.infer<typeof controlMessage>;
export type ControlMessageType = ControlMessage['type'];
export type MessageOf<Type extends ControlMessageType> = Extract<ControlMessage, { type: Type }>;
export type AttachMessage = MessageOf<'attach'>;
export type AttachedMessage = MessageOf<'attached'>;
export type ErrorMessage = MessageOf<'error'>;

const volumeEntry = z.object({
  id: u53,
  name: volumeName,
  sizeBytes: u53,
  /** Bytes of the pool that the volume uses. */
  usedBytes: u53,
  sessionCount: u32,
});
export type VolumeEntry = z.infer<typeof volumeEntry>;

/** What a `reply` holds, by the type of the request. */
export const ADMIN_RESULTS = {
  'volume-create': z.object({ volume: volumeEntry }),
  'volume-list': z.object({
    volumes: z.array(volumeEntry).max(LISTING_MAX),
    /** Whether to ask again, `after` the last name. */
    more: z.boolean(),
  }),
  'volume-info': z.object({ volume: volumeEntry }),
  'volume-resize': z.object({ volume: volumeEntry }),
  'volume-remove': z.object({}),
  /** Counters by name; sessions are summed. */
  stat: z.object({
    hostPid: u32,
    uptimeMs: u53,
    sessionCount: u32,
    counters: z.record(z.string().max(64), z.number()),
    latencyNs: z.object({ p50: z.number(), p99: z.number(), p999: z.number(), max: z.number() }),
  }),
  'pool-info': z.object({
    path: text,
    sizeBytes: u53,
    freeBytes: u53,
    incarnation: u53,
    volumeCount: u32,
    facts: z.record(z.string().max(64), z.union([text, z.number(), z.boolean()])),
  }),
} as const;
export type AdminRequestType = keyof typeof ADMIN_RESULTS;
export type AdminResult<Type extends AdminRequestType> = z.infer<(typeof ADMIN_RESULTS)[Type]>;
export type AdminRequest = MessageOf<AdminRequestType>;

/**
 * Handles (descriptors, or SharedArrayBuffers) that go with a message, in this order; every other
 * type carries none.
 *
 *   attach    the region's memory, the bell that the host rings for the guest
 *   attached  the bell that the guest rings for the host
 */
export function handleCountOf(type: ControlMessageType): number {
  if (type === 'attach') return 2;
  return type === 'attached' ? 1 : 0;
}
