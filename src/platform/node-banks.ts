/**
 * Bank files (R2): on tmpfs they outlive the process and not the machine, which is what a bank must
 * do. On an ordinary file system they work as well; the boot id in the superblock then says
 * whether what they hold is of this boot.
 *
 * A folder of our own and files nobody else may open, because a bank holds guests' data and
 * recovery believes it. Fully allocated before it is mapped: storing into a page for which a full
 * tmpfs has no room ends the process with a bus error.
 */
import { constants, lstatSync, mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { assert } from '../base/assert.ts';
import { StoreError } from '../base/errors.ts';
import { AllocateMode, allocateFile, closeFd, OpenFlag, openFile } from '../bindings/files.ts';
import { inspectMemfd, type MappedMemory, mapShared } from '../bindings/memory.ts';
import type { BankFiles, MappedFile } from './platform.ts';

/** Names the folder of banks, before the default. */
export const BANK_DIR_VARIABLE = 'LOGFLUME_BANK_DIR';

const FILE_MODE = 0o600;
const FOLDER_MODE = 0o700;
/** Permission bits by which others could change the folder. */
const WRITABLE_BY_OTHERS = 0o022;
const PERMISSION_BITS = 0o777;

/** Where banks lie if nothing else is said: the tmpfs that every Linux has, one folder per user. */
export function defaultBankDir(): string {
  return process.env[BANK_DIR_VARIABLE] ?? `/dev/shm/logflume-${process.geteuid?.() ?? 0}`;
}

function errnoOf(error: unknown): unknown {
  if (error instanceof StoreError) return error.details['errno'];
  return error instanceof Error && 'code' in error ? error.code : undefined;
}

/** What is wrong with the folder of banks; undefined if it may be used. */
function faultOfFolder(path: string): string | undefined {
  const stat = lstatSync(path);
  if (!stat.isDirectory()) return 'the bank folder is not a directory';
  if (stat.uid !== process.geteuid?.()) return 'the bank folder belongs to somebody else';
  if ((stat.mode & WRITABLE_BY_OTHERS) !== 0) return 'others can write to the bank folder';
  return undefined;
}

function mapped(memory: MappedMemory): MappedFile {
  return { bytes: memory.bytes, close: () => memory.unmap() };
}

export class NodeBankFiles implements BankFiles {
  readonly dir: string;

  constructor(dir = defaultBankDir()) {
    this.dir = dir;
  }

  create(name: string, byteLength: number): MappedFile {
    const path = this.#pathOf(name);
    try {
      mkdirSync(this.dir, { recursive: true, mode: FOLDER_MODE });
      const fault = faultOfFolder(this.dir);
      if (fault !== undefined) throw new StoreError('permission_denied', { fault });
      const { CREATE, EXCLUSIVE, READ_WRITE } = OpenFlag;
      const fd = openFile(path, READ_WRITE | CREATE | EXCLUSIVE, FILE_MODE);
      return this.#fill(fd, path, byteLength);
    } catch (cause) {
      if (errnoOf(cause) === 'EEXIST') throw new StoreError('already_exists', { path }, { cause });
      throw new StoreError('bank_unavailable', { path, byteLength }, { cause });
    }
  }

  open(name: string): MappedFile | undefined {
    const path = this.#pathOf(name);
    let fd: number;
    try {
      const fault = faultOfFolder(this.dir);
      if (fault !== undefined) throw new StoreError('permission_denied', { fault });
      // A link would let somebody else choose which of our files recovery believes.
      fd = openFile(path, OpenFlag.READ_WRITE | constants.O_NOFOLLOW);
    } catch (cause) {
      if (errnoOf(cause) === 'ENOENT') return undefined;
      throw new StoreError('bank_lost', { path }, { cause });
    }
    try {
      const { sizeBytes, uid, mode, isRegularFile } = inspectMemfd(fd);
      const lost = (fault: string) => new StoreError('bank_lost', { path, fault });
      if (!isRegularFile) throw lost('not a regular file');
      if (uid !== process.geteuid?.()) throw lost('belongs to somebody else');
      if ((mode & PERMISSION_BITS) !== FILE_MODE) throw lost('others can open it');
      if (sizeBytes === 0) throw lost('is empty');
      return mapped(mapShared(fd, sizeBytes));
    } finally {
      closeFd(fd);
    }
  }

  remove(name: string): void {
    rmSync(this.#pathOf(name), { force: true });
  }

  #fill(fd: number, path: string, byteLength: number): MappedFile {
    try {
      allocateFile(fd, AllocateMode.ALLOCATE, 0, byteLength);
      return mapped(mapShared(fd, byteLength));
    } catch (error) {
      rmSync(path, { force: true });
      throw error;
    } finally {
      closeFd(fd);
    }
  }

  #pathOf(name: string): string {
    assert(!name.includes('/'), 'a bank is named, not placed');
    assert(name !== '' && !name.startsWith('.'), 'a bank has a plain name');
    return join(this.dir, name);
  }
}
