/**
 * The place in the file system at which a host listens: its folder, a lock beside the socket, and
 * what a host that died left behind.
 *
 * The lock decides who owns the path: two hosts that start together cannot both take the old
 * socket file for abandoned and remove each other's new one. The lock's file stays for good;
 * removing it would let a third host lock another file of the same name.
 */
import { lstatSync, mkdirSync, rmSync } from 'node:fs';
import { dirname } from 'node:path';
import { StoreError } from '../base/errors.ts';
import { closeFd, lockFile, OpenFlag, openFile } from '../bindings/files.ts';
import { connectTo } from '../bindings/sockets.ts';

const PRIVATE_FOLDER_MODE = 0o700;
const LOCK_MODE = 0o600;
const OTHERS_MASK = 0o077;

/** A path to listen at, held until `release`. */
export class SocketPlace {
  readonly path: string;
  readonly #lock: number;
  #held: boolean = true;

  private constructor(path: string, lock: number) {
    this.path = path;
    this.#lock = lock;
  }

  /**
   * Takes the path, which is free to bind afterwards: a socket that nobody listens on is removed.
   * `privateFolder` makes the folder if need be, mode 0700, and insists that it is ours alone.
   *
   * @throws StoreError `in_use` if another host holds the path, `already_exists` if something else
   * stands there, `permission_denied` if the folder is not ours, `system_error`.
   */
  static claim(path: string, { privateFolder }: { privateFolder: boolean }): SocketPlace {
    if (privateFolder) requirePrivateFolder(dirname(path));
    const { CREATE, READ_WRITE } = OpenFlag;
    const lock = openFile(`${path}.lock`, READ_WRITE | CREATE, LOCK_MODE);
    try {
      if (!lockFile(lock)) throw new StoreError('in_use', { socket: path, by: 'another host' });
      removeAbandoned(path);
      return new SocketPlace(path, lock);
    } catch (error) {
      closeFd(lock);
      throw error;
    }
  }

  /** Removes the socket and gives the path to the next host. A second call does nothing. */
  release(): void {
    if (!this.#held) return;
    this.#held = false;
    rmSync(this.path, { force: true });
    closeFd(this.#lock);
  }
}

function requirePrivateFolder(folder: string): void {
  mkdirSync(folder, { recursive: true, mode: PRIVATE_FOLDER_MODE });
  const facts = lstatSync(folder);
  const uid = process.getuid?.() ?? 0;
  if (facts.isDirectory() && facts.uid === uid && (facts.mode & OTHERS_MASK) === 0) return;
  const mode = (facts.mode & 0o7777).toString(8);
  const reason = 'the folder of the socket must be ours alone';
  throw new StoreError('permission_denied', { reason, folder, owner: facts.uid, mode });
}

function removeAbandoned(path: string): void {
  const facts = lstatSync(path, { throwIfNoEntry: false });
  if (facts === undefined) return;
  if (!facts.isSocket()) throw new StoreError('already_exists', { path, is: 'not a socket' });
  if (isAnswered(path)) throw new StoreError('in_use', { socket: path, by: 'another program' });
  rmSync(path, { force: true });
}

/** Whether somebody listens. Only a refused connection proves that nobody does. */
function isAnswered(path: string): boolean {
  try {
    closeFd(connectTo(path));
    return true;
  } catch (error) {
    const errno = error instanceof StoreError ? error.details['errno'] : undefined;
    if (errno === 'ECONNREFUSED' || errno === 'ENOENT') return false;
    throw error;
  }
}
