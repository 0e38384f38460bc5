/**
 * A medium behind a link: each call takes a round trip, and the time that what it moves takes. What moves are whole objects, parts of objects, and
 * listings. That a name is durable needs no call: where objects come over a network, the answer says so.
 */
import type { AppendFile, ByteRange, ListedObject, ListOptions, Medium, PutOptions } from '../../src/medium/medium.ts';
import type { Link } from './link.ts';

/** A name in a listing, with what servers send beside it. */
const LISTED_BYTES = 200;

export class LinkMedium implements Medium {
  readonly canAppend = false;
  readonly isRemote = true;
  readonly blocking: undefined;
  readonly localDirectory: undefined;
  readonly #medium: Medium;
  readonly #link: Link;

  /** @param medium one whose segments are framed, as on any remote medium */
  constructor(medium: Medium, link: Link) {
    this.#medium = medium;
    this.#link = link;
  }

  get description(): string {
    return `${this.#medium.description}, over a link`;
  }

  async putIfAbsent(name: string, bytes: Uint8Array, options?: PutOptions): Promise<boolean> {
    await this.#link.transfer(bytes.length);
    return await this.#medium.putIfAbsent(name, bytes, options);
  }

  async get(name: string, range?: ByteRange): Promise<Buffer | undefined> {
    const bytes = await this.#medium.get(name, range);
    await this.#link.transfer(bytes?.length ?? 0);
    return bytes;
  }

  async list(prefix: string, options?: ListOptions): Promise<ListedObject[]> {
    const listed = await this.#medium.list(prefix, options);
    options?.onAnswer?.(this.lastAnsweredAtMs());
    await this.#link.transfer(listed.length * LISTED_BYTES);
    return listed;
  }

  async listFolders(prefix: string): Promise<string[]> {
    const listed = await this.#medium.listFolders(prefix);
    await this.#link.transfer(listed.length * LISTED_BYTES);
    return listed;
  }

  async delete(names: readonly string[]): Promise<void> {
    await this.#link.transfer(names.length * LISTED_BYTES);
    await this.#medium.delete(names);
  }

  openAppend(name: string): Promise<AppendFile> {
    return this.#medium.openAppend(name);
  }

  async syncNames(prefix: string): Promise<void> {
    await this.#medium.syncNames(prefix);
  }

  async nowMs(): Promise<number | undefined> {
    await this.#link.transfer(0);
    return await this.#medium.nowMs();
  }

  /** The bytes lie on this machine. */
  lastAnsweredAtMs(): number {
    return Date.now();
  }

  async close(): Promise<void> {
    await this.#medium.close();
  }
}
