/**
 * The newest root as a writer knows it: read before the first append, again when it is half a minute old, and at each post-check.
 *
 * What always holds: appends go only to a namespace that is live and whose features this release knows; and before the first
 * acknowledgement, the root that leads readers to it is durable.
 */
import { assert, isPeatError, PeatError } from '../base/errors.ts';
import type { System } from '../base/system.ts';
import { checkWriterFeatures } from '../format/features.ts';
import { type NamespaceLayout, rootName } from '../format/layout.ts';
import type { Root } from '../format/root.ts';
import { type Clocks, elapsedMs } from '../manifest/clocks.ts';
import { newestRoot, type RootReading } from '../manifest/newest-root.ts';
import type { Medium } from '../medium/medium.ts';
import { requireBlocking, runAsync, runBlocking, type Steps } from '../medium/steps.ts';

/** A root read longer ago is read again before an append. */
const ROOT_REFRESH_MS = 30_000;

export interface WriterRootOptions {
  /** Create the namespace if it is not there. */
  readonly create: boolean;
  /** Whether what is acknowledged must survive a power cut. */
  readonly durable: boolean;
  /** A root just read by the reader of the same handle, to spare a reading; undefined if it has none. */
  readonly knownRoot: () => RootReading | undefined;
  /** Told of stamp times that what is written next must be above (rule A5). */
  readonly observe: (time: number) => void;
}

export class WriterRoot {
  readonly #medium: Medium;
  readonly #system: System;
  readonly #clocks: Clocks;
  readonly #layout: NamespaceLayout;
  readonly #options: WriterRootOptions;
  #reading: RootReading | undefined;
  #isDoubtful = false;
  /** The first root of the namespace's life whose name is known to be durable. */
  #anchored = -1;
  reads = 0;

  constructor(context: { medium: Medium; system: System; layout: NamespaceLayout }, options: WriterRootOptions) {
    this.#medium = context.medium;
    this.#system = context.system;
    this.#clocks = context;
    this.#layout = context.layout;
    this.#options = options;
  }

  /** What was read last. */
  get reading(): RootReading {
    assert(this.#reading !== undefined, 'a root was read before the append');
    return this.#reading;
  }

  get root(): Root {
    return this.reading.root;
  }

  /** The namespace was dropped, or may have been: the root is read again before the next append. */
  doubt(): void {
    this.#isDoubtful = true;
  }

  /** Before an append: a root that is young enough, of a namespace that is live and durable. */
  async prepare(): Promise<void> {
    if (!this.#isFresh()) await this.#readOrCreate();
    if (!this.#needsAnchor()) return;
    await this.#medium.syncNames(this.#layout.root);
    this.#anchored = this.root.number;
  }

  prepareBlocking(): void {
    if (!this.#isFresh()) this.#readBlocking();
    if (!this.#needsAnchor()) return;
    requireBlocking(this.#medium).syncNames(this.#layout.root);
    this.#anchored = this.root.number;
  }

  /** Reads the newest root. @throws PeatError `NAMESPACE_NOT_FOUND`, `NAMESPACE_DROPPED`, `UNSUPPORTED_VERSION` */
  *read(): Steps<void> {
    this.reads++;
    const reading = yield* newestRoot(this.#layout, this.#clocks, this.#reading);
    if (reading === undefined) throw this.#missing('NAMESPACE_NOT_FOUND', `there is no namespace ${this.#layout.namespace}`);
    this.#adopt(reading);
    this.#isDoubtful = false;
  }

  #missing(code: 'NAMESPACE_NOT_FOUND' | 'NAMESPACE_DROPPED', message: string): PeatError {
    return new PeatError(code, message, { namespace: this.#layout.namespace });
  }

  #isFresh(): boolean {
    const known = this.#options.knownRoot();
    if (known !== undefined && known.readAt.monotonicMs > (this.#reading?.readAt.monotonicMs ?? -1)) this.#adopt(known);
    return !this.#isDoubtful && this.#reading !== undefined && elapsedMs(this.#clocks, this.#reading.readAt) < ROOT_REFRESH_MS;
  }

  #adopt(reading: RootReading): void {
    const { root } = reading;
    checkWriterFeatures(root, rootName(this.#layout, root.number));
    if (root.state === 'dropped') throw this.#missing('NAMESPACE_DROPPED', `namespace ${this.#layout.namespace} was dropped`);
    this.#reading = reading;
    this.#options.observe(root.maxStamp?.time ?? 0);
    this.#options.observe(root.dropFloor?.time ?? 0);
  }

  /** The first write through a handle may create the namespace; a drop that comes later is an error. */
  async #readOrCreate(): Promise<void> {
    const context = { medium: this.#medium, system: this.#system, layout: this.#layout };
    try {
      await runAsync(this.read(), context);
    } catch (error) {
      const missing = isPeatError(error, 'NAMESPACE_NOT_FOUND') || isPeatError(error, 'NAMESPACE_DROPPED');
      if (!missing || !this.#options.create || this.#reading !== undefined) throw error;
      const { createNamespace } = await import('../manifest/commit-root.ts');
      await createNamespace(context);
      await runAsync(this.read(), context);
    }
  }

  #readBlocking(): void {
    try {
      runBlocking(this.read(), { medium: this.#medium, system: this.#system });
    } catch (error) {
      if (!isPeatError(error, 'NAMESPACE_NOT_FOUND') || !this.#options.create) throw error;
      throw this.#missing(
        'NAMESPACE_NOT_FOUND',
        `there is no namespace ${this.#layout.namespace}, and a blocking write creates none; call createNamespace first`,
      );
    }
  }

  /**
   * The first root of a namespace may be seen before the process that puts it has synced its name, or died over it. Without that root,
   * nobody would look for what is acknowledged. Later roots need no such care: whoever puts one has synced the first (rule A15).
   */
  #needsAnchor(): boolean {
    const { number, horizon } = this.root;
    return this.#options.durable && number === horizon && number !== this.#anchored;
  }
}
