/**
 * Wakes who waits for changes: by events where the medium has a local folder, else by time alone.
 *
 * Events are hints. Some are lost (another host's changes on a network file system, a full queue), so a waiter always looks
 * again after a while by itself. chokidar takes one inotify watch for each file of a folder; folders that hold many
 * files are left to polling.
 *
 * Events cost those who write, too: each append is an interrupt, and work, for a processor that another writer might use. Who will look
 * again soon anyway lets the waker rest until then.
 */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { FSWatcher } from 'chokidar';
import type { System } from '../base/system.ts';
import type { Medium } from './medium.ts';

const FILES_MAX = 1024;

export interface WakerOptions {
  /** How long `wait` sleeps at most where events come. */
  readonly withEventsMs: number;
  /** How long `wait` sleeps where none do. */
  readonly pollMs: number;
}

export class Waker {
  readonly #system: System;
  readonly #options: WakerOptions;
  readonly #depth: number;
  #watcher: FSWatcher | undefined;
  #wake: (() => void) | undefined;
  #isPending = false;
  #folders: readonly string[] = [];
  /** Folders to watch that are not there yet, or too large, or all while the waker rests. */
  #unwatched: readonly string[] = [];
  #isClosed = false;

  private constructor(context: { medium: Medium; system: System }, options: WakerOptions) {
    this.#system = context.system;
    this.#depth = context.medium.canAppend ? 0 : 1;
    this.#options = options;
  }

  /** Watches the folders of the given prefixes, if the medium has such. */
  static async open(context: { medium: Medium; system: System; prefixes: readonly string[] }, options: WakerOptions): Promise<Waker> {
    const waker = new Waker(context, options);
    const directory = context.medium.localDirectory;
    if (directory === undefined) return waker;
    waker.#folders = context.prefixes.map((prefix) => join(directory, prefix));
    waker.#unwatched = waker.#folders;
    await waker.#watchMore();
    return waker;
  }

  /** True if events of all folders come. */
  get hasEvents(): boolean {
    return this.#watcher !== undefined && this.#unwatched.length === 0;
  }

  /** Watches folders that have come to be since, or have become small enough. */
  async #watchMore(): Promise<void> {
    const folders = this.#unwatched.filter(isSmall);
    if (folders.length === 0 || this.#isClosed) return;
    this.#unwatched = this.#unwatched.filter((folder) => !folders.includes(folder));
    if (this.#watcher !== undefined) {
      this.#watcher.add(folders);
      return;
    }
    const { watch } = await import('chokidar');
    // Where segments are folders, what is appended is a new file in one of them.
    // Nor must it keep the process alive: a watch that is closed while files come and go may leave something behind. Waits do, as long as they last.
    const watcher = watch(folders, { ignoreInitial: true, depth: this.#depth, persistent: false });
    watcher.on('all', () => this.wake());
    watcher.on('error', () => {
      if (this.#watcher === watcher) void this.#stopWatching();
    });
    this.#watcher = watcher;
    // What changed before the watch began made no event.
    watcher.on('ready', () => {
      if (this.#watcher === watcher) this.wake();
    });
  }

  /** Ends the current wait, or the next one. */
  wake(): void {
    this.#isPending = true;
    this.#wake?.();
  }

  /** Resolves when something may have changed, or after `ms` (default: as the options say). Never rejects because of time. */
  async wait(options: { ms?: number; signal?: AbortSignal | undefined } = {}): Promise<void> {
    if (this.#unwatched.length > 0) await this.#watchMore();
    const ms = options.ms ?? (this.hasEvents ? this.#options.withEventsMs : this.#options.pollMs);
    const controller = new AbortController();
    const signal = options.signal === undefined ? controller.signal : AbortSignal.any([controller.signal, options.signal]);
    this.#wake = () => controller.abort();
    if (this.#isPending) controller.abort();
    try {
      await this.#system.sleep(ms, { signal });
    } catch (error) {
      options.signal?.throwIfAborted();
      if (!controller.signal.aborted) throw error;
    } finally {
      this.#wake = undefined;
      this.#isPending = false;
    }
  }

  /**
   * Takes no events until the next `wait`, which ends once they come again, since what changed in between made none: for who looks again
   * without being woken, and only waits after a look that found nothing. False, and nothing is done, where events don't come anyway.
   */
  rest(): boolean {
    if (!this.hasEvents) return false;
    this.#unwatched = this.#folders;
    this.#isPending = false;
    void this.#stopWatching();
    return true;
  }

  async #stopWatching(): Promise<void> {
    const watcher = this.#watcher;
    this.#watcher = undefined;
    const closed = watcher?.close();
    // Closing takes the listeners off, and an error without one would end the process.
    watcher?.on('error', () => undefined);
    await closed;
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#stopWatching();
    this.wake();
  }
}

function isSmall(folder: string): boolean {
  try {
    return readdirSync(folder).length <= FILES_MAX;
  } catch {
    // A folder that is not there yet can't be watched; polling finds it.
    return false;
  }
}
