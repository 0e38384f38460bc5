/**
 * The log of a namespace as it was written, kept beside a store whose compactor deletes segments: each file is linked a second time while
 * it is there. So at the end the stamp of every batch is known, also of those that no one was told of.
 */
import { existsSync, linkSync, mkdirSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fromKey } from '../../src/base/key.ts';
import type { Stamp } from '../../src/base/stamp.ts';
import { nodeSystem } from '../../src/base/system.ts';
import { decodeValue } from '../../src/base/value.ts';
import { namespaceLayout } from '../../src/format/layout.ts';
import { listLog } from '../../src/log/log-listing.ts';
import { SegmentReader } from '../../src/log/segment-reader.ts';
import { FileMedium } from '../../src/medium/file-medium.ts';
import { runAsync } from '../../src/medium/steps.ts';

/** A batch as it stands in the log. Values are texts; null where a key was deleted. */
export interface LoggedBatch {
  readonly segment: string;
  readonly end: number;
  readonly stamp: Stamp;
  readonly writes: Readonly<Record<string, string | null>>;
}

const POLL_MS = 60;

export class LogArchive {
  readonly #namespace: string;
  readonly #from: string;
  readonly #directory: string;
  readonly #kept = new Set<string>();
  readonly #stop = new AbortController();
  readonly #keeping: Promise<void>;

  /** Keeps what is in the log of `namespace` from now on, in `directory`, which must be on the same file system as the store. */
  constructor(store: string, namespace: string, directory: string) {
    this.#namespace = namespace;
    this.#from = join(store, namespaceLayout(namespace).log);
    this.#directory = directory;
    this.#keeping = this.#keep();
  }

  async #keep(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      this.#linkAll();
      await delay(POLL_MS, undefined, { signal: this.#stop.signal }).catch(() => {});
    }
    this.#linkAll();
  }

  #linkAll(): void {
    if (!existsSync(this.#from)) return;
    for (const entry of readdirSync(this.#from, { withFileTypes: true })) {
      // Records are named otherwise, and are deleted too soon to be kept.
      if (!/^\d/.test(entry.name)) continue;
      if (entry.isFile()) this.#link(entry.name);
      else for (const part of partsIn(join(this.#from, entry.name))) this.#link(join(entry.name, part));
    }
  }

  #link(name: string): void {
    if (this.#kept.has(name)) return;
    const to = join(this.#directory, namespaceLayout(this.#namespace).log, name);
    mkdirSync(dirname(to), { recursive: true });
    try {
      linkSync(join(this.#from, name), to);
      this.#kept.add(name);
    } catch (error) {
      // It was deleted since it was listed: then it has been kept, or will be missed.
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    }
  }

  /** Stops keeping, and reads all of it. @param toText what a value says */
  async read(toText: (value: unknown) => string): Promise<LoggedBatch[]> {
    this.#stop.abort();
    await this.#keeping;
    const layout = namespaceLayout(this.#namespace);
    const medium = FileMedium.open(this.#directory, { readOnly: true });
    const context = { medium, system: nodeSystem };
    const batches: LoggedBatch[] = [];
    for (const { text, parts } of (await runAsync(listLog(layout), context)).segments.values()) {
      const reader = new SegmentReader(layout, text, { framed: parts !== undefined });
      for (const { stamp, end, entries } of (await runAsync(reader.read({ parts }), context)) ?? []) {
        const written = entries.map(({ key, value }) => [fromKey(key), value === undefined ? null : toText(decodeValue(value))]);
        batches.push({ segment: text, end, stamp, writes: Object.fromEntries(written) as Record<string, string | null> });
      }
    }
    await medium.close();
    return batches;
  }
}

function partsIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}
