/**
 * The smallest store that keeps the contract (R1-R6, R25): all volumes in memory, one operation at
 * a time into a bank, the bank's new bytes into the pool as one commit at a time. It exists to
 * test the harness: with a bug switched on, the harness must find it.
 *
 *   pool   0, 4096: superblocks, written in turn    8192…: commits, each a 4 KiB header and entries
 *   bank   0: bytes published    4096…: entries
 */
import { assert } from '../../src/base/assert.ts';
import { crc32c } from '../../src/base/crc32c.ts';
import { STATUS_OK, StoreError } from '../../src/base/errors.ts';
import { alignUp, KIB, MIB, SECTOR_BYTES } from '../../src/base/units.ts';
import type { CopyBatch } from '../../src/platform/copy-batch.ts';
import type { Disk } from '../../src/platform/disk.ts';
import type { MappedFile } from '../../src/platform/platform.ts';
import type {
  OpenSessionOptions,
  ReattachOptions,
  SessionGrant,
  VolumeInfo,
} from '../../src/store/store.ts';
import {
  RequestFlag,
  RequestOp,
  RequestState,
  RequestTable,
} from '../../src/volumes/request-table.ts';
import type { SimProcess } from './sim-process.ts';
import {
  decodeEntry,
  type Entry,
  encodeEntry,
  encodeText,
  extentsOf,
  frame,
  MAGIC,
  type Superblock,
  type ToyBug,
  unframe,
} from './toy-records.ts';

const UNIT_BYTES = 4 * KIB;
const COMMITS_POSITION_BYTES = 2 * UNIT_BYTES;
const BANK_BYTES = 2 * MIB;
const SECRET = new Uint8Array(16).fill(7);

export class ToyStore {
  readonly poolId = '0'.repeat(32);
  readonly requests = new RequestTable(256, 64);
  readonly failed = undefined;
  readonly eventFd = -1;
  incarnation = 1;
  readonly #process: SimProcess;
  readonly #disk: Disk;
  readonly #bug: ToyBug | undefined;
  readonly #copies: CopyBatch;
  readonly #staging: Uint8Array;
  readonly #stagingMemory: number;
  readonly #volumes = new Map<string, Uint8Array>();
  /** What was there before the last write, for a bug. */
  readonly #before = new Map<string, Uint8Array>();
  readonly #applied = new Map<string, number>();
  readonly #guests = new Map<number, string>();
  readonly #sessions = new Map<number, number>();
  #superblock: Superblock | undefined;
  #bank: MappedFile | undefined;
  #bankMemory = -1;
  #publishedBytes = 0;
  #commitStartBytes = 0;
  #commitEndBytes = 0;
  #phase: 'idle' | 'writing' | 'written' | 'syncing' = 'idle';
  #positionBytes = COMMITS_POSITION_BYTES;
  #writtenBytes = 0;
  #committingTxn = 0;
  #sequence = 0;
  #lastTxn = 0;
  #durableTxn = 0;
  #nextGuest = 1;
  #nextSession = 1;
  readonly #submitted: number[] = [];
  readonly #completed: number[] = [];
  #waiting: { readonly txn: number; done(): void }[] = [];

  constructor(process: SimProcess, disk: Disk, bug: ToyBug | undefined) {
    this.#process = process;
    this.#disk = disk;
    this.#bug = bug;
    this.#copies = process.kernels.createCopyBatch(8);
    this.#staging = process.kernels.allocate(BANK_BYTES + UNIT_BYTES);
    this.#stagingMemory = process.kernels.registerMemory(this.#staging);
  }

  get hasWork(): boolean {
    return this.#submitted.length > 0;
  }

  get nextDeadlineUs(): number {
    return this.#process.machine.time.nowUs + 100;
  }

  // Recovery -------------------------------------------------------------------------------------

