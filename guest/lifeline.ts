/**
 * Keeps a driver attached: the first host, the loss of a host, the next one.
 *
 *   (connect) --> attached --lost--> host-lost, reattaching --next host--> attached
 *                    │                     │ deadline: what waits ends, the search goes on
 *                    └──lost for good──────┴──> failed --reconnect--> attached
 *
 * There is one set of steps for both ways of waiting. On the event loop timers and link events take
 * them; a blocked thread takes them itself with `stepSync`. So a search that began one way can end
 * the other way, and no step is ever taken twice.
 */
import { assert } from '../src/base/assert.ts';
import { StoreError } from '../src/base/errors.ts';
import type { AttachedMessage, AttachMessage } from '../src/channel/control-schema.ts';
import { CHANNEL_FINGERPRINT } from '../src/channel/fingerprint.ts';
import { setGuestState } from '../src/channel/geometry.ts';
import { FEATURES_KNOWN } from '../src/channel/negotiation.ts';
import { GuestState, PROTOCOL_VERSION } from '../src/channel/protocol.ts';
import type { Clock, Entropy, Timer } from '../src/platform/platform.ts';
import type { DriverState, VolumeFacts } from './api.ts';
import { Backoff } from './backoff.ts';
import type { Core } from './core.ts';
import type { CheckedOptions } from './options.ts';
import { Session } from './session.ts';
import type { Transport } from './transport.ts';

/** A blocked thread looks at its link this often while it waits for an answer on it. */
const ANSWER_POLL_MS = 1;
const US_PER_MS = 1000;
const NO_VOLUME: VolumeFacts = { name: '', volumeId: 0, sizeBytes: 0, readOnly: true };

export interface LifelineOptions {
  readonly core: Core;
  readonly transport: Transport;
  readonly options: CheckedOptions;
  readonly clock: Clock;
  readonly entropy: Entropy;
  /** After each change, when everything already is as the new state says. */
  readonly onState: (state: DriverState, cause: StoreError | undefined) => void;
  readonly onResized: (sizeBytes: number) => void;
}

type AttemptOutcome = (error: StoreError | undefined) => void;
type Resume = NonNullable<AttachMessage['resume']>;

export class Lifeline {
  readonly #core: Core;
  readonly #transport: Transport;
  readonly #options: CheckedOptions;
  readonly #clock: Clock;
  readonly #backoff: Backoff;
  readonly #onState: LifelineOptions['onState'];
  readonly #onResized: LifelineOptions['onResized'];

  #state: DriverState = 'host-lost';
  #volume: VolumeFacts = NO_VOLUME;
  #session: Session | undefined;
  /** Who we are to the host: unset before the first attach, and after a changed incarnation. */
  #resume: Resume | undefined;
  #epoch = 0;

  /** Set while an attempt is under way: called once with its outcome. */
  #onAttempt: AttemptOutcome | undefined;
  #asked: boolean = false;
  #attemptDeadlineUs = 0;
  #attemptTimer: Timer | undefined;
  #nextAttemptUs = 0;
  #nextAttemptTimer: Timer | undefined;
  #lossDeadlineUs = Number.POSITIVE_INFINITY;
  #lossTimer: Timer | undefined;
  /** Called when the session that is leaving has ended. */
  #onLeft: (() => void) | undefined;

  constructor({ core, transport, options, clock, entropy, onState, onResized }: LifelineOptions) {
    this.#core = core;
    this.#transport = transport;
    this.#options = options;
    this.#clock = clock;
    this.#backoff = new Backoff(entropy);
    this.#onState = onState;
    this.#onResized = onResized;
  }

  get state(): DriverState {
    return this.#state;
  }

  get volume(): VolumeFacts {
    return this.#volume;
  }

  set volume(volume: VolumeFacts) {
    const resized = volume.sizeBytes !== this.#volume.sizeBytes;
    this.#volume = volume;
    if (resized) this.#onResized(volume.sizeBytes);
  }

