/** The package's face for programs: `import { connect } from 'logflume/guest'`. */

export { codeOf, type ErrorCode, StoreError } from '../src/base/errors.ts';
export { SubmissionFlag } from '../src/channel/protocol.ts';
export {
  type Admin,
  connectAdmin,
  type HostStat,
  type PoolDescription,
  type VolumeDescription,
} from './admin.ts';
export type {
  AsyncFace,
  BatchFace,
  DataBuffer,
  Driver,
  DriverEvents,
  DriverState,
  HostCounters,
  Payload,
  ReadOptions,
  SyncFace,
  VolumeFacts,
  WriteOptions,
} from './api.ts';
export { QUEUE_FULL } from './batch-face.ts';
export { connect, connectSync } from './connect.ts';
export type { AdminOptions, AttachMode, ConnectOptions, HostLossPolicy } from './options.ts';