  async recover(discardBank: boolean): Promise<void> {
    const old = await this.#readSuperblock();
    const boot = this.#process.bootId();
    if (old !== undefined) {
      this.incarnation = old.incarnation;
      await this.#replayPool();
      this.#durableTxn = this.#lastTxn;
      const mustHaveBank = !old.clean && old.boot === boot;
      const bank = mustHaveBank ? this.#process.banks.open(old.bank) : undefined;
      const given = mustHaveBank && bank === undefined;
      if (given && !discardBank && this.#bug !== 'lost bank ignored') {
        throw new StoreError('bank_lost', { bank: old.bank });
      }
      if (given || (!old.clean && old.boot !== boot)) this.incarnation += 1;
      if (bank !== undefined) await this.#replayBank(bank);
    }
    const generation = (old?.generation ?? 0) + 1;
    const name = `bank-${generation}`;
    // A name of a lost generation may be left over.
    this.#process.banks.remove(name);
    this.#bank = this.#process.banks.create(name, BANK_BYTES);
    this.#bankMemory = this.#process.kernels.registerMemory(this.#bank.bytes);
    const { incarnation } = this;
    await this.#writeSuperblock({ generation, bank: name, boot, clean: false, incarnation });
    if (old !== undefined && old.bank !== name) this.#process.banks.remove(old.bank);
  }

