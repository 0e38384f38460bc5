/**
 * Judges what a damaged store answers. It may refuse, with an error that says so. What it does answer is what the store held before the damage, or,
 * where the damage can't be told from a tear or from a file that never was, what it would hold then: `docs/format.md` has the list.
 */
import { fromKey } from '../../src/base/key.ts';
import type { System } from '../../src/base/system.ts';
import { decodeValue } from '../../src/base/value.ts';
import { type Entry, isGone } from '../../src/format/entry.ts';
import { FRAME_SEAL, frameAt, frameSeed, SEGMENT_HEADER_BYTES } from '../../src/format/frame.ts';
import { namespaceLayout } from '../../src/format/layout.ts';
import { parseRecord } from '../../src/format/record.ts';
import { Block } from '../../src/format/table/block.ts';
import { listTables } from '../../src/format/table/table-file.ts';
import { isPeatError, open, type PeatErrorCode, type ScanEntry } from '../../src/index.ts';
import { repairStore } from '../../src/inspect/repair.ts';
import { parseStoreName } from '../../src/inspect/store-names.ts';
import { verifyStore } from '../../src/inspect/verify.ts';
import { SegmentReader } from '../../src/log/segment-reader.ts';
import type { Medium } from '../../src/medium/medium.ts';
import { MemoryMedium } from '../../src/medium/memory-medium.ts';
import { runAsync } from '../../src/medium/steps.ts';
import { FrozenMedium } from './frozen-medium.ts';
import { HastySystem } from './hasty-system.ts';
import { naiveRead } from './naive-read.ts';
import type { Zoo } from './store-zoo.ts';

/** Key → value as JSON, of all keys that are there. */
export type Contents = ReadonlyMap<string, string>;
export type Files = ReadonlyMap<string, Buffer>;

/** What a damaged store may say instead of an answer. */
const REFUSALS: ReadonlySet<PeatErrorCode> = new Set<PeatErrorCode>([
  'CORRUPT',
  'STORE_NOT_FOUND',
  'NAMESPACE_NOT_FOUND',
  'UNSUPPORTED_VERSION',
]);

export class DamageJudge {
  /** Before any damage. */
  readonly store: FrozenMedium;
  readonly contents: Contents;
  readonly #zoo: Zoo;
  /** All values that were ever written to a key. */
  readonly #ever: ReadonlyMap<string, ReadonlySet<string>>;
  readonly #keys: readonly string[];

  private constructor(zoo: Zoo, facts: { store: FrozenMedium; contents: Contents; ever: ReadonlyMap<string, Set<string>> }) {
    this.#zoo = zoo;
    this.store = facts.store;
    this.contents = facts.contents;
    this.#ever = facts.ever;
    this.#keys = [...facts.ever.keys(), 'a key that never was'];
  }

  static async of(zoo: Zoo): Promise<DamageJudge> {
    const store = await FrozenMedium.of(zoo.medium);
    return new DamageJudge(zoo, { store, contents: await contentsOf(zoo, store), ever: await everythingIn(zoo, store.files) });
  }

