/** A medium in memory that counts what crosses it: calls, and the bytes of objects, by the folder that they belong to. */
import { nodeSystem } from '../../src/base/system.ts';
import type { AppendFile, ByteRange, ListedObject, ListOptions, PutOptions } from '../../src/medium/medium.ts';
import { MemoryMedium } from '../../src/medium/memory-medium.ts';

export interface Traffic {
  /** Bytes of objects that were read, of objects that were put into `shard/`, and of what was put or appended elsewhere. */
  readonly read: number;
  readonly tables: number;
  readonly written: number;
  /** Calls that read, list, put or append. */
  readonly calls: number;
}

const NONE: Traffic = { read: 0, tables: 0, written: 0, calls: 0 };

/** It has no blocking calls, so that each call passes here. */
export class MeteredMedium extends MemoryMedium {
  #traffic: Traffic = NONE;

  constructor({ canAppend = true }: { canAppend?: boolean } = {}) {
    super({ system: nodeSystem, canAppend, blocking: false });
  }

  /** What crosses it while `work` runs. */
  async during(work: () => Promise<unknown>): Promise<Traffic> {
    this.#traffic = NONE;
    await work();
    return this.#traffic;
  }

  /** What all objects take. */
  async bytes(): Promise<number> {
    return (await this.list('', { stats: true })).reduce((sum, { size = 0 }) => sum + size, 0);
  }

  override async get(name: string, range?: ByteRange): Promise<Buffer | undefined> {
    const bytes = await super.get(name, range);
    this.#add({ read: bytes?.length ?? 0 });
    return bytes;
  }

  override list(prefix: string, options?: ListOptions): Promise<ListedObject[]> {
    this.#add({});
    return super.list(prefix, options);
  }

  override putIfAbsent(name: string, bytes: Uint8Array, options?: PutOptions): Promise<boolean> {
    this.#add(name.includes('/shard/') ? { tables: bytes.length } : { written: bytes.length });
    return super.putIfAbsent(name, bytes, options);
  }

  override async openAppend(name: string): Promise<AppendFile> {
    const file = await super.openAppend(name);
    return {
      write: (bytes) => {
        this.#add({ written: bytes.length });
        file.write(bytes);
      },
      sync: () => file.sync(),
      syncBlocking: () => file.syncBlocking(),
      close: () => file.close(),
    };
  }

  #add({ read = 0, tables = 0, written = 0 }: Partial<Traffic>): void {
    const so = this.#traffic;
    this.#traffic = { read: so.read + read, tables: so.tables + tables, written: so.written + written, calls: so.calls + 1 };
  }
}