  async #readSuperblock(): Promise<Superblock | undefined> {
    let newest: Superblock | undefined;
    for (const position of [0, UNIT_BYTES]) {
      const bytes = this.#process.kernels.allocate(UNIT_BYTES);
      await this.#disk.read(bytes, position);
      const body = unframe(bytes, 0);
      if (body === undefined) continue;
      const found = JSON.parse(new TextDecoder().decode(body)) as Superblock;
      if (newest === undefined || found.generation > newest.generation) newest = found;
    }
    return newest;
  }

  async #writeSuperblock(superblock: Superblock): Promise<void> {
    const bytes = frame(encodeText(JSON.stringify(superblock)), UNIT_BYTES);
    await this.#disk.write(bytes, (superblock.generation % 2) * UNIT_BYTES);
    if (this.#bug !== 'recovery answers before its sync') await this.#disk.sync();
    this.#superblock = superblock;
  }

  async #replayPool(): Promise<void> {
    for (;;) {
      const header = this.#process.kernels.allocate(UNIT_BYTES);
      await this.#disk.read(header, this.#positionBytes);
      const view = new DataView(header.buffer);
      const payloadBytes = view.getUint32(8);
      const isNext = view.getUint32(0) === MAGIC && view.getUint32(4) === this.#sequence + 1;
      if (!isNext) return;
      const payload = this.#process.kernels.allocate(alignUp(payloadBytes, UNIT_BYTES));
      await this.#disk.read(payload, this.#positionBytes + UNIT_BYTES);
      const valid = view.getUint32(12) === crc32c(payload, 0, payloadBytes, this.#sequence + 1);
      if (!valid && this.#bug !== 'torn tail accepted') return;
      this.#replayEntries(payload.subarray(0, payloadBytes), this.#bug !== 'torn tail accepted');
      this.#sequence += 1;
      this.#positionBytes += UNIT_BYTES + payload.byteLength;
    }
  }

  #replayEntries(bytes: Uint8Array, checks: boolean): void {
    for (let at = 0; ; ) {
      const body = unframe(bytes, at, checks);
      if (body === undefined) return;
      at += 8 + body.byteLength;
      const { entry, data } = decodeEntry(body);
      if (entry.txn > this.#lastTxn) this.#apply(entry, data);
    }
  }

  async #replayBank(bank: MappedFile): Promise<void> {
    const { bytes } = bank;
    const publishedBytes = new DataView(bytes.buffer).getUint32(0);
    for (let at = UNIT_BYTES; at < UNIT_BYTES + publishedBytes; ) {
      const body = unframe(bytes.subarray(0, UNIT_BYTES + publishedBytes), at);
      if (body === undefined) throw new StoreError('bank_lost', { at });
      at += 8 + body.byteLength;
      const { entry, data } = decodeEntry(body);
      if (entry.txn <= this.#lastTxn) continue;
      this.#apply(entry, data);
      this.#stage(frame(body));
    }
    bank.close();
    if (this.#publishedBytes === 0) return;
    const staged = this.#header(this.#publishedBytes);
    await this.#disk.write(this.#staging.slice(0, staged), this.#positionBytes);
    if (this.#bug !== 'recovery answers before its sync') await this.#disk.sync();
    this.#sequence += 1;
    this.#positionBytes += staged;
    this.#durableTxn = this.#lastTxn;
    this.#publishedBytes = 0;
  }

  #stage(bytes: Uint8Array): void {
    this.#staging.set(bytes, UNIT_BYTES + this.#publishedBytes);
    this.#publishedBytes += bytes.byteLength;
  }

  /** Puts the header before a staged payload; bytes to be written. */
  #header(payloadBytes: number): number {
    const end = UNIT_BYTES + alignUp(payloadBytes, UNIT_BYTES);
    this.#staging.fill(0, UNIT_BYTES + payloadBytes, end);
    this.#staging.fill(0, 0, UNIT_BYTES);
    const view = new DataView(this.#staging.buffer);
    const sequence = this.#sequence + 1;
    view.setUint32(0, MAGIC);
    view.setUint32(4, sequence);
    view.setUint32(8, payloadBytes);
    const payload = this.#staging.subarray(UNIT_BYTES);
    view.setUint32(12, crc32c(payload, 0, payloadBytes, sequence));
    return end;
  }

  #apply(entry: Entry, data: Uint8Array): void {
    this.#lastTxn = entry.txn;
    const { kind, volume, key, operation, firstSector, sectorCount, hasData, guest } = entry;
    if (kind === 'volume') this.#resize(volume, sectorCount * SECTOR_BYTES);
    if (kind === 'remove') this.#volumes.delete(volume);
    if (kind === 'session') {
      this.#guests.set(guest, volume);
      this.#nextGuest = Math.max(this.#nextGuest, guest + 1);
    }
    if (kind === 'close') this.#guests.delete(guest);
    if (kind !== 'data') return;
    const bytes = this.#volumes.get(volume);
    assert(bytes !== undefined, 'the volume exists');
    const start = firstSector * SECTOR_BYTES;
    if (this.#bug === 'read shows the past') this.#before.set(volume, bytes.slice());
    if (hasData) bytes.set(data, start);
    else bytes.fill(0, start, start + sectorCount * SECTOR_BYTES);
    if (this.#bug !== 'reply not stored') this.#applied.set(key, operation);
  }

  #resize(volume: string, sizeBytes: number): void {
    const bytes = new Uint8Array(sizeBytes);
    bytes.set(this.#volumes.get(volume)?.subarray(0, sizeBytes) ?? []);
    this.#volumes.set(volume, bytes);
  }

  // The bank and its commits ---------------------------------------------------------------------

  /** Appends an operation to the bank: complete when this returns. */
  #append(entry: Entry, data: Uint8Array): void {
    const bytes = encodeEntry(entry, data);
    const at = UNIT_BYTES + this.#publishedBytes;
    const source = this.#process.kernels.registerMemory(bytes);
    if (this.#bug === 'published before it is copied') this.#publish(bytes.byteLength);
    this.#copies.copy(source, 0, this.#bankMemory, at, bytes.byteLength);
    this.#copies.run();
    this.#copies.clear();
    this.#process.kernels.unregisterMemory(source);
    if (this.#bug !== 'published before it is copied') this.#publish(bytes.byteLength);
    this.#apply(entry, data);
  }

  #publish(byteLength: number): void {
    const bank = this.#bank;
    assert(bank !== undefined, 'the store is open');
    this.#publishedBytes += byteLength;
    new DataView(bank.bytes.buffer).setUint32(0, this.#publishedBytes);
  }

  #hasRoom(): boolean {
    return this.#publishedBytes < BANK_BYTES / 2;
  }

  #commit(): void {
    if (this.#phase === 'idle' && this.#publishedBytes > this.#commitEndBytes) {
      const wanted = this.#waiting.length > 0 || !this.#hasRoom();
      if (wanted) this.#startCommit();
    }
    if (this.#phase === 'written') {
      this.#disk.queueSync(1);
      this.#phase = 'syncing';
    }
    this.#disk.submit();
    if (!this.#disk.hasCompletions()) return;
    const count = this.#disk.reap();
    for (let i = 0; i < count; i++) {
      assert((this.#disk.completedResults[i] ?? -1) >= 0, 'the toy knows no faults');
      this.#phase = this.#phase === 'writing' ? 'written' : 'idle';
    }
    if (this.#phase === 'written' && this.#bug === 'bank dropped before the sync') this.#dropBank();
    if (this.#phase === 'idle') this.#finishCommit();
  }

  #startCommit(): void {
    this.#commitStartBytes = this.#commitEndBytes;
    this.#commitEndBytes = this.#publishedBytes;
    const payloadBytes = this.#commitEndBytes - this.#commitStartBytes;
    const start = UNIT_BYTES + this.#commitStartBytes;
    const published = this.#bank?.bytes.subarray(start, start + payloadBytes);
    this.#staging.set(published ?? [], UNIT_BYTES);
    this.#writtenBytes = this.#header(payloadBytes);
    this.#committingTxn = this.#lastTxn;
    this.#disk.queueWrite(0, this.#stagingMemory, 0, this.#writtenBytes, this.#positionBytes);
    this.#phase = 'writing';
  }

  #finishCommit(): void {
    this.#positionBytes += this.#writtenBytes;
    this.#sequence += 1;
    this.#durableTxn = this.#committingTxn;
    if (this.#publishedBytes === this.#commitEndBytes) this.#dropBank();
  }

  #dropBank(): void {
    this.#publishedBytes = 0;
    this.#commitEndBytes = 0;
    this.#publish(0);
  }

  // The hot face ---------------------------------------------------------------------------------

  submit(row: number): void {
    this.requests.state[row] = RequestState.SUBMITTED;
    this.#submitted.push(row);
  }

  takeCompleted(): number {
    return this.#completed.shift() ?? -1;
  }

  step(): boolean {
    const completedCount = this.#completed.length;
    while (this.#submitted.length > 0 && this.#hasRoom()) this.#run(this.#submitted.shift() ?? 0);
    this.#commit();
    const early = this.#bug === 'flush answers early' && this.#phase !== 'idle';
    const txn = early ? this.#committingTxn : this.#durableTxn;
    const due = this.#waiting.filter((item) => item.txn <= txn);
    this.#waiting = this.#waiting.filter((item) => item.txn > txn);
    for (const { done } of due) done();
    return this.#completed.length > completedCount;
  }

  #run(row: number): void {
    const { requests } = this;
    const op = requests.op[row];
    const guest = this.#sessions.get(requests.session[row] ?? -1) ?? 0;
    const volume = this.#guests.get(guest) ?? '';
    if (op === RequestOp.READ) {
      this.#read(row, volume);
      return;
    }
    if (op !== RequestOp.FLUSH) {
      const key = `${guest}.${requests.queue[row]}.${requests.tag[row]}`;
      const operation = requests.operation[row] ?? 0;
      const done = (this.#applied.get(key) ?? 0) >= operation;
      if (!done) this.#change(row, { guest, volume, key, operation });
    }
    const waits = op === RequestOp.FLUSH || (requests.flags[row] ?? 0) === RequestFlag.FUA;
    if (waits) this.#waiting.push({ txn: this.#lastTxn, done: () => this.#complete(row) });
    else this.#complete(row);
  }

  #change(
    row: number,
    names: { guest: number; volume: string; key: string; operation: number },
  ): void {
    const { requests } = this;
    const firstSector = requests.sectorIndex[row] ?? 0;
    const sectorCount = requests.sectorCount[row] ?? 0;
    const hasData = requests.op[row] === RequestOp.WRITE;
    const data = hasData ? this.#gather(row, sectorCount * SECTOR_BYTES) : new Uint8Array(0);
    const half = this.#bug === 'half a batch' && sectorCount > 1 ? sectorCount >> 1 : sectorCount;
    const base = { kind: 'data' as const, hasData, ...names };
    const first = { ...base, txn: this.#lastTxn + 1, firstSector, sectorCount: half };
    this.#append(first, data.subarray(0, half * SECTOR_BYTES));
    if (half === sectorCount) return;
    const rest = { firstSector: firstSector + half, sectorCount: sectorCount - half };
    this.#append({ ...base, txn: this.#lastTxn + 1, ...rest }, data.subarray(half * SECTOR_BYTES));
  }

  #read(row: number, volume: string): void {
    const past = this.#bug === 'read shows the past' && this.#lastTxn % 16 === 0;
    const bytes = (past ? this.#before.get(volume) : undefined) ?? this.#volumes.get(volume);
    assert(bytes !== undefined, 'the volume exists');
    let at = (this.requests.sectorIndex[row] ?? 0) * SECTOR_BYTES;
    for (const extent of this.#extents(row)) {
      extent.set(bytes.subarray(at, at + extent.byteLength));
      at += extent.byteLength;
    }
    this.#complete(row);
  }

  #gather(row: number, byteLength: number): Uint8Array {
    const data = new Uint8Array(byteLength);
    let at = 0;
    for (const extent of this.#extents(row)) {
      data.set(extent, at);
      at += extent.byteLength;
    }
    return data;
  }

  #extents(row: number): Uint8Array[] {
    const memory = this.#process.memories.require(this.requests.memory[row] ?? -1);
    return extentsOf(this.requests, row, memory);
  }

  #complete(row: number): void {
    this.requests.state[row] = RequestState.COMPLETED;
    this.requests.status[row] = STATUS_OK;
    this.requests.resultBytes[row] = (this.requests.sectorCount[row] ?? 0) * SECTOR_BYTES;
    this.#completed.push(row);
  }

  // The cold face --------------------------------------------------------------------------------

  async createVolume(name: string, sizeBytes: number): Promise<VolumeInfo> {
    this.#note({ kind: 'volume', volume: name, sectorCount: sizeBytes / SECTOR_BYTES });
    await this.flush();
    return this.requireVolume(name);
  }

  resizeVolume(name: string, sizeBytes: number): Promise<VolumeInfo> {
    return this.createVolume(name, sizeBytes);
  }

  async removeVolume(name: string): Promise<void> {
    this.#note({ kind: 'remove', volume: name });
    await this.flush();
  }

  listVolumes(): VolumeInfo[] {
    return [...this.#volumes.keys()].map((name) => this.requireVolume(name));
  }

  requireVolume(name: string): VolumeInfo {
    const bytes = this.#volumes.get(name);
    if (bytes === undefined) throw new StoreError('not_found', { name });
    return { id: 1, name, sizeBytes: bytes.byteLength, storedBytes: 0, sessionCount: 0 };
  }

  async openSession(options: OpenSessionOptions): Promise<SessionGrant> {
    const guest = this.#nextGuest++;
    this.#note({ kind: 'session', guest, volume: options.volume });
    await Promise.resolve();
    return this.#grant(guest, options.queueCount, options.queueDepth);
  }

  async reattachSession({ guest, incarnation }: ReattachOptions): Promise<SessionGrant> {
    await Promise.resolve();
    if (incarnation !== this.incarnation) throw new StoreError('incarnation_changed', { guest });
    if (!this.#guests.has(guest)) throw new StoreError('permission_denied', { guest });
    return this.#grant(guest, 0, 0);
  }

  async closeSession(session: number): Promise<void> {
    const guest = this.#sessions.get(session) ?? 0;
    this.#note({ kind: 'close', guest });
    this.#sessions.delete(session);
    await Promise.resolve();
  }

  flush(): Promise<void> {
    const txn = this.#lastTxn;
    return new Promise((resolve) => this.#waiting.push({ txn, done: resolve }));
  }

  async close(): Promise<void> {
    await this.flush();
    const { bank, generation } = this.#superblock ?? { bank: '', generation: 0 };
    const boot = this.#process.bootId();
    const { incarnation } = this;
    const next = { generation: generation + 1, bank, boot, clean: true, incarnation };
    await this.#writeSuperblock(next);
    this.#process.banks.remove(bank);
    await this.#disk.close();
  }

  #note(fields: Pick<Entry, 'kind'> & Partial<Entry>): void {
    const empty = { guest: 0, volume: '', key: '', operation: 0, firstSector: 0, sectorCount: 0 };
    const entry = { ...empty, txn: this.#lastTxn + 1, hasData: false, ...fields };
    this.#append(entry, new Uint8Array(0));
  }

  #grant(guest: number, queueCount: number, queueDepth: number): SessionGrant {
    const session = this.#nextSession++;
    this.#sessions.set(session, guest);
    const volume = this.requireVolume(this.#guests.get(guest) ?? '');
    const { incarnation } = this;
    const mode = 'shared' as const;
    return { session, guest, secret: SECRET, incarnation, volume, mode, queueCount, queueDepth };
  }
}
