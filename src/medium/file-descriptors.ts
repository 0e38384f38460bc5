/**
 * Open descriptors of files that are read in parts, most recently used last. A name is never given to
 * another file, and a file only grows, so a descriptor stays right for as long as the file is there.
 *
 * A descriptor that a read is using (`users`) is not closed under it: its number might already belong to
 * another file. Whoever takes it out of the cache last closes it.
 */
import { closeSync } from 'node:fs';

export interface OpenFile {
  readonly fd: number;
  /** Names that the file had when it was opened. When that has changed, the name may be gone. */
  readonly links: number;
  /** Reads under way. */
  users: number;
  dropped: boolean;
}

export class FileDescriptors {
  readonly #max: number;
  readonly #files = new Map<string, OpenFile>();

  constructor(max: number) {
    this.#max = max;
  }

  get size(): number {
    return this.#files.size;
  }

  find(name: string): OpenFile | undefined {
    const file = this.#files.get(name);
    if (file === undefined) return undefined;
    this.#files.delete(name);
    this.#files.set(name, file);
    return file;
  }

  /** Takes over a descriptor; another of the same name is let go. */
  add(name: string, { fd, links }: { fd: number; links: number }): void {
    this.drop(name);
    this.#files.set(name, { fd, links, users: 0, dropped: false });
    for (const oldest of this.#files.keys()) {
      if (this.#files.size <= this.#max) break;
      this.drop(oldest);
    }
  }

  drop(name: string): void {
    const file = this.#files.get(name);
    if (file === undefined) return;
    this.#files.delete(name);
    file.dropped = true;
    this.#closeIfUnused(file);
  }

  acquire(file: OpenFile): void {
    file.users++;
  }

  release(file: OpenFile): void {
    file.users--;
    this.#closeIfUnused(file);
  }

  clear(): void {
    for (const name of this.#files.keys()) this.drop(name);
  }

  #closeIfUnused(file: OpenFile): void {
    if (!file.dropped || file.users > 0) return;
    try {
      closeSync(file.fd);
    } catch {
      // It was only read from: nothing is lost.
    }
  }
}
