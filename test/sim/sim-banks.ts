/**
 * Bank files of a simulated machine: they survive the death of a process and vanish with power.
 * A dead process keeps no way to its bank: its views read as empty and what it stores is lost.
 */
import { StoreError } from '../../src/base/errors.ts';
import type { BankFiles, MappedFile } from '../../src/platform/platform.ts';
import type { SimProcess } from './sim-process.ts';

/** Moves the memory of a buffer into another one; views of the first become empty. */
function moveMemory(memory: ArrayBuffer): ArrayBuffer {
  return structuredClone(memory, { transfer: [memory] });
}

/** One file. Somebody may delete its name while it is mapped, as anywhere. */
export class SimBankFile {
  memory: ArrayBuffer;
  mappedCount = 0;
  /** What a test sets to have `open` refuse it. */
  ownerIsRight: boolean = true;

  constructor(byteLength: number) {
    this.memory = new ArrayBuffer(byteLength);
  }

  /** Takes the memory away from whoever has it mapped. */
  unmapAll(): void {
    this.memory = moveMemory(this.memory);
    this.mappedCount = 0;
  }
}

export class SimBankFiles implements BankFiles {
  readonly #process: SimProcess;
  readonly #mapped = new Set<SimBankFile>();

  constructor(process: SimProcess) {
    this.#process = process;
  }

  create(name: string, byteLength: number): MappedFile {
    const { banks, bankBytesMax } = this.#process.machine;
    this.#process.point('bank.create.before');
    if (banks.has(name)) throw new StoreError('already_exists', { name });
    let usedBytes = byteLength;
    for (const { memory } of banks.values()) usedBytes += memory.byteLength;
    if (usedBytes > bankBytesMax) throw new StoreError('bank_unavailable', { name, byteLength });
    const file = new SimBankFile(byteLength);
    banks.set(name, file);
    this.#process.point('bank.create.after');
    return this.#map(file);
  }

  open(name: string): MappedFile | undefined {
    this.#process.point('bank.open');
    const file = this.#process.machine.banks.get(name);
    if (file === undefined) return undefined;
    if (!file.ownerIsRight) throw new StoreError('bank_lost', { name });
    return this.#map(file);
  }

  remove(name: string): void {
    this.#process.point('bank.remove.before');
    this.#process.machine.banks.delete(name);
    this.#process.point('bank.remove.after');
  }

  kill(): void {
    for (const file of this.#mapped) file.unmapAll();
    this.#mapped.clear();
  }

  #map(file: SimBankFile): MappedFile {
    this.#mapped.add(file);
    file.mappedCount += 1;
    let open = true;
    return {
      bytes: new Uint8Array(file.memory),
      close: () => {
        this.#process.requireAlive();
        if (!open) return;
        open = false;
        file.mappedCount -= 1;
        if (file.mappedCount > 0) return;
        file.unmapAll();
        this.#mapped.delete(file);
      },
    };
  }
}
