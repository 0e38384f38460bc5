/**
 * Index entries, the same for the same seed: what a tool keeps of the versions of the models that it follows. Of each model there are many
 * versions, of which about 87 % are stale; an entry takes about 420 bytes in msgpack.
 */
import { createHash } from 'node:crypto';
import type { Entry, PeerStore, ScanRange, Value } from './peers/peer.ts';
import { randomFrom } from './random.ts';

const STALE_SHARE = 0.87;
/** Of an entry of the usual size, beside its filler. */
const FIELDS_BYTES = 190;

export interface IndexEntry extends Value {
  readonly model: string;
  readonly version: number;
  readonly isStale: boolean;
  readonly hash: string;
  readonly path: string;
  readonly updatedAtMs: number;
  readonly note: string;
}

export interface WorkloadOptions {
  readonly seed: number;
  readonly models?: number;
  /** Of a value in msgpack, about. Default 420. */
  readonly valueBytes?: number;
}

/** Makes entry i of a workload; calls with the same options give the same. */
export function entryMaker({
  seed,
  models = 1200,
  valueBytes = 420,
}: WorkloadOptions): (i: number) => Entry & { readonly value: IndexEntry } {
  const filler = fillerOf(seed, Math.max(0, valueBytes - FIELDS_BYTES));
  return (i) => {
    const random = randomFrom(seed ^ Math.imul(i + 1, 0x9e3779b1));
    const model = `model-${(Math.imul(i % models, 0x85ebca6b) >>> 0).toString(16).padStart(8, '0')}`;
    const version = Math.floor(i / models);
    const hash = Array.from({ length: 5 }, () => hex(random)).join('');
    const value: IndexEntry = {
      id: i,
      model,
      version,
      isStale: random() < STALE_SHARE,
      hash,
      path: `data/${model}/${hash.slice(0, 2)}/${hash.slice(2, 10)}.parquet`,
      updatedAtMs: 1_700_000_000_000 + Math.floor(random() * 1e9),
      note: filler(random),
    };
    return { key: `${model}/${String(version).padStart(6, '0')}`, value };
  };
}

const hex = (random: () => number): string =>
  Math.floor(random() * 2 ** 32)
    .toString(16)
    .padStart(8, '0');

/** Text that does not compress to nothing: a piece of a long random one, from anywhere. */
function fillerOf(seed: number, bytes: number): (random: () => number) => string {
  const random = randomFrom(seed);
  const pool = Array.from({ length: Math.ceil((bytes * 2 + 4096) / 8) }, () => hex(random)).join('');
  return (at) => {
    const from = Math.floor(at() * (pool.length - bytes));
    return pool.slice(from, from + bytes);
  };
}

/** The indexes below `count` in an order that looks random. */
export function shuffled(count: number, seed: number): Uint32Array {
  const order = Uint32Array.from({ length: count }, (_, i) => i);
  const random = randomFrom(seed);
  for (let i = count - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1));
    const [a, b] = [order[i] as number, order[j] as number];
    order[i] = b;
    order[j] = a;
  }
  return order;
}

/** Puts entries 0 to `count`, in batches of what suits the store. */
export async function fill(
  store: PeerStore,
  count: number,
  entryAt: (i: number) => Entry,
  batchSize: number = store.fillBatch ?? 1000,
): Promise<void> {
  for (let from = 0; from < count; from += batchSize) {
    await store.putMany(Array.from({ length: Math.min(batchSize, count - from) }, (_, i) => entryAt(from + i)));
  }
}

export interface ChecksumOptions extends ScanRange {
  /** Which entries count, where peers did not all do the same. Default all. */
  readonly counts?: (entry: Entry) => boolean;
}

/** Of entries in key order: what every peer must agree on. */
export async function checksumOf(store: PeerStore, { counts = () => true, ...range }: ChecksumOptions = {}): Promise<string> {
  const hash = createHash('sha256');
  for await (const entry of store.scan(range)) if (counts(entry)) hash.update(`${entry.key} ${JSON.stringify(entry.value)}\n`);
  return hash.digest('hex');
}
