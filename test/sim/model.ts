/**
 * What a pool may show, given what was asked of it and what it answered.
 *
 * Each change has a moment when it was submitted, one by which it is known to be visible, one when
 * its completion was seen, and one from which it must survive the loss of power. Change a comes
 * before b if a was visible before b was submitted; otherwise either order is right.
 *
 *   read     shows, per sector, a change that nothing comes between: no other that follows it and
 *            was visible before the read began
 *   recovery shows a prefix of one order of all changes: a set that holds what must survive and,
 *            with any change, all that come before it. Changes are there whole or not at all.
 *
 * After a recovery was checked, what was seen is the new ground. A change that was in flight and
 * was seen is done: if it is submitted again and takes effect again, its sectors show a version
 * that is no longer possible (R25).
 */
import { ZERO_VERSION } from './sector-data.ts';

const NEVER = Number.POSITIVE_INFINITY;

/** A write, or zeros if its version is `ZERO_VERSION`. */
export interface Change {
  readonly label: string;
  readonly volume: VolumeModel;
  readonly version: number;
  readonly firstSector: number;
  readonly sectorCount: number;
  readonly submittedAt: number;
  visibleAt: number;
  completedAt: number;
  durableAt: number;
  /** It is part of the ground: it may not take effect again. */
  settled: boolean;
  /**
   * It was in flight through a recovery and may be part of the ground, hidden by changes that ran
   * beside it. Then it need not show when it completes: it must not take effect twice.
   */
  maybeGround: boolean;
}

/** The code under test showed what it must not. */
export class ModelViolation extends Error {
  override readonly name = 'ModelViolation';
}

export class VolumeModel {
  readonly name: string;
  /** Tags the data, so that a sector of another volume is noticed. */
  readonly tag: number;
  /** Version per sector, as it was last known without doubt. */
  ground: Float64Array;
  /** Changes since that may concern a sector. */
  readonly changesOf: Change[][];

  constructor(name: string, tag: number, sectorCount: number) {
    this.name = name;
    this.tag = tag;
    this.ground = new Float64Array(sectorCount).fill(ZERO_VERSION);
    this.changesOf = Array.from({ length: sectorCount }, () => []);
  }

  get sectorCount(): number {
    return this.ground.length;
  }

  /** Sectors past a smaller end are gone; new ones are zeros. Nothing may be in flight. */
  resize(sectorCount: number): void {
    const ground = new Float64Array(sectorCount).fill(ZERO_VERSION);
    ground.set(this.ground.subarray(0, Math.min(sectorCount, this.ground.length)));
    this.ground = ground;
    this.changesOf.length = Math.min(sectorCount, this.changesOf.length);
    while (this.changesOf.length < sectorCount) this.changesOf.push([]);
  }
}

/** What a recovery shows of one volume: versions by sector. */
export type Observation = ReadonlyMap<VolumeModel, Float64Array>;

export class PoolModel {
  #now = 0;
  #changes = new Set<Change>();

  /** Time is a count of events. */
  tick(): number {
    this.#now += 1;
    return this.#now;
  }

  submit(
    label: string,
    volume: VolumeModel,
    version: number,
    firstSector: number,
    sectorCount: number,
  ): Change {
    const change: Change = {
      label,
      volume,
      version,
      firstSector,
      sectorCount,
      submittedAt: this.tick(),
      visibleAt: NEVER,
      completedAt: NEVER,
      durableAt: NEVER,
      settled: false,
      maybeGround: false,
    };
    this.#changes.add(change);
    for (let i = 0; i < sectorCount; i++) volume.changesOf[firstSector + i]?.push(change);
    return change;
  }

  complete(change: Change, durable: boolean): void {
    const now = this.tick();
    change.completedAt = now;
    change.visibleAt = Math.min(change.visibleAt, now);
    if (durable) change.durableAt = now;
  }

  /** It was refused, and must never show. */
  refuse(change: Change): void {
    this.#changes.delete(change);
    this.#forgetIn(change);
  }

  /** All that completed before `submittedAt` is durable now. */
  completeFlush(submittedAt: number): void {
    const now = this.tick();
    for (const change of this.#changes) {
      if (change.completedAt < submittedAt) change.durableAt = Math.min(change.durableAt, now);
    }
  }

  /** A recovery is done: what it shows has been synced (R4). */
  completeRecovery(): void {
    this.completeFlush(this.tick());
  }

  /** Checks one sector of a read that ran from `submittedAt` until now. */
  checkRead(volume: VolumeModel, sector: number, version: number, submittedAt: number): void {
    const now = this.tick();
    const changes = volume.changesOf[sector] ?? [];
    const follows = (earlierAt: number) =>
      changes.find((later) => earlierAt < later.submittedAt && later.visibleAt < submittedAt);
    const fitting = changes.filter(
      (change) => !change.settled && change.version === version && !follows(change.visibleAt),
    );
    const groundIsReplaced = changes.some(
      (later) => !later.maybeGround && later.visibleAt < submittedAt,
    );
    const groundFits = volume.ground[sector] === version && !groundIsReplaced;
    if (fitting.length === 0 && !groundFits) {
      throw new ModelViolation(`read shows ${this.#describe(volume, sector, version)}`);
    }
    const [only] = fitting;
    if (fitting.length === 1 && !groundFits && only !== undefined) {
      only.visibleAt = Math.min(only.visibleAt, now);
      only.maybeGround = false;
    }
  }

