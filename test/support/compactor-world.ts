/** A namespace in memory, writers made by hand, and an oracle that knows what each key must read as. */
import { compactOnce, type PassContext, type PassOptions, type PassResult } from '../../compactor/pass.ts';
import { ByteWriter } from '../../src/base/bytes.ts';
import type { Key } from '../../src/base/key.ts';
import { compareStamps, type Stamp } from '../../src/base/stamp.ts';
import { newNonce, newWriterId } from '../../src/base/system.ts';
import { type Delta, encodeBatch } from '../../src/format/batch.ts';
import { namespaceLayout, type RecordId, recordName, segmentIdText } from '../../src/format/layout.ts';
import { encodeRecord, type SerialRecord } from '../../src/format/record.ts';
import type { Root } from '../../src/format/root.ts';
import { DEFAULT_CONSTANTS, type StoreConstants } from '../../src/format/store-file.ts';
import { openSegmentWriter, type SegmentWriter } from '../../src/log/segment-writer.ts';
import { newestRoot } from '../../src/manifest/newest-root.ts';
import type { Medium } from '../../src/medium/medium.ts';
import { MemoryMedium } from '../../src/medium/memory-medium.ts';
import { runAsync } from '../../src/medium/steps.ts';
import { type Fate, fateOf } from '../../src/write/post-check.ts';
import { naiveRead } from './naive-read.ts';
import { type VirtualSystem, VirtualTime } from './virtual-system.ts';

/** Ages that a test can wait for. */
export const QUICK_CONSTANTS: StoreConstants = {
  ...DEFAULT_CONSTANTS,
  retentionMs: 180_000,
  graceMs: 60_000,
  drainAgeMs: 180_000,
  drainAgeRoots: 4,
  rootsKept: 4,
};

export const SEED: number = Number(process.env['PEAT_SEED'] ?? Math.floor(Math.random() * 1_000_000));

/** A write that was made; what became of it is not known before its post-check. */
export interface Write {
  readonly deltas: readonly Delta[];
  readonly time: number;
  readonly segment: SegmentWriter;
  readonly end: number;
}

interface Expected {
  readonly stamp: Stamp;
  readonly value: string | undefined;
  readonly expiresAtMs: number;
}

export interface WorldOptions {
  readonly canAppend?: boolean;
  readonly constants?: StoreConstants;
  readonly seed?: number;
  /** Wraps the medium that the compactors use. */
  readonly wrap?: (medium: Medium, system: VirtualSystem) => Medium;
}

export class CompactorWorld {
  readonly system: VirtualSystem;
  readonly inner: MemoryMedium;
  readonly medium: Medium;
  readonly context: PassContext;
  readonly expected = new Map<Key, Expected>();
  readonly logged: string[] = [];
  #time: number;

  constructor(options: WorldOptions = {}) {
    this.system = new VirtualTime().system({ seed: options.seed ?? 1 });
    this.inner = new MemoryMedium({ system: this.system, canAppend: options.canAppend !== false });
    this.medium = options.wrap?.(this.inner, this.system) ?? this.inner;
    this.context = {
      medium: this.medium,
      system: this.system,
      layout: namespaceLayout('runs'),
      constants: options.constants ?? QUICK_CONSTANTS,
      log: (message) => this.logged.push(message),
    };
    this.#time = this.system.wallNowMs() * 1024;
  }

  /** The same namespace, past all faults. */
  get plain(): PassContext {
    return { ...this.context, medium: this.inner };
  }

  pass(options: PassOptions = {}): Promise<PassResult> {
    return compactOnce(this.context, options);
  }

  async root(): Promise<Root> {
    const reading = await runAsync(newestRoot(this.context.layout, this.plain), this.plain);
    if (reading === undefined) throw new Error('there is no root');
    return reading.root;
  }

  async names(part: 'root' | 'log' | 'shard'): Promise<string[]> {
    const prefix = this.context.layout[part];
    return (await this.inner.list(prefix)).map(({ name }) => name.slice(prefix.length));
  }

  nextTime(): number {
    this.#time = Math.max(this.#time + 1, this.system.wallNowMs() * 1024);
    return this.#time;
  }

  /** Opens a segment at the newest root, as rule A5 wants it. */
  async open(): Promise<SegmentWriter> {
    const { number } = await this.root();
    return openSegmentWriter(this.inner, this.context.layout, { root: number, writer: newWriterId(this.system), sequence: 0 });
  }

