/** What an open store has to do with locks of callers; loaded when the first is asked for. */
import { assert } from '../base/errors.ts';
import type { System } from '../base/system.ts';
import type { StoreFile } from '../format/store-file.ts';
import type { Medium } from '../medium/medium.ts';
import { type BrokenLock, breakLock, type LockInfo, type LockListContext, type LockReference, listLocks } from './lock-list.ts';
import { openLockPlace } from './lock-place.ts';
import type { LockTracer } from './lock-tracer.ts';
import { NamedLocks } from './named-locks.ts';
import type { OwedMarkers } from './owed-markers.ts';
import { nodeProcessFacts } from './process-facts.ts';
import { nodeSignalRelease } from './signal-release.ts';

export interface StoreLocksContext {
  readonly medium: Medium;
  readonly system: System;
  readonly file: StoreFile;
  readonly readOnly: boolean;
  readonly tracer?: LockTracer | undefined;
  /** Of all locks that are taken through the store, those of the engine, too. */
  readonly owed: OwedMarkers;
}

export class StoreLocks {
  readonly #context: StoreLocksContext;
  /** Where locks are, if not in the store. Opened here, and closed here. */
  #place: Medium | undefined;
  #named: NamedLocks | undefined;

  constructor(context: StoreLocksContext) {
    this.#context = context;
  }

  /** Where the locks of callers and of stripes are taken. @throws PeatError `MEDIUM_UNSUITABLE` if that directory is not there. */
  get medium(): Medium {
    const medium = this.#find();
    assert(medium !== undefined, 'only a store that is read may have no place for locks');
    return medium;
  }

  /** @throws as `medium` does */
  get named(): NamedLocks {
    const { system, file, tracer, owed } = this.#context;
    this.#named ??= new NamedLocks({
      medium: this.medium,
      system,
      facts: nodeProcessFacts(),
      storeId: file.storeId,
      environment: process.env,
      signals: nodeSignalRelease(),
      tracer,
      owed,
    });
    return this.#named;
  }

  async list(): Promise<LockInfo[]> {
    return await listLocks(this.#listContext());
  }

  async break(lock: LockReference, token: number): Promise<BrokenLock> {
    return await breakLock(this.#listContext(), { lock, token });
  }

  /** Gives back what is held. @throws as `NamedLocks.close` does, when all is closed */
  async close(): Promise<void> {
    try {
      await (this.#named ?? this.#context.owed).close();
    } finally {
      await this.#place?.close();
    }
  }

  #find(): Medium | undefined {
    const { file, medium } = this.#context;
    const { lockDir } = file;
    if (lockDir === undefined) return medium;
    this.#place ??= openLockPlace({ ...file, lockDir }, this.#context);
    return this.#place;
  }

  #listContext(): LockListContext {
    const { medium, system } = this.#context;
    const place = this.#find();
    return { mediumOf: (kind) => (kind === 'compactor' ? medium : place), system, facts: nodeProcessFacts() };
  }
}
