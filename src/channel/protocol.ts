/**
 * Every byte that guest and host share in memory: the records of the rings, of the table of
 * extents, and of the two control pages.
 *
 * The guest writes submissions, extent tables and the region header; the host writes completions
 * and the host page. Whoever reads what the other wrote reads each field once, checks it, and uses
 * only what was checked.
 */
import { bytes, record, u8, u16, u32, u53 } from '../base/record.ts';
import { GIB, MIB, SECTOR_BYTES } from '../base/units.ts';

/** Changes when guest and host of different age could misunderstand each other. */
export const PROTOCOL_VERSION = 1;

/** What a command asks for. Numbers are never reused. */
export const Opcode = {
  /** Completes. Measures the channel. */
  NOP: 0,
  /** Writes a `VolumeInfo` at the start of the data; `sectorCount` is 1. */
  INFO: 1,
  READ: 2,
  WRITE: 3,
  /** The range reads as zeros afterwards. No data. */
  WRITE_ZEROES: 4,
  /** The range holds nothing of worth; reads as zeros afterwards. No data. */
  DISCARD: 5,
  /** What was completed before this was submitted survives the loss of power once it completes. */
  FLUSH: 6,
} as const;
export type Opcode = (typeof Opcode)[keyof typeof Opcode];

/** Opcodes are below this. */
export const OPCODE_COUNT = 7;

export const SubmissionFlag = {
  /** Completes only when it would survive the loss of power. WRITE, WRITE_ZEROES and DISCARD. */
  FUA: 1,
} as const;
export const SUBMISSION_FLAGS_KNOWN = SubmissionFlag.FUA;

/** One queue pair per thread that submits; more would only share the same reactor. */
export const QUEUE_COUNT_MAX = 16;
/** Below 2 a ring has no low bits to count with. */
export const QUEUE_DEPTH_MIN = 2;
/** The host keeps a copy and a reply slot of each: 1,024 per queue bounds both (R25). */
export const QUEUE_DEPTH_MAX = 1024;
/** With rings and pages a region stays below 2 GiB, so every offset fits 31 bits, a small integer. */
export const DATA_BYTES_MAX = GIB;
/** Room for one block each way. */
export const DATA_BYTES_MIN = 8192;
/** A READ or WRITE of 1 MiB touches at most 257 blocks: with room to spare one batch (R21). */
export const COMMAND_BYTES_MAX = MIB;
export const COMMAND_SECTORS_MAX = COMMAND_BYTES_MAX / SECTOR_BYTES;
/** What fits the submission itself. */
export const EXTENTS_INLINE_MAX = 2;
/** What virtio-blk drivers send as segments at most, and a table of 1 KiB. */
export const EXTENTS_MAX = 128;

/**
 * One command, a slot of the submission ring. 64 bytes: one cache line, shared with no other.
 *
 * The guest writes every field, zeros included: a slot still holds the command of a lap ago.
 */
export const Submission = record('Submission', 64, {
  /** One of `Opcode`; an unknown one completes with `unsupported`. */
  opcode: u8(0),
  /** Bits of `SubmissionFlag`; an unknown one completes with `unsupported`. */
  flags: u8(1),
  /** Echoed in the completion. Below the queue's depth, and unique among those in flight. */
  tag: u16(2),
  /** Up to `EXTENTS_INLINE_MAX` stand here, more in a table at `tableOffset`: then all of them. */
  extentCount: u16(4),
  reservedCount: u16(6),
  /** Number of the operation, rising by queue. A replayed command keeps its own (R25). */
  operation: u53(8),
  /** First sector, counted in 512-byte sectors from the start of the volume. */
  sectorIndex: u53(16),
  /** For READ and WRITE, and for INFO, the extents' bytes in sectors. 0 for NOP and FLUSH. */
  sectorCount: u32(24),
  /** Bytes from the start of the data area, a multiple of 8; 0 if the extents stand here. */
  tableOffset: u32(28),
  /** Bytes from the start of the data area. */
  firstOffset: u32(32),
  /** A multiple of 512. */
  firstBytes: u32(36),
  secondOffset: u32(40),
  secondBytes: u32(44),
  /** For the object within the volume, and a deadline. */
  reserved: bytes(48, 16),
});