  /** Checks what a recovery shows, and makes it the ground. `powerLost`: the bank was, too. */
  checkRecovery(observation: Observation, powerLost: boolean): void {
    const present = this.#requirePresent(observation, powerLost);
    let boundAt = 0;
    for (const change of present) boundAt = Math.max(boundAt, change.submittedAt);
    const isIn = (change: Change) => present.has(change) || change.visibleAt < boundAt;
    for (const [volume, versions] of observation) {
      for (const [sector, version] of versions.entries()) {
        this.#checkSector(volume, sector, version, isIn);
      }
    }
    this.#settle(observation, present, powerLost);
  }

  /** What must be there, and what is there for all to see. */
  #requirePresent(observation: Observation, powerLost: boolean): Set<Change> {
    const present = new Set<Change>();
    for (const change of this.#changes) {
      const dueAt = powerLost ? change.durableAt : change.completedAt;
      if (dueAt !== NEVER) present.add(change);
    }
    for (const [volume, versions] of observation) {
      for (const [sector, version] of versions.entries()) {
        if (volume.ground[sector] === version) continue;
        const shown = (volume.changesOf[sector] ?? []).filter(
          (change) => change.version === version && !change.settled,
        );
        const [only] = shown;
        if (shown.length !== 1 || only === undefined) continue;
        present.add(only);
        only.maybeGround = false;
      }
    }
    return present;
  }

  #checkSector(
    volume: VolumeModel,
    sector: number,
    version: number,
    isIn: (change: Change) => boolean,
  ): void {
    const changes = volume.changesOf[sector] ?? [];
    const replaced = (visibleAt: number) =>
      changes.find((later) => visibleAt < later.submittedAt && isIn(later));
    const groundReplacedBy = changes.find((later) => !later.maybeGround && isIn(later));
    if (volume.ground[sector] === version && groundReplacedBy === undefined) return;
    let lost = groundReplacedBy;
    for (const change of changes) {
      if (change.version !== version || change.settled) continue;
      const replacedBy = replaced(change.visibleAt);
      if (replacedBy === undefined) return;
      lost = replacedBy;
    }
    const shows = this.#describe(volume, sector, version);
    throw new ModelViolation(`recovery shows ${shows}; missing: ${lost?.label ?? 'nothing'}`);
  }

  #settle(observation: Observation, present: Set<Change>, powerLost: boolean): void {
    const carried: Change[] = [];
    for (const change of this.#changes) {
      const inFlight = change.completedAt === NEVER && !powerLost;
      if (inFlight && !present.has(change)) carried.push(change);
    }
    const hidden = carried.filter((change) => mayBeHidden(change, observation));
    for (const change of carried) change.maybeGround = hidden.includes(change);
    for (const change of this.#changes) {
      if (carried.includes(change)) continue;
      change.settled = true;
      this.#changes.delete(change);
      this.#forgetIn(change);
    }
    for (const [volume, versions] of observation) volume.ground = versions.slice();
  }

  #forgetIn({ volume, firstSector, sectorCount }: Change): void {
    for (let i = firstSector; i < firstSector + sectorCount; i++) {
      const changes = volume.changesOf[i];
      if (changes !== undefined) {
        volume.changesOf[i] = changes.filter((change) => this.#changes.has(change));
      }
    }
  }

  #describe(volume: VolumeModel, sector: number, version: number): string {
    const changes = (volume.changesOf[sector] ?? []).map(
      ({ label, submittedAt, visibleAt, completedAt, durableAt }) =>
        `${label}[${submittedAt},${visibleAt},${completedAt},${durableAt}]`,
    );
    const ground = volume.ground[sector] ?? -1;
    return `version ${version} in sector ${sector} of ${volume.name}, ground ${ground}, changes ${changes.join(' ')}`;
  }
}

/** Whether a change may have taken effect although no sector shows it. */
function mayBeHidden(change: Change, observation: Observation): boolean {
  const { volume, firstSector, sectorCount, version, submittedAt } = change;
  const versions = observation.get(volume);
  for (let sector = firstSector; sector < firstSector + sectorCount; sector++) {
    const shown = versions?.[sector];
    if (shown === version) continue;
    if (change.maybeGround && volume.ground[sector] === shown) continue;
    const over = (volume.changesOf[sector] ?? []).some(
      (other) => other !== change && other.version === shown && other.visibleAt >= submittedAt,
    );
    if (!over) return false;
  }
  return true;
}
