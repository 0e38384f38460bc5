/**
 * A bucket whose tables are cached on this machine. Only tables are: their names are never used again for other bytes (rule A14). Roots, the log
 * and locks are asked of the bucket, always.
 *
 * What is different from the bucket itself: a table that was deleted there may still be read here. Who may want one holds a root that
 * names it, and it is what that root means.
 */
import { NAMESPACES_PREFIX } from '../../format/layout.ts';
import type { AppendFile, ByteRange, ListedObject, ListOptions, Medium, PutOptions } from '../medium.ts';
import type { TableCache } from './table-cache.ts';

const TABLE = new RegExp(`^${NAMESPACES_PREFIX}[^/]+/shard/`);

export class CachedMedium implements Medium {
  readonly #origin: Medium;
  readonly #cache: TableCache;

  constructor(origin: Medium, cache: TableCache) {
    this.#origin = origin;
    this.#cache = cache;
  }

  get description(): string {
    return this.#origin.description;
  }

  get canAppend(): boolean {
    return this.#origin.canAppend;
  }

  get isRemote(): boolean {
    return this.#origin.isRemote;
  }

  get localDirectory(): string | undefined {
    return this.#origin.localDirectory;
  }

  /** Blocking calls would pass the cache by. */
  readonly blocking: undefined = undefined;

  async get(name: string, range?: ByteRange): Promise<Buffer | undefined> {
    // Nobody reads a whole file of tables but to copy or check it, which the bucket itself must answer.
    if (range === undefined || range.length === 0 || !TABLE.test(name)) return await this.#origin.get(name, range);
    return await this.#cache.get(name, range);
  }

  async getAgain(name: string, range: ByteRange): Promise<Buffer | undefined> {
    return TABLE.test(name) ? await this.#cache.getAgain(name, range) : await this.#origin.get(name, range);
  }

  async putIfAbsent(name: string, bytes: Uint8Array, options?: PutOptions): Promise<boolean> {
    return await this.#origin.putIfAbsent(name, bytes, options);
  }

  async list(prefix: string, options?: ListOptions): Promise<ListedObject[]> {
    return await this.#origin.list(prefix, options);
  }

  async listFolders(prefix: string): Promise<string[]> {
    return await this.#origin.listFolders(prefix);
  }

  async delete(names: readonly string[]): Promise<void> {
    await this.#origin.delete(names);
  }

  async openAppend(name: string): Promise<AppendFile> {
    return await this.#origin.openAppend(name);
  }

  async syncNames(prefix: string): Promise<void> {
    await this.#origin.syncNames(prefix);
  }

  async nowMs(): Promise<number | undefined> {
    return await this.#origin.nowMs();
  }

  lastAnsweredAtMs(): number | undefined {
    return this.#origin.lastAnsweredAtMs();
  }

  async close(): Promise<void> {
    await this.#cache.settle();
    await this.#origin.close();
  }
}
