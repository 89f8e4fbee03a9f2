/**
 * The host's Unix socket: accepts, asks the kernel who is there, and hands on the connections of
 * users that may come in. The others read why not.
 */
import { StoreError } from '../src/base/errors.ts';
import { Ready, type Watch, watchFd } from '../src/bindings/event-thread.ts';
import { closeFd } from '../src/bindings/files.ts';
import { acceptFrom, listenAt, WOULD_WAIT } from '../src/bindings/sockets.ts';
import { defaultListenPath } from '../src/channel/default-socket.ts';
import type { ControlLink, LinkPeer } from '../src/channel/link.ts';
import { SocketLink } from '../src/channel/socket-link.ts';
import type { Clock, Timer } from '../src/platform/platform.ts';
import { SocketPlace } from '../src/platform/socket-place.ts';

const SOCKET_MODE = 0o600;
/** Guests that come at the same moment, as after a restart. */
const BACKLOG = 128;
/** Per turn of the loop: a flood of connections must not stop the guests that are in. */
const ACCEPTS_PER_TURN_MAX = 32;
/** The process is out of descriptors, or the machine of memory: try again a little later. */
const RETRY_MS = 100;

export interface ListenerOptions {
  readonly path: string;
  readonly clock: Clock;
  /** Whether a process of this user may come in. */
  readonly admits: (peer: LinkPeer) => boolean;
  readonly onLink: (link: ControlLink) => void;
  readonly onTrouble: (error: StoreError) => void;
}

export class Listener {
  readonly #options: ListenerOptions;
  readonly #place: SocketPlace;
  readonly #fd: number;
  readonly #watch: Watch;
  #retry: Timer | undefined;
  #closed: boolean = false;

  /** @throws StoreError as `SocketPlace.claim`, `system_error`. */
  constructor(options: ListenerOptions) {
    this.#options = options;
    const privateFolder = options.path === ownDefaultPath();
    this.#place = SocketPlace.claim(options.path, { privateFolder });
    try {
      this.#fd = listenAt(options.path, { mode: SOCKET_MODE, backlog: BACKLOG });
      this.#watch = watchFd(this.#fd, Ready.READABLE, () => this.#accept());
    } catch (error) {
      this.#place.release();
      throw error;
    }
    this.#watch.hold(true);
  }

  /** Nobody comes in any more; who is in stays. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#retry?.cancel();
    this.#watch.remove();
    closeFd(this.#fd);
    this.#place.release();
  }

  #accept(): void {
    if (this.#closed) return;
    try {
      for (let i = 0; i < ACCEPTS_PER_TURN_MAX; i++) {
        const fd = acceptFrom(this.#fd);
        if (fd === WOULD_WAIT) break;
        this.#admit(fd);
      }
    } catch (error) {
      if (!(error instanceof StoreError)) throw error;
      this.#options.onTrouble(error);
      this.#retry = this.#options.clock.after(RETRY_MS, () => this.#accept());
      return;
    }
    this.#watch.again();
  }

  #admit(fd: number): void {
    let link: SocketLink;
    try {
      link = new SocketLink(fd);
    } catch (error) {
      closeFd(fd);
      throw error;
    }
    if (this.#options.admits(link.peer)) {
      this.#options.onLink(link);
      return;
    }
    const { uid, pid } = link.peer;
    const refusal = new StoreError('permission_denied', { uid, pid });
    this.#options.onTrouble(refusal);
    link.send({ type: 'error', code: refusal.code, message: refusal.message });
    link.close();
  }
}

function ownDefaultPath(): string {
  const runtime = process.env['XDG_RUNTIME_DIR'];
  return defaultListenPath({ XDG_RUNTIME_DIR: runtime }, process.getuid?.() ?? 0);
}
