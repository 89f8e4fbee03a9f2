/**
 * The simulated machine apart from its disks: banks outlive processes and not power, a pool has one
 * owner, a dead process changes nothing any more, and time moves without anybody waiting.
 */
import { describe, expect, it } from 'vitest';
import { SimMachine } from './sim-machine.ts';
import { SimulatedCrash } from './sim-process.ts';

describe('simulated machine', () => {
  it('keeps banks through the death of a process, and loses them with power', () => {
    const machine = new SimMachine({ seed: 1 });
    const first = machine.startProcess();
    const boot = first.bootId();
    const bank = first.banks.create('bank', 8192);
    bank.bytes[5] = 77;
    machine.killProcesses();
    const second = machine.startProcess();
    expect(second.banks.open('bank')?.bytes[5]).toBe(77);
    expect(second.bootId()).toBe(boot);
    machine.losePower();
    const third = machine.startProcess();
    expect(third.banks.open('bank')).toBeUndefined();
    expect(third.bootId()).not.toBe(boot);
  });

  it('lets a dead process change nothing', () => {
    const machine = new SimMachine({ seed: 1 });
    const { bytes } = machine.startProcess().banks.create('bank', 4096);
    machine.killProcesses();
    bytes[0] = 1;
    expect(machine.startProcess().banks.open('bank')?.bytes[0]).toBe(0);
  });

  it('keeps what a closed bank holds', () => {
    const machine = new SimMachine({ seed: 1 });
    const { banks } = machine.startProcess();
    const first = banks.create('bank', 4096);
    first.bytes[0] = 9;
    first.close();
    expect(first.bytes.byteLength).toBe(0);
    expect(banks.open('bank')?.bytes[0]).toBe(9);
  });

  it('refuses banks without room, doubled ones, and those of somebody else', () => {
    const machine = new SimMachine({ seed: 1, bankBytesMax: 8192 });
    const { banks } = machine.startProcess();
    banks.create('first', 4096);
    const refused = (code: string) => expect.objectContaining({ code });
    expect(() => banks.create('first', 4096)).toThrow(refused('already_exists'));
    expect(() => banks.create('second', 8192)).toThrow(refused('bank_unavailable'));
    const file = machine.banks.get('first');
    if (file !== undefined) file.ownerIsRight = false;
    expect(() => banks.open('first')).toThrow(refused('bank_lost'));
  });

  it('gives a pool one owner, who is named, until it closes or dies', async () => {
    const machine = new SimMachine({ seed: 1 });
    const first = machine.startProcess();
    const second = machine.startProcess();
    await first.pools.create('pool', { sizeBytes: 4096, writeThrough: false });
    await first.pools.open('pool', { lockWaitMs: 0 });
    const refused = second.pools.open('pool', { lockWaitMs: 1000 });
    await expect(refused).rejects.toMatchObject({ code: 'pool_locked' });
    await expect(refused).rejects.toThrow('holder=process-1');
    expect(machine.time.nowUs).toBeGreaterThanOrEqual(1_000_000);
    const waiting = second.pools.open('pool', { lockWaitMs: 1_000_000 });
    first.kill();
    await (await waiting).close();
  });

  it('refuses a pool that is there, and one that is not', async () => {
    const { pools } = new SimMachine({ seed: 1 }).startProcess();
    const missing = pools.open('pool', { lockWaitMs: 0 });
    await expect(missing).rejects.toMatchObject({ code: 'system_error' });
    await pools.create('pool', { sizeBytes: 4096, writeThrough: false });
    const again = pools.create('pool', { sizeBytes: 4096, writeThrough: false });
    await expect(again).rejects.toMatchObject({ code: 'already_exists' });
  });

  it('cuts a copy batch between rows and within them', () => {
    const counts = new Set<number>();
    for (let seed = 0; seed < 100; seed++) {
      const machine = new SimMachine({ seed });
      const { kernels, banks } = machine.startProcess();
      const source = kernels.registerMemory(kernels.allocate(4096).fill(1));
      const target = kernels.registerMemory(banks.create('bank', 8192).bytes);
      const batch = kernels.createCopyBatch(2);
      batch.copyAndSum(source, 0, target, 0, 4096);
      batch.copyAndSum(source, 0, target, 4096, 4096);
      machine.armCrash(1);
      expect(() => batch.run()).toThrow(SimulatedCrash);
      const copied = machine.startProcess().banks.open('bank')?.bytes.indexOf(0) ?? -2;
      counts.add([-1, 0, 4096].includes(copied) ? copied : 1);
    }
    expect([...counts].sort((a, b) => a - b)).toEqual([-1, 0, 1, 4096]);
  });

  it('fires timers in order of their time, and none of a dead process', async () => {
    const machine = new SimMachine({ seed: 1 });
    const process = machine.startProcess();
    const fired: string[] = [];
    process.clock.after(20, () => fired.push('late'));
    process.clock.after(10, () => fired.push('early'));
    process.clock.after(15, () => fired.push('cancelled')).cancel();
    const other = machine.startProcess();
    other.clock.after(5, () => fired.push('dead'));
    other.kill();
    await new Promise<void>((resolve) => process.clock.after(30, resolve));
    expect(fired).toEqual(['early', 'late']);
    expect(process.clock.nowUs()).toBeGreaterThanOrEqual(30_000);
  });
});
