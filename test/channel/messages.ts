/** One control message of every type, with every optional field. */
import type { ControlMessage } from '../../src/channel/control-schema.ts';
import { CHANNEL_FINGERPRINT } from '../../src/channel/fingerprint.ts';

const SECRET = '00112233445566778899aabbccddeeff';

export const ATTACH = {
  type: 'attach',
  protocolVersion: 1,
  fingerprint: CHANNEL_FINGERPRINT,
  featuresOffered: 15,
  featuresRequired: 4,
  geometry: { queueCount: 1, queueDepth: 64, dataBytes: 1 << 20 },
  volume: 'größe 1',
  mode: 'exclusive',
  epoch: 3,
  resume: { guestId: 12, secret: SECRET, incarnation: 7 },
} as const satisfies ControlMessage;

export const ATTACHED = {
  type: 'attached',
  guestId: 12,
  secret: SECRET,
  incarnation: 7,
  sessionId: 99,
  resumed: true,
  volume: { id: 5, name: 'v', sizeBytes: 2 ** 40, readOnly: false },
  limits: { commandsInFlightMax: 64, regionBytesMax: 2 ** 30, queueCountMax: 4 },
  features: 15,
  hostPid: 4321,
  doorbell: 'eventfd',
} as const satisfies ControlMessage;

export const MESSAGES: readonly ControlMessage[] = [
  ATTACH,
  ATTACHED,
  { type: 'start', epoch: 3 },
  { type: 'detach' },
  { type: 'error', requestId: 8, code: 'in_use', message: 'held', details: { pid: 1, by: 'x' } },
  { type: 'volume-resized', sizeBytes: 2 ** 41 },
  { type: 'session-ended', code: 'shutting_down', reason: 'the host is shutting down' },
  { type: 'volume-create', requestId: 1, name: 'v', sizeBytes: 2 ** 30 },
  { type: 'volume-list', requestId: 2, after: 'v' },
  { type: 'volume-info', requestId: 3, name: 'v' },
  { type: 'volume-resize', requestId: 4, name: 'v', sizeBytes: 2 ** 31 },
  { type: 'volume-remove', requestId: 5, name: 'v' },
  { type: 'stat', requestId: 6 },
  { type: 'pool-info', requestId: 7 },
  { type: 'reply', requestId: 7, result: { volumes: [{ name: 'v' }], more: false } },
];