  system(): System {
    return new HastySystem(this.#zoo.system.wallNowMs());
  }

  /** What the store holds with these changes, where they make a store that is whole. */
  async alternatives(changes: readonly Readonly<Record<string, Buffer | undefined>>[]): Promise<Contents[]> {
    return await Promise.all(changes.map((change) => contentsOf(this.#zoo, this.store.with(change))));
  }

  /** What the store holds without the keys that are in this file. */
  async lacking(name: string): Promise<Contents> {
    const inFile = await everythingIn(this.#zoo, new Map([[name, this.store.files.get(name) as Buffer]]));
    return new Map([...this.contents].filter(([key]) => !inFile.has(key)));
  }

  /** Scans once, see `read`. */
  async scan(medium: Medium, others: readonly Contents[] = []): Promise<string | undefined> {
    return await refusable(async () => {
      await using store = await open(medium, { readOnly: true, system: this.system() });
      return wrongScan(await gather(store.namespace(this.#zoo.layout.namespace).scan()), [this.contents, ...others]);
    });
  }

  /** Reads in every way that there is; says what is wrong with the answers, nothing if none is. */
  async read(medium: Medium, others: readonly Contents[] = []): Promise<string | undefined> {
    const legal = [this.contents, ...others];
    return await refusable(async () => {
      await using store = await open(medium, { readOnly: true, system: this.system() });
      const entries = store.namespace(this.#zoo.layout.namespace);
      const looks: (() => Promise<string | undefined>)[] = [
        async () => wrongScan(await gather(entries.scan()), legal),
        async () => {
          const snapshot = await entries.snapshot();
          const wrong = wrongScan(await gather(snapshot.scan()), legal) ?? wrongScan(await gather(snapshot.scan({ reverse: true })), legal);
          snapshot.close();
          return wrong;
        },
        ...this.#keys.map((key) => async () => wrongValue(key, toJson(await entries.get(key)), legal)),
        async () => {
          const values = await entries.getMany(this.#keys);
          return values.map((value, i) => wrongValue(this.#keys[i] as string, toJson(value), legal)).find((wrong) => wrong !== undefined);
        },
      ];
      for (const look of looks) {
        const wrong = await refusable(look);
        if (wrong !== undefined) return wrong;
      }
      return undefined;
    });
  }

  /** Verifies; says what is wrong with that. */
  async verify(medium: Medium): Promise<string | undefined> {
    return await refusable(async () => {
      await verifyStore({ medium, system: this.system() });
      return undefined;
    });
  }

  /** Repairs a copy, which then must verify, and read well; values may be missing or older only if it was said that something is lost. */
  async repair({ files }: FrozenMedium, others: readonly Contents[] = []): Promise<string | undefined> {
    const system = this.system();
    const medium = new MemoryMedium({ system, canAppend: true });
    for (const [name, bytes] of files) await medium.putIfAbsent(name, bytes);
    return await refusable(async () => {
      const { actions } = await repairStore({ medium, system }, { apply: true });
      const left: string[] = [];
      await verifyStore(
        { medium, system },
        { onFinding: ({ severity, file, what }) => severity === 'damage' && left.push(`${file}: ${what}`) },
      );
      // A copy of a namespace's folder in another one's place is for people to take away.
      if (left.length > 0 && !actions.some(({ does }) => does.startsWith('nothing')))
        return `after the repair there is damage: ${left.join('; ')}`;
      const seen = await contentsOf(this.#zoo, medium);
      for (const [key, value] of seen)
        if (!this.#ever.get(key)?.has(value)) return `after the repair ${key} is ${value}, which nobody wrote`;
      const isSame = [this.contents, ...others].some((contents) => text(contents) === text(seen));
      if (!isSame && !actions.some(({ lost }) => lost !== undefined))
        return `the repair loses something, and says nothing of it: ${JSON.stringify(actions)}`;
      return await this.#goesOn(medium, system);
    });
  }

  /** Whether a repaired store takes a write, and reads it. */
  async #goesOn(medium: Medium, system: System): Promise<string | undefined> {
    const opened = await open(medium, { system, autoCompact: false }).catch((error: unknown) => {
      // The zoo has segments of both kinds. Where `peat.json` is lost, nothing tells which of them this medium is for.
      if (isPeatError(error, 'MEDIUM_UNSUITABLE')) return undefined;
      throw error;
    });
    if (opened === undefined) return undefined;
    await using store = opened;
    const entries = store.namespace(this.#zoo.layout.namespace);
    await entries.put('written afterwards', 1);
    return (await entries.get('written afterwards')) === 1 ? undefined : 'after the repair a write is not read back';
  }
}

/** A segment that ends before each of its frames from this offset on. */
export function cutsOf(name: string, bytes: Buffer, from: number): Record<string, Buffer | undefined>[] {
  const parsed = parseStoreName(name);
  if (parsed.kind !== 'segment') return [];
  const cuts = framesIn(parsed.segment, bytes).filter(({ start }) => start >= from);
  return cuts.map(({ start }) => ({ [name]: bytes.subarray(0, start) }));
}

/** Where the frames of a segment start, and their groups. */
export function framesIn(
  segment: string,
  bytes: Buffer,
): { readonly start: number; readonly groupStart: number; readonly isSeal: boolean }[] {
  const file = { seed: frameSeed(segment), base: 0 };
  const frames: { start: number; groupStart: number; isSeal: boolean }[] = [];
  for (let at = SEGMENT_HEADER_BYTES; ; ) {
    const found = frameAt(bytes, at, file);
    if (found.state !== 'frame') return frames;
    const { start, end, groupStart, kind } = found.frame;
    frames.push({ start, groupStart, isSeal: kind === FRAME_SEAL });
    at = end;
  }
}

async function contentsOf({ system, layout }: Zoo, medium: Medium): Promise<Contents> {
  const { newest } = await naiveRead({ medium, system, layout });
  const visible = [...newest.values()].filter((entry) => !isGone(entry, system.wallNowMs()));
  return new Map(visible.map(({ key, value }) => [fromKey(key), toJson(decodeValue(value as Buffer)) as string] as const).sort());
}

async function everythingIn({ layout, system }: Zoo, files: Files): Promise<Map<string, Set<string>>> {
  const ever = new Map<string, Set<string>>();
  const medium = new FrozenMedium(new Map(files), new Map());
  const take = ({ key, value }: Entry): void => {
    const values = ever.get(fromKey(key)) ?? new Set();
    ever.set(fromKey(key), values);
    if (value !== undefined) values.add(toJson(decodeValue(value)) as string);
  };
  for (const [name, bytes] of files) {
    const parsed = parseStoreName(name);
    if (parsed.kind === 'record') for (const entry of parseRecord(parsed.record, bytes).entries) take(entry);
    if (parsed.kind === 'table-file') for (const entry of entriesOf(bytes)) take(entry);
    if (parsed.kind === 'segment' || parsed.kind === 'segment-part') {
      const framed = parsed.kind === 'segment-part';
      const reader = new SegmentReader(namespaceLayout(layout.namespace), parsed.segment, { framed });
      const frames = await runAsync(reader.read({ parts: framed ? [parsed.part] : undefined }), { medium, system });
      for (const { entries } of frames ?? []) for (const entry of entries) take(entry);
    }
  }
  return ever;
}

function* entriesOf(file: Buffer): Generator<Entry> {
  for (const { offset, index } of listTables(file)) {
    for (let b = 0; b < index.blocks; b++) {
      const range = index.blockRange(b);
      const block = Block.decode(file.subarray(offset + range.offset, offset + range.offset + range.length), range.checksum);
      for (let i = 0; i < block.length; i++) yield block.entryAt(i);
    }
  }
}

async function gather(entries: AsyncIterable<ScanEntry<unknown>>): Promise<Contents> {
  const seen = new Map<string, string>();
  for await (const { key, value } of entries) seen.set(key, toJson(value) as string);
  return seen;
}

const text = (contents: Contents): string => JSON.stringify([...contents].sort());
const toJson = (value: unknown): string | undefined => (value === undefined ? undefined : JSON.stringify(value));

function wrongScan(seen: Contents, legal: readonly Contents[]): string | undefined {
  if (legal.some((contents) => text(contents) === text(seen))) return undefined;
  const [expected] = legal as [Contents];
  const keys = [...new Set([...seen.keys(), ...expected.keys()])].filter((key) => seen.get(key) !== expected.get(key));
  return `a scan differs: ${keys.map((key) => `${key} is ${seen.get(key)}, was ${expected.get(key)}`).join('; ')}`;
}

function wrongValue(key: string, value: string | undefined, legal: readonly Contents[]): string | undefined {
  return legal.some((contents) => contents.get(key) === value) ? undefined : `${key} reads as ${value}, was ${legal[0]?.get(key)}`;
}

async function refusable(look: () => Promise<string | undefined>): Promise<string | undefined> {
  try {
    return await look();
  } catch (error) {
    if (isPeatError(error) && REFUSALS.has(error.code)) return undefined;
    return `it throws ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`;
  }
}
