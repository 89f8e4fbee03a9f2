/**
 * A guest of the simulated host. Its memory and its commands in flight outlive the host: after a
 * restart it attaches again and submits what has no completion, under the same numbers (R25).
 */
import { codeOf, STATUS_OK, statusOf } from '../../src/base/errors.ts';
import type { Prng } from '../../src/base/prng.ts';
import { SECTOR_BYTES } from '../../src/base/units.ts';
import type { SessionGrant } from '../../src/store/store.ts';
import { RequestFlag, RequestOp, TABLE_FULL } from '../../src/volumes/request-table.ts';
import type { SimStore } from './harness.ts';
import { type Change, ModelViolation, type PoolModel, type VolumeModel } from './model.ts';
import { fillSectors, makeScratch, versionOf, ZERO_VERSION } from './sector-data.ts';
import type { Command, CommandKind } from './workload.ts';

const OPS: Readonly<Record<CommandKind, number>> = {
  write: RequestOp.WRITE,
  zero: RequestOp.WRITE_ZEROES,
  discard: RequestOp.DISCARD,
  read: RequestOp.READ,
  flush: RequestOp.FLUSH,
};

const EXTENTS_MAX = 3;
const POOL_FAILED = statusOf('pool_failed');

interface Extent {
  readonly offset: number;
  readonly byteLength: number;
}

interface InFlight {
  readonly command: Command;
  readonly queue: number;
  readonly tag: number;
  readonly operation: number;
  readonly extents: readonly Extent[];
  readonly submittedAt: number;
  /** Of a write or zeroing. */
  readonly change: Change | undefined;
}

/** Numbers that name every command and every write of a run. */
export interface Names {
  nextVersion(): number;
}

export interface GuestParts {
  readonly model: PoolModel;
  readonly names: Names;
  readonly prng: Prng;
  readonly queueCount: number;
  readonly queueDepth: number;
  /** Of the longest command. */
  readonly sectorsMax: number;
}

export class SimGuest {
  readonly name: string;
  readonly volume: VolumeModel;
  grant: SessionGrant | undefined;
  /** It comes back only after another death of the host. */
  away = false as boolean;
  /** A disk was told to fail: commands that end with `pool_failed` stay unanswered. */
  expectsFailure = false as boolean;
  readonly #model: PoolModel;
  readonly #names: Names;
  readonly #prng: Prng;
  readonly #queueCount: number;
  readonly #queueDepth: number;
  readonly #tagBytes: number;
  readonly #area: Uint8Array;
  readonly #scratch = makeScratch();
  readonly #operations: number[];
  readonly #inFlight = new Map<number, InFlight>();
  /** Commands that a new host has not got yet, by tag index. */
  readonly #waiting: number[] = [];
  #memory = -1;

  constructor(name: string, volume: VolumeModel, parts: GuestParts) {
    this.name = name;
    this.volume = volume;
    this.#model = parts.model;
    this.#names = parts.names;
    this.#prng = parts.prng;
    this.#queueCount = parts.queueCount;
    this.#queueDepth = parts.queueDepth;
    this.#operations = new Array<number>(parts.queueCount).fill(0);
    this.#tagBytes = parts.sectorsMax * SECTOR_BYTES;
    this.#area = new Uint8Array(parts.queueCount * parts.queueDepth * this.#tagBytes);
  }

  get attached(): boolean {
    return this.#memory >= 0;
  }

  get inFlightCount(): number {
    return this.#inFlight.size;
  }

  get queueCount(): number {
    return this.#queueCount;
  }

  get queueDepth(): number {
    return this.#queueDepth;
  }

  /** Attached, again or for the first time, to a host that knows the guest's memory by number. */
  attach(grant: SessionGrant, register: (bytes: Uint8Array) => number): void {
    this.grant = grant;
    this.#memory = register(this.#area);
    this.#waiting.length = 0;
    this.#waiting.push(...this.#prng.shuffle([...this.#inFlight.keys()]));
  }

  /** The host is gone. */
  detach(): void {
    this.#memory = -1;
  }

  hasRoom(inFlightMax: number): boolean {
    const tags = this.#queueCount * this.#queueDepth;
    return this.attached && this.#inFlight.size < Math.min(tags, inFlightMax);
  }

