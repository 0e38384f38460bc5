/** A namespace in memory, writers made by hand, and an oracle that knows what each key must read as. */
import { compactOnce, type PassContext, type PassOptions, type PassResult } from '../../compactor/pass.ts';
import { ByteWriter } from '../../src/base/bytes.ts';
import type { Key } from '../../src/base/key.ts';
import { newWriterId } from '../../src/base/system.ts';
import { type Delta, encodeBatch } from '../../src/format/batch.ts';
import { namespaceLayout, segmentIdText } from '../../src/format/layout.ts';
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
  readonly time: number;
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
    const reading = await runAsync(newestRoot(this.context.layout, this.system), this.plain);
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
    if (fate === 'acknowledged') this.expect(deltas, time);
    return fate;
  }

  expect(deltas: readonly Delta[], time: number): void {
    for (const { key, value, expiresAtMs } of deltas) {
      if ((this.expected.get(key)?.time ?? 0) >= time) continue;
      this.expected.set(key, { time, value: value === undefined ? undefined : Buffer.from(value).toString(), expiresAtMs });
    }
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
