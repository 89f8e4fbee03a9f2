/**
 * A long array of bytes of which only what was written takes memory, so that a pool of a TiB costs
 * nothing while it is empty. What was never written reads as zeros.
 */

/** What is kept together. */
const PAGE_BYTES = 4096;

export class SparseBytes {
  readonly #pages = new Map<number, Uint8Array>();

  get residentBytes(): number {
    return this.#pages.size * PAGE_BYTES;
  }

  read(target: Uint8Array, positionBytes: number): void {
    for (let done = 0; done < target.byteLength; ) {
      const position = positionBytes + done;
      const within = position % PAGE_BYTES;
      const length = Math.min(PAGE_BYTES - within, target.byteLength - done);
      const page = this.#pages.get((position - within) / PAGE_BYTES);
      if (page === undefined) target.fill(0, done, done + length);
      else target.set(page.subarray(within, within + length), done);
      done += length;
    }
  }

  write(source: Uint8Array, positionBytes: number): void {
    for (let done = 0; done < source.byteLength; ) {
      const position = positionBytes + done;
      const within = position % PAGE_BYTES;
      const length = Math.min(PAGE_BYTES - within, source.byteLength - done);
      const index = (position - within) / PAGE_BYTES;
      let page = this.#pages.get(index);
      if (page === undefined) {
        page = new Uint8Array(PAGE_BYTES);
        this.#pages.set(index, page);
      }
      page.set(source.subarray(done, done + length), within);
      done += length;
    }
  }
}