/** One answer, a slot of the completion ring. */
export const Completion = record('Completion', 32, {
  tag: u16(0),
  /** 0, or what `statusOf` gives for an error's code. */
  status: u16(2),
  reservedFlags: u16(4),
  /** 0 (none) to 65,535: how much the host wishes the guest to hold back. */
  congestion: u16(6),
  /** That of the submission. */
  operation: u53(8),
  /** Bytes moved to or from the data area. */
  resultBytes: u32(16),
  reserved: bytes(20, 12),
});

/** A piece of the data area; tables of these lie in the data area and are copied once. */
export const ExtentEntry = record('ExtentEntry', 8, {
  /** Bytes from the start of the data area. */
  offset: u32(0),
  /** A multiple of 512. */
  bytes: u32(4),
});
/** Table entries are read as words. */
export const TABLE_ALIGNMENT_BYTES = 8;

/** What INFO writes. */
export const VolumeInfo = record('VolumeInfo', 64, {
  sectorCount: u53(0),
  volumeId: u53(8),
  /** Bits of `VolumeInfoFlag`. */
  flags: u32(16),
  blockBytes: u32(20),
  commandBytesMax: u32(24),
  reserved: bytes(28, 36),
});
export const VolumeInfoFlag = { READ_ONLY: 1 } as const;

/** "LFRG" in a hex dump. */
export const REGION_MAGIC = 0x4752464c;

/** Where a guest stands; for whoever looks at a region from outside. No decision depends on it. */
export const GuestState = { FORMATTED: 1, ATTACHED: 2, RECOVERING: 3, CLOSED: 4 } as const;

/** The first page of a region. The guest writes it before it attaches. */
export const RegionHeader = record('RegionHeader', 128, {
  magic: u32(0),
  version: u16(4),
  reservedVersion: u16(6),
  /** `CHANNEL_FINGERPRINT` of the guest. */
  fingerprint: u53(8),
  regionBytes: u53(16),
  queueCount: u32(24),
  queueDepth: u32(28),
  dataOffset: u32(32),
  dataBytes: u32(36),
  /** Rises each time the rings are reset, so once per host that serves the region. */
  epoch: u32(40),
  /** One of `GuestState`. */
  state: u32(44),
  guestPid: u32(48),
  reserved: bytes(52, 76),
});

/** "LFHP" in a hex dump. */
export const HOST_PAGE_MAGIC = 0x5048464c;
/** 32 linear steps per power of two up to 2^36 ns; see `Histogram`. */
export const HOST_PAGE_BUCKET_COUNT = 1024;

/**
 * What the host tells the guest about itself while they run. Only written by the host, which never
 * reads it back: the guest can scribble here.
 */
export const HostPage = record('HostPage', 8192, {
  magic: u32(0),
  version: u16(4),
  reservedVersion: u16(6),
  /** Odd while the host is writing: read again. */
  updateSequence: u32(8),
  hostPid: u32(12),
  commandsNop: u53(16),
  commandsInfo: u53(24),
  commandsRead: u53(32),
  commandsWrite: u53(40),
  commandsWriteZeroes: u53(48),
  commandsDiscard: u53(56),
  commandsFlush: u53(64),
  bytesRead: u53(72),
  bytesWritten: u53(80),
  /** Commands completed with a status that is not 0. */
  errors: u53(88),
  /** Times the host went to sleep, and times it rang the guest's bell. */
  parks: u53(96),
  wakesSent: u53(104),
  /** Sleeps that ended by time although there was work. Anything but 0 is a bug. */
  lostWakes: u53(112),
  /** Batches taken, and the commands waiting at those moments: their quotient is the mean depth. */
  batches: u53(120),
  depthSeenSum: u53(128),
  depthSeenMax: u53(136),
  /** Now: what the host spins before it sleeps, and its share of a core, of what it may take. */
  spinWindowNs: u53(144),
  cpuUsedPermille: u53(152),
  cpuBudgetPermille: u53(160),
  /** Rises each time the page is written. */
  heartbeat: u53(168),
  reserved: bytes(176, 3920),
  /** Latency from taking a command to publishing its completion, in ns: u32 counts. */
  latencyBuckets: bytes(4096, 4096),
});