  /** Submits what a host that is gone left unanswered, as far as there is room. */
  resubmit(store: SimStore): void {
    while (this.#waiting.length > 0) {
      const index = this.#waiting.at(-1) ?? 0;
      const inFlight = this.#inFlight.get(index);
      if (inFlight !== undefined && !this.#hand(store, index, inFlight)) return;
      this.#waiting.pop();
    }
  }

  /** Takes a free tag and submits a new command. */
  submit(store: SimStore, command: Command): void {
    const index = this.#findTag();
    const queue = Math.floor(index / this.#queueDepth);
    const operation = (this.#operations[queue] ?? 0) + 1;
    this.#operations[queue] = operation;
    const { kind, sectorCount } = command;
    const hasData = kind === 'write' || kind === 'read';
    const inFlight: InFlight = {
      command,
      queue,
      tag: index % this.#queueDepth,
      operation,
      extents: hasData ? this.#drawExtents(index, sectorCount * SECTOR_BYTES) : [],
      change: this.#changeOf(command),
      submittedAt: this.#model.tick(),
    };
    if (kind === 'write') this.#fill(inFlight);
    this.#inFlight.set(index, inFlight);
    if (!this.#hand(store, index, inFlight)) this.#waiting.unshift(index);
  }

  /** Takes a completed row of this guest's: checks what it says, and releases it. */
  complete(store: SimStore, row: number): void {
    const { requests } = store;
    const index = requests.context[row] ?? -1;
    const inFlight = this.#inFlight.get(index);
    if (inFlight === undefined) throw new ModelViolation(`${this.name}: completed twice`);
    const status = requests.status[row] ?? -1;
    const resultBytes = requests.resultBytes[row] ?? -1;
    requests.release(row);
    if (this.expectsFailure && status === POOL_FAILED) return;
    this.#inFlight.delete(index);
    const { command, change, submittedAt } = inFlight;
    if (status !== STATUS_OK) {
      this.#refused(inFlight, status);
      return;
    }
    const moves = command.kind === 'write' || command.kind === 'read';
    if (moves && resultBytes !== command.sectorCount * SECTOR_BYTES) {
      throw new ModelViolation(`${this.name}: ${command.kind} moved ${resultBytes} bytes`);
    }
    if (change !== undefined) this.#model.complete(change, command.fua);
    if (command.kind === 'flush') this.#model.completeFlush(submittedAt);
    if (command.kind === 'read') this.#checkRead(inFlight);
  }

  #refused({ command, change }: InFlight, status: number): void {
    const code = codeOf(status);
    if (code !== 'pool_full') {
      throw new ModelViolation(`${this.name}: ${command.kind} failed with ${code}`);
    }
    if (change !== undefined) this.#model.refuse(change);
  }

  #changeOf({ kind, firstSector, sectorCount, fua }: Command): Change | undefined {
    if (kind === 'read' || kind === 'flush') return undefined;
    const version = kind === 'write' ? this.#names.nextVersion() : ZERO_VERSION;
    const label = `${this.name}.${kind}${fua ? '.fua' : ''}#${version}@${firstSector}+${sectorCount}`;
    return this.#model.submit(label, this.volume, version, firstSector, sectorCount);
  }

  #findTag(): number {
    const tags = this.#queueCount * this.#queueDepth;
    const start = this.#prng.below(tags);
    for (let i = 0; i < tags; i++) {
      const index = (start + i) % tags;
      if (!this.#inFlight.has(index)) return index;
    }
    throw new Error('a free tag was promised');
  }

  /** False if the host has no row for it now. */
  #hand(store: SimStore, index: number, inFlight: InFlight): boolean {
    const { requests } = store;
    if (this.grant === undefined) throw new Error('a guest submits when it is attached');
    const row = requests.claim(this.grant.session);
    if (row === TABLE_FULL) return false;
    const { command, queue, tag, operation, extents } = inFlight;
    requests.op[row] = OPS[command.kind];
    requests.flags[row] = command.fua ? RequestFlag.FUA : 0;
    requests.queue[row] = queue;
    requests.tag[row] = tag;
    requests.operation[row] = operation;
    requests.sectorIndex[row] = command.firstSector;
    requests.sectorCount[row] = command.sectorCount;
    requests.memory[row] = this.#memory;
    requests.context[row] = index;
    for (const { offset, byteLength } of extents) requests.addExtent(row, offset, byteLength);
    store.submit(row);
    return true;
  }

  /** Cuts the data into pieces that lie in the tag's area in any order. */
  #drawExtents(index: number, byteLength: number): Extent[] {
    const count = this.#prng.chance(0.7) ? 1 : this.#prng.between(1, EXTENTS_MAX);
    const cuts = Array.from({ length: count - 1 }, () => this.#prng.between(1, byteLength - 1));
    const ends = [...new Set(cuts)].sort((a, b) => a - b).concat(byteLength);
    const lengths = ends.map((end, i) => end - (ends[i - 1] ?? 0));
    const extents = new Array<Extent>(lengths.length);
    let offset = index * this.#tagBytes;
    for (const i of this.#prng.shuffle([...lengths.keys()])) {
      const pieceBytes = lengths[i] ?? 0;
      extents[i] = { offset, byteLength: pieceBytes };
      offset += pieceBytes;
    }
    return extents;
  }

  #fill({ command, extents, change }: InFlight): void {
    const data = new Uint8Array(command.sectorCount * SECTOR_BYTES);
    fillSectors(data, this.volume.tag, command.firstSector, change?.version ?? ZERO_VERSION);
    let at = 0;
    for (const { offset, byteLength } of extents) {
      this.#area.set(data.subarray(at, at + byteLength), offset);
      at += byteLength;
    }
  }

  #checkRead({ command, extents, submittedAt }: InFlight): void {
    const data = new Uint8Array(command.sectorCount * SECTOR_BYTES);
    let at = 0;
    for (const { offset, byteLength } of extents) {
      data.set(this.#area.subarray(offset, offset + byteLength), at);
      at += byteLength;
    }
    for (let i = 0; i < command.sectorCount; i++) {
      const sector = command.firstSector + i;
      const version = versionOf(data, i * SECTOR_BYTES, this.volume.tag, sector, this.#scratch);
      this.#model.checkRead(this.volume, sector, version, submittedAt);
    }
  }
}
