/**
 * Bytes of every record that crosses the channel, and the fingerprint, against a checked-in file:
 * whoever changes a layout changes this file knowingly, and with it the protocol's version.
 */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { setU32, setU53 } from '../../src/base/record.ts';
import { encodeControl } from '../../src/channel/control-message.ts';
import { CHANNEL_DESCRIPTION, fingerprintOf } from '../../src/channel/fingerprint.ts';
import { formatRegion, layoutOf } from '../../src/channel/geometry.ts';
import { HostCounters } from '../../src/channel/host-page.ts';
import {
  Completion,
  ExtentEntry,
  HostPage,
  Opcode,
  RegionHeader,
  SubmissionFlag,
  VolumeInfo,
} from '../../src/channel/protocol.ts';
import { RING_HEADER_BYTES } from '../../src/memory/spsc-ring.ts';
import { makePair } from './queue-pair.ts';

const GOLDEN = readFileSync(new URL('../golden/channel/records.txt', import.meta.url), 'utf8');
const golden = new Map(
  GOLDEN.trim()
    .split('\n')
    .filter((line) => !line.startsWith('#'))
    .map((line) => [line.slice(0, line.indexOf(' ')), line.slice(line.indexOf(' ') + 1)] as const),
);

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');

/** One command and its answer, as the queues write them. */
function traffic() {
  const { guest, host, region, layout } = makePair(0);
  const tag = guest.claimTag();
  guest.encode(tag, Opcode.WRITE, SubmissionFlag.FUA, 2 ** 45 + 7, 24);
  guest.setExtent(tag, 0x1000, 8192);
  guest.setSecondExtent(tag, 0x8000, 4096);
  guest.submit(tag);
  guest.publish();
  host.take(1);
  host.congestion = 0x0102;
  host.complete(tag, 20, 12_288);
  host.publish();
  const table = layout.dataOffset + 64;
  guest.writeTableEntry(64, 0, 0x0001_0200, 0x0003_0400);
  const offsets = layout.queues[0];
  const slot = (offset: number | undefined) => (offset ?? 0) + RING_HEADER_BYTES;
  return {
    Submission: region.bytes.slice(
      slot(offsets?.submissionOffset),
      slot(offsets?.submissionOffset) + 64,
    ),
    Completion: region.bytes.slice(
      slot(offsets?.completionOffset),
      slot(offsets?.completionOffset) + Completion.byteLength,
    ),
    ExtentEntry: region.bytes.slice(table, table + ExtentEntry.byteLength),
  };
}

function volumeInfo(): Uint8Array {
  const view = new DataView(new ArrayBuffer(VolumeInfo.byteLength));
  setU53(view, 0, VolumeInfo.sectorCount, 2 ** 40);
  setU53(view, 0, VolumeInfo.volumeId, 77);
  setU32(view, 0, VolumeInfo.flags, 1);
  setU32(view, 0, VolumeInfo.blockBytes, 4096);
  setU32(view, 0, VolumeInfo.commandBytesMax, 1 << 20);
  return new Uint8Array(view.buffer);
}

function pages() {
  const layout = layoutOf({ queueCount: 2, queueDepth: 8, dataBytes: 65_536 });
  const memory = new SharedArrayBuffer(layout.regionBytes);
  const region = formatRegion(memory, layout, { guestPid: 0x1234, epoch: 5 });
  // The fingerprint changes with everything; it has a line of its own.
  setU53(region.view, 0, RegionHeader.fingerprint, 0);
  const counters = new HostCounters();
  for (let i = 0; i < 20; i++) counters.counters[i] = i * 2 ** 33 + i;
  counters.latency.record(31);
  counters.show(region, layout, 0x4321);
  const page = layout.hostPageOffset;
  return {
    RegionHeader: region.bytes.slice(0, RegionHeader.byteLength),
    HostPage: region.bytes.slice(page, page + 192),
    HostPageBuckets: region.bytes.slice(
      page + HostPage.latencyBuckets,
      page + HostPage.latencyBuckets + 136,
    ),
  };
}

describe('golden bytes', () => {
  const records: Record<string, Uint8Array> = {
    ...traffic(),
    VolumeInfo: volumeInfo(),
    ...pages(),
    ControlMessage: encodeControl({ type: 'start', epoch: 3 }),
  };

  it.each(Object.entries(records))('%s', (name, bytes) => {
    expect(hex(bytes)).toBe(golden.get(name));
  });

  it('the fingerprint, and what it is made of', () => {
    const text = CHANNEL_DESCRIPTION.replaceAll('\n', ' | ');
    expect(text).toBe(golden.get('description'));
    expect(String(fingerprintOf(CHANNEL_DESCRIPTION))).toBe(golden.get('fingerprint'));
  });
});
