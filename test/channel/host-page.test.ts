/** What the host shows is what a guest reads; a page that is being written is not read. */
import { describe, expect, it } from 'vitest';
import { formatRegion, layoutOf } from '../../src/channel/geometry.ts';
import {
  HOST_COUNTER_COUNT,
  HOST_COUNTER_NAMES,
  HostCounter,
  HostCounters,
  readHostPage,
} from '../../src/channel/host-page.ts';
import { HostPage, Opcode } from '../../src/channel/protocol.ts';
import { beginUpdate } from '../../src/memory/control-page.ts';

function makePage() {
  const layout = layoutOf({ queueCount: 1, queueDepth: 2, dataBytes: 8192 });
  const memory = new SharedArrayBuffer(layout.regionBytes);
  const region = formatRegion(memory, layout, { guestPid: 1, epoch: 1 });
  return { layout, region };
}

const toSnake = (name: string) => name.replace(/[A-Z]/g, '_$&').toUpperCase();

describe('host page', () => {
  it('has its fields in the order of the counters', () => {
    expect(HOST_COUNTER_NAMES.map(toSnake)).toEqual(Object.keys(HostCounter));
    const values = Object.values(HostCounter);
    expect(values).toEqual(Array.from({ length: HOST_COUNTER_COUNT }, (_, i) => i));
    const fields = HostPage as unknown as Record<string, number>;
    const offsets = HOST_COUNTER_NAMES.map((name) => fields[name]);
    expect(offsets).toEqual(values.map((index) => 16 + index * 8));
    expect(HostCounter.COMMANDS_NOP + Opcode.FLUSH).toBe(HostCounter.COMMANDS_FLUSH);
  });

  it('is nothing before a host has written it', () => {
    const { layout, region } = makePage();
    expect(readHostPage(region, layout)).toBeUndefined();
  });

  it('shows counters and latencies as they are', () => {
    const { layout, region } = makePage();
    const counters = new HostCounters();
    for (let i = 0; i < HOST_COUNTER_COUNT; i++) counters.counters[i] = 2 ** 40 + i;
    for (let ns = 100; ns < 100_000; ns += 100) counters.latency.record(ns);
    counters.show(region, layout, 4321);
    const reading = readHostPage(region, layout);
    expect(reading?.hostPid).toBe(4321);
    expect(reading?.counters).toEqual(counters.counters);
    expect(reading?.counters[HostCounter.HEARTBEAT]).toBe(2 ** 40 + 20);
    expect(reading?.latency.buckets).toEqual(counters.latency.buckets);
    expect(reading?.latency.percentile(50)).toBe(counters.latency.percentile(50));
  });

  it('is not read while it is written, and again after the next writer came', () => {
    const { layout, region } = makePage();
    const counters = new HostCounters();
    counters.show(region, layout, 1);
    beginUpdate(region, layout.hostPageOffset + HostPage.updateSequence);
    expect(readHostPage(region, layout)).toBeUndefined();
    counters.show(region, layout, 2);
    expect(readHostPage(region, layout)?.hostPid).toBe(2);
  });

  it('sums counts and keeps maxima where sessions are merged', () => {
    const [sum, other] = [new HostCounters(), new HostCounters()];
    for (const [i, counters] of [sum, other].entries()) {
      counters.counters[HostCounter.BYTES_READ] = 100 + i;
      counters.counters[HostCounter.DEPTH_SEEN_MAX] = 7 - i;
      counters.latency.record(5);
    }
    sum.merge(other);
    expect(sum.counters[HostCounter.BYTES_READ]).toBe(201);
    expect(sum.counters[HostCounter.DEPTH_SEEN_MAX]).toBe(7);
    expect(sum.latency.count).toBe(2);
  });
});