  /** One attempt to attach. @throws StoreError why it did not work; the state is as before. */
  attach(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#dropAttempt(new StoreError('cancelled'));
      this.#begin(true, (error) => {
        if (error === undefined) {
          resolve();
          return;
        }
        this.#searchOn();
        reject(error);
      });
    });
  }

  /** The same, blocking the thread. */
  attachSync(): void {
    let outcome: { error: StoreError | undefined } | undefined;
    this.#dropAttempt(new StoreError('cancelled'));
    this.#begin(true, (error) => {
      outcome = { error };
    });
    // The callback may run within the call above, which the compiler cannot see.
    const settled = (): typeof outcome => outcome;
    while (settled() === undefined) this.#stepAttempt(Number.POSITIVE_INFINITY);
    const error = settled()?.error;
    if (error === undefined) return;
    this.#searchOn();
    throw error;
  }

  /** Handles what the host has sent, for a thread that blocks or spins. */
  poll(): void {
    this.#session?.poll();
  }

  /**
   * For a blocked thread while no host serves: takes the next step of the search, or sleeps until
   * it is due, at most until `untilUs` on the clock.
   */
  stepSync(untilUs: number): void {
    if (this.#state !== 'reattaching') return;
    const nowUs = this.#clock.nowUs();
    if (nowUs >= this.#lossDeadlineUs) {
      this.#passDeadline();
      return;
    }
    if (this.#onAttempt !== undefined) {
      this.#stepAttempt(untilUs);
      return;
    }
    if (nowUs >= this.#nextAttemptUs) {
      this.#tryAgain();
      return;
    }
    this.#sleep(Math.min(untilUs, this.#nextAttemptUs, this.#lossDeadlineUs) - nowUs);
  }

  /** The host broke the protocol: nothing more of it is believed, and no other is looked for. */
  distrust(error: StoreError): void {
    this.#session?.close(error);
    this.#fail(error);
  }

  /** Tells the host that we leave, and calls back once it has let go of the region, or is gone. */
  detach(onLeft: () => void): void {
    this.#stopSearch();
    const session = this.#session;
    if (session === undefined || session.state !== 'serving') {
      onLeft();
      return;
    }
    this.#onLeft = onLeft;
    session.hold(true);
    session.detach();
  }

  /** The end. The host may not have let go of the region; it is freed on this side all the same. */
  close(): void {
    if (this.#state === 'closed') return;
    this.#stopSearch();
    const error = new StoreError('closed');
    this.#session?.close(error);
    this.#core.serving = false;
    this.#core.abandon(error);
    this.#core.refusal = error;
    setGuestState(this.#transport.region, GuestState.CLOSED, this.#epoch);
    this.#transport.release();
    this.#change('closed', undefined);
  }

  #change(state: DriverState, cause: StoreError | undefined): void {
    this.#state = state;
    this.#onState(state, cause);
  }

  // Attempts ------------------------------------------------------------------------------------

  /** `asked`: a caller waits for the outcome, so the process lives on for it. */
  #begin(asked: boolean, onAttempt: AttemptOutcome): void {
    assert(this.#onAttempt === undefined, 'one attempt at a time');
    this.#onAttempt = onAttempt;
    this.#asked = asked;
    try {
      const link = this.#transport.openLink();
      const { attachHandles } = this.#transport;
      this.#session = new Session(link, this.#attachMessage(), attachHandles, {
        onChange: (session) => this.#sessionChanged(session),
        onResized: (sizeBytes) => {
          this.volume = { ...this.#volume, sizeBytes };
        },
      });
      this.#session.hold(asked);
    } catch (error) {
      if (!(error instanceof StoreError)) throw error;
      this.#settleAttempt(error);
      return;
    }
    const { attachTimeoutMs } = this.#options;
    this.#attemptDeadlineUs = this.#clock.nowUs() + attachTimeoutMs * US_PER_MS;
    const timedOut = () => this.#timeOutAttempt();
    this.#attemptTimer = this.#clock.after(attachTimeoutMs, timedOut, { hold: false });
  }

  #attachMessage(): AttachMessage {
    const { volume, mode } = this.#options;
    const { geometry } = this.#core.layout;
    return {
      type: 'attach',
      protocolVersion: PROTOCOL_VERSION,
      fingerprint: CHANNEL_FINGERPRINT,
      featuresOffered: FEATURES_KNOWN,
      featuresRequired: 0,
      geometry,
      mode,
      epoch: this.#epoch + 1,
      ...(volume === undefined ? {} : { volume }),
      ...(this.#resume === undefined ? {} : { resume: this.#resume }),
    };
  }

  #settleAttempt(error: StoreError | undefined): void {
    this.#attemptTimer?.cancel();
    const onAttempt = this.#onAttempt;
    this.#onAttempt = undefined;
    onAttempt?.(error);
  }

  #timeOutAttempt(): void {
    const { attachTimeoutMs: timeoutMs, host } = this.#options;
    const where = typeof host === 'string' ? { socket: host } : {};
    const error = new StoreError('timed_out', { step: 'attach', timeoutMs, ...where });
    this.#session?.close(error);
    this.#settleAttempt(error);
  }

  /** Ends an attempt under way. Only a caller that waits for it is told. */
  #dropAttempt(error: StoreError): void {
    this.#nextAttemptTimer?.cancel();
    const onAttempt = this.#onAttempt;
    if (onAttempt === undefined) return;
    this.#onAttempt = undefined;
    this.#attemptTimer?.cancel();
    this.#session?.close(error);
    if (this.#asked) onAttempt(error);
  }

  #stepAttempt(untilUs: number): void {
    this.#session?.poll();
    if (this.#onAttempt === undefined) return;
    const nowUs = this.#clock.nowUs();
    if (nowUs >= this.#attemptDeadlineUs) {
      this.#timeOutAttempt();
      return;
    }
    this.#sleep(Math.min(ANSWER_POLL_MS * US_PER_MS, untilUs - nowUs));
  }

  #sleep(us: number): void {
    const { sleeper } = this.#transport;
    sleeper.arm();
    if (us > 0) sleeper.sleep(us / US_PER_MS);
  }

  #sessionChanged(session: Session): void {
    if (session !== this.#session) return;
    if (session.state === 'attached') {
      this.#adopt(session);
      return;
    }
    const error = session.end ?? new StoreError('host_lost');
    if (this.#onAttempt !== undefined) {
      this.#settleAttempt(error);
      return;
    }
    if (this.#onLeft !== undefined) {
      const onLeft = this.#onLeft;
      this.#onLeft = undefined;
      onLeft();
      return;
    }
    this.#lose(error);
  }

  /** The next host has the region, and the one before can no longer touch it. */
  #adopt(session: Session): void {
    const { grant } = session;
    assert(grant !== undefined, 'an attached session has a grant');
    const { message, hostBell } = grant;
    try {
      const bell = this.#transport.adoptHostBell(hostBell);
      this.#checkGrant(message);
      this.#core.drain();
      // Known to nobody there, our commands would not be done once: they end, done or not.
      if (this.#resume !== undefined && !message.resumed) {
        const reason = 'the host does not know this guest any more';
        this.#core.abandonInFlight(new StoreError('host_lost', { reason }));
      }
      this.#epoch++;
      setGuestState(this.#transport.region, GuestState.ATTACHED, this.#epoch);
      this.#core.queue.replay(bell);
    } catch (error) {
      if (!(error instanceof StoreError)) throw error;
      session.close(error);
      this.#settleAttempt(error);
      return;
    }
    const { guestId, secret, incarnation } = message;
    this.#resume = { guestId, secret, incarnation };
    this.#backoff.reset();
    this.#lossTimer?.cancel();
    this.#lossDeadlineUs = Number.POSITIVE_INFINITY;
    session.hold(false);
    session.start(this.#epoch);
    this.#core.revive();
    this.#core.pump();
    this.#state = 'attached';
    if (message.volume !== undefined) {
      const { id: volumeId, name, sizeBytes, readOnly } = message.volume;
      this.volume = { name, volumeId, sizeBytes, readOnly };
    }
    this.#settleAttempt(undefined);
    this.#change('attached', undefined);
  }

  #checkGrant(message: AttachedMessage): void {
    const { volume } = this.#options;
    if (volume !== undefined && message.volume === undefined) {
      throw new StoreError('protocol_violation', { attachedWithout: 'volume' });
    }
    const known = this.#resume;
    if (known === undefined || known.incarnation === message.incarnation) return;
    throw new StoreError('incarnation_changed', {
      guestKnew: known.incarnation,
      hostHas: message.incarnation,
    });
  }

  // Loss and search -----------------------------------------------------------------------------

  #lose(error: StoreError): void {
    this.#core.serving = false;
    setGuestState(this.#transport.region, GuestState.RECOVERING, this.#epoch);
    try {
      this.#core.drain();
    } catch (damage) {
      if (!(damage instanceof StoreError)) throw damage;
      this.#fail(damage);
      return;
    }
    if (error.reaction !== 'retry') {
      this.#fail(error);
      return;
    }
    this.#change('host-lost', error);
    if (this.#state !== 'host-lost') return;
    if (this.#options.onHostLoss === 'fail') {
      this.#fail(error.code === 'host_lost' ? error : hostLost(error));
      return;
    }
    const { hostLossDeadlineMs } = this.#options;
    this.#lossDeadlineUs = this.#clock.nowUs() + hostLossDeadlineMs * US_PER_MS;
    const passed = () => this.#passDeadline();
    this.#lossTimer = this.#clock.after(hostLossDeadlineMs, passed, { hold: false });
    this.#state = 'reattaching';
    this.#schedule();
    this.#change('reattaching', error);
  }

  /** What waits has waited long enough; the next host is still welcome. */
  #passDeadline(): void {
    this.#lossTimer?.cancel();
    this.#lossDeadlineUs = Number.POSITIVE_INFINITY;
    const waitedMs = this.#options.hostLossDeadlineMs;
    const error = new StoreError('host_lost', { waitedMs });
    this.#core.refusal = error;
    this.#core.abandon(error);
  }

  #fail(error: StoreError): void {
    this.#stopSearch();
    // What we knew of the pool is void: whoever reconnects is a new guest to it.
    if (error.code === 'incarnation_changed') this.#resume = undefined;
    this.#core.serving = false;
    this.#core.refusal = error;
    this.#core.abandon(error);
    this.#change('failed', error);
  }

  #schedule(): void {
    const delayMs = this.#backoff.next();
    this.#nextAttemptUs = this.#clock.nowUs() + delayMs * US_PER_MS;
    this.#nextAttemptTimer?.cancel();
    const tryAgain = () => this.#tryAgain();
    this.#nextAttemptTimer = this.#clock.after(delayMs, tryAgain, { hold: false });
  }

  #tryAgain(): void {
    this.#nextAttemptTimer?.cancel();
    if (this.#state !== 'reattaching' || this.#onAttempt !== undefined) return;
    this.#begin(false, (error) => {
      if (error === undefined) return;
      if (error.reaction === 'retry') this.#schedule();
      else this.#fail(error);
    });
  }

  #searchOn(): void {
    if (this.#state === 'reattaching') this.#schedule();
  }

  #stopSearch(): void {
    this.#lossTimer?.cancel();
    this.#lossDeadlineUs = Number.POSITIVE_INFINITY;
    this.#dropAttempt(new StoreError('closed'));
  }
}

function hostLost(cause: StoreError): StoreError {
  return new StoreError('host_lost', { reason: cause.code }, { cause });
}
