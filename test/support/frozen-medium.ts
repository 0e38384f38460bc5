/** A medium that can only be read: the bytes of a store in a map, one byte of which may be flipped. */
import type { BlockingMedium, ByteRange, ListedObject, ListOptions, Medium } from '../../src/medium/medium.ts';

export class FrozenMedium implements Medium {
  readonly description = 'frozen bytes';
  readonly canAppend = true;
  readonly isRemote = false;
  readonly localDirectory = undefined;
  readonly blocking: BlockingMedium | undefined = undefined;
  readonly files: Map<string, Buffer>;
  readonly #times: ReadonlyMap<string, number>;
  readonly #names: readonly string[];

  constructor(files: Map<string, Buffer>, times: ReadonlyMap<string, number>) {
    this.files = files;
    this.#times = times;
    this.#names = [...files.keys()].sort();
  }

  static async of(medium: Medium): Promise<FrozenMedium> {
    const files = new Map<string, Buffer>();
    const times = new Map<string, number>();
    for (const { name, modifiedMs = 0 } of await medium.list('', { stats: true })) {
      files.set(name, (await medium.get(name)) as Buffer);
      times.set(name, modifiedMs);
    }
    return new FrozenMedium(files, times);
  }

  /** The same with some files changed or, undefined, left out. */
  with(changes: Readonly<Record<string, Buffer | undefined>>): FrozenMedium {
    const files = new Map(this.files);
    for (const [name, bytes] of Object.entries(changes)) {
      if (bytes === undefined) files.delete(name);
      else files.set(name, bytes);
    }
    return new FrozenMedium(files, this.#times);
  }

  /** Changes a byte; calling it again with the same arguments undoes that. */
  flip(name: string, offset: number, bits: number): void {
    const bytes = this.files.get(name) as Buffer;
    bytes[offset] = (bytes[offset] as number) ^ bits;
  }

  async get(name: string, range?: ByteRange): Promise<Buffer | undefined> {
    const bytes = this.files.get(name);
    if (bytes === undefined) return undefined;
    return Buffer.from(range === undefined ? bytes : bytes.subarray(range.offset, range.offset + range.length));
  }

  async list(prefix: string, { after = '', stats }: ListOptions = {}): Promise<ListedObject[]> {
    const names = this.#names.filter((name) => name.startsWith(prefix) && name > after);
    return names.map((name) =>
      stats === true ? { name, size: this.files.get(name)?.length ?? 0, modifiedMs: this.#times.get(name) ?? 0 } : { name },
    );
  }

  async listFolders(prefix: string): Promise<string[]> {
    const below = this.#names.filter((name) => name.startsWith(prefix)).map((name) => name.slice(prefix.length).split('/'));
    return [...new Set(below.flatMap(([folder, ...rest]) => (folder === undefined || rest.length === 0 ? [] : [folder])))];
  }

  putIfAbsent(): Promise<boolean> {
    throw new Error('nothing is written here');
  }
  delete(): Promise<void> {
    throw new Error('nothing is deleted here');
  }
  openAppend(): Promise<never> {
    throw new Error('nothing is appended here');
  }
  async syncNames(): Promise<void> {}
  async nowMs(): Promise<number | undefined> {
    return undefined;
  }
  lastAnsweredAtMs(): undefined {}
  async close(): Promise<void> {}
}
