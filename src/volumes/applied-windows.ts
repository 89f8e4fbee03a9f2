/**
 * Which commands of each guest were applied (R25): per tag, the newest operation number.
 *
 * A guest gives a tag to its next command only after it has seen the completion of the one before.
 * So whatever it submits again after a crash still owns its tag, and `operation` stands there
 * exactly if it was applied. That bounds the window by queue depth, for ever.
 */
import { assert } from '../base/assert.ts';
import { decodeWindow, encodeWindow, WindowRecord } from '../formats/session-record.ts';

interface GuestWindow {
  readonly queueCount: number;
  readonly queueDepth: number;
  /** Operation by queue and tag; 0 is none. */
  readonly operations: Float64Array;
}

const NO_OPERATIONS = new Float64Array(0);

export class AppliedWindows {
  /** Tags under which something was applied. */
  usedCount = 0;

  readonly #byGuest = new Map<number, GuestWindow>();
  // By session, for commands: no search by guest.
  readonly #operations: Float64Array[];
  readonly #depth: Int32Array;

  constructor(sessionsMax: number) {
    this.#operations = Array.from({ length: sessionsMax }, () => NO_OPERATIONS);
    this.#depth = new Int32Array(sessionsMax);
  }

  /** Starts the empty window of a new guest. */
  open(guest: number, queueCount: number, queueDepth: number): void {
    assert(!this.#byGuest.has(guest), 'guest ids are not reused');
    const operations = new Float64Array(queueCount * queueDepth);
    this.#byGuest.set(guest, { queueCount, queueDepth, operations });
  }

  /** Forgets a guest whose session is closed. */
  close(guest: number): void {
    const window = this.#byGuest.get(guest);
    if (window === undefined) return;
    for (const operation of window.operations) if (operation !== 0) this.usedCount--;
    this.#byGuest.delete(guest);
  }

  /** Lets commands of a session find the guest's window. */
  bind(session: number, guest: number): void {
    const window = this.#byGuest.get(guest);
    assert(window !== undefined, 'the guest has a window');
    this.#operations[session] = window.operations;
    this.#depth[session] = window.queueDepth;
  }

  unbind(session: number): void {
    this.#operations[session] = NO_OPERATIONS;
    this.#depth[session] = 0;
  }

  /** Whether this very command was applied before. Queue and tag were checked. @hotpath */
  wasApplied(session: number, queue: number, tag: number, operation: number): boolean {
    const at = queue * (this.#depth[session] as number) + tag;
    return (this.#operations[session] as Float64Array)[at] === operation;
  }

  /** @hotpath */
  note(session: number, queue: number, tag: number, operation: number): void {
    const operations = this.#operations[session] as Float64Array;
    const at = queue * (this.#depth[session] as number) + tag;
    if (operations[at] === 0) this.usedCount++;
    operations[at] = operation;
  }

  /** Notes what an entry of the log says. False if no such guest or tag exists. */
  noteOf(guest: number, queue: number, tag: number, operation: number): boolean {
    const window = this.#byGuest.get(guest);
    if (window === undefined) return false;
    if (queue >= window.queueCount || tag >= window.queueDepth) return false;
    const at = queue * window.queueDepth + tag;
    if (window.operations[at] === 0) this.usedCount++;
    window.operations[at] = operation;
    return true;
  }

  /** All slots in use, encoded one after another, as they are now. */
  encode(): Uint8Array {
    let count = 0;
    for (const { operations } of this.#byGuest.values()) {
      for (const operation of operations) if (operation !== 0) count++;
    }
    const bytes = new Uint8Array(count * WindowRecord.byteLength);
    let at = 0;
    for (const [guest, { operations, queueDepth }] of this.#byGuest) {
      for (let i = 0; i < operations.length; i++) {
        const operation = operations[i] as number;
        if (operation === 0) continue;
        const queue = Math.floor(i / queueDepth);
        encodeWindow({ guest, queue, tag: i % queueDepth, operation }, bytes, at);
        at += WindowRecord.byteLength;
      }
    }
    return bytes;
  }

  /** Adds `count` encoded slots. False if one makes no sense. */
  decode(bytes: Uint8Array, at: number, count: number): boolean {
    for (let i = 0; i < count; i++) {
      const slot = decodeWindow(bytes, at + i * WindowRecord.byteLength);
      if (typeof slot === 'string') return false;
      if (!this.noteOf(slot.guest, slot.queue, slot.tag, slot.operation)) return false;
    }
    return true;
  }
}