  async append(segment: SegmentWriter, deltas: readonly Delta[]): Promise<Write> {
    const writer = new ByteWriter();
    encodeBatch(writer, deltas);
    const time = this.nextTime();
    const [end] = await segment.append([{ time, payload: writer.copy() }], true);
    return { deltas, time, segment, end: end as number };
  }

  /** The post-check; an acknowledged write is expected to be read from now on. */
  async check({ deltas, time, segment, end }: Write): Promise<Fate> {
    const fate = fateOf(await this.root(), { id: segment.id, text: segmentIdText(segment.id), end });
    if (fate === 'acknowledged') this.expect(deltas, { time, writer: segment.id.writer, sub: 0 });
    return fate;
  }

  expect(deltas: readonly Delta[], stamp: Stamp): void {
    for (const { key, value, expiresAtMs } of deltas) {
      const known = this.expected.get(key);
      if (known !== undefined && compareStamps(known.stamp, stamp) >= 0) continue;
      this.expected.set(key, { stamp, value: value === undefined ? undefined : Buffer.from(value).toString(), expiresAtMs });
    }
  }

  /** Puts a record as it is given, without a check; by default it rests on the newest root, and its deltas have fresh stamps. */
  async record(id: RecordId, deltas: readonly Delta[], facts: Partial<SerialRecord> = {}): Promise<SerialRecord> {
    const stamp = { time: this.nextTime(), writer: newWriterId(this.system), sub: 1 };
    const { number } = await this.root();
    const entries = deltas.map((delta) => ({ ...delta, stamp, absorbedAt: 0 }));
    const record: SerialRecord = { id, nonce: newNonce(this.system), root: number, kind: 'single', links: [], entries, ...facts };
    const name = recordName(this.context.layout, id);
    if (!(await this.inner.putIfAbsent(name, encodeRecord(this.context.layout, record)))) throw new Error(`${name} is there already`);
    return record;
  }

  /** The same, and its deltas are expected to be read from now on. */
  async committed(id: RecordId, deltas: readonly Delta[], facts: Partial<SerialRecord> = {}): Promise<SerialRecord> {
    const record = await this.record(id, deltas, facts);
    for (const entry of record.entries) this.expect([entry], entry.stamp);
    return record;
  }

  /** An update of several stripes: the first record decides, and is left out if the update is not to be committed. */
  async updateMany(
    parts: readonly (readonly [RecordId, readonly Delta[]])[],
    options: { decided?: boolean } = {},
  ): Promise<SerialRecord[]> {
    const [[primary, deltas], ...others] = parts as [(typeof parts)[number], ...typeof parts];
    const nonce = newNonce(this.system);
    const isDecided = options.decided !== false;
    const records: SerialRecord[] = [];
    for (const [id, part] of others) {
      const facts = { nonce, kind: 'secondary', links: [primary] } as const;
      records.push(await (isDecided ? this.committed(id, part, facts) : this.record(id, part, facts)));
    }
    if (isDecided) records.unshift(await this.committed(primary, deltas, { nonce, kind: 'primary', links: others.map(([id]) => id) }));
    return records;
  }

  /** Appends to a segment of its own, and has it acknowledged. */
  async write(deltas: readonly Delta[], options: { seal?: boolean } = {}): Promise<SegmentWriter> {
    const segment = await this.open();
    const fate = await this.check(await this.append(segment, deltas));
    if (fate !== 'acknowledged') throw new Error(`a write to the newest root is ${fate}`);
    if (options.seal !== false) await segment.seal();
    return segment;
  }

  /** What differs between the store and the oracle. @param mayDiffer keys of writes whose outcome is unknown */
  async differences(mayDiffer: ReadonlySet<Key> = new Set()): Promise<string[]> {
    const { newest } = await naiveRead(this.plain);
    const differences: string[] = [];
    for (const key of new Set([...newest.keys(), ...this.expected.keys()])) {
      if (mayDiffer.has(key)) continue;
      const expected = this.expected.get(key);
      const found = newest.get(key)?.value;
      const value = found === undefined ? undefined : Buffer.from(found).toString();
      const isExpired = expected !== undefined && expected.expiresAtMs !== 0 && expected.expiresAtMs <= this.system.wallNowMs();
      if (value === expected?.value || (isExpired && value === undefined)) continue;
      differences.push(`${key}: ${expected?.value} was written, ${value} is read`);
    }
    return differences;
  }
}

export function put(key: string, value: string, expiresAtMs = 0): Delta {
  return { key: key as Key, value: Buffer.from(value), expiresAtMs };
}

export function del(key: string): Delta {
  return { key: key as Key, value: undefined, expiresAtMs: 0 };
}
