/** What is read, operation by operation; each checks that it got what it asked for. */
import type { Entry, PeerSnapshot, PeerStore, Value } from '../../peers/peer.ts';
import { shuffled } from '../../workload.ts';
import type { Call } from './measure.ts';

/** In the order in which they are measured. */
export const OPERATIONS = [
  'get',
  'get anywhere',
  'snapshot get',
  'snapshot get anywhere',
  'miss',
  'getMany',
  'prefix scan',
  'scan',
  'key scan',
] as const;

export type OperationName = (typeof OPERATIONS)[number];

export interface ReadableStore {
  readonly store: PeerStore;
  /** How many entries were put there, of how many models; others may have come since. */
  readonly count: number;
  readonly models: number;
  readonly entryAt: (i: number) => Entry;
  readonly seed: number;
}

/** One entry of these many is of a model that is followed: the warm ones. They lie together, as the versions of a model do. */
const WARM_SHARE = 1 / 16;
const MANY = 100;
/** So many different keys are made beforehand: one takes longer to make up than some peers take to read it. */
const KEYS_MAX = 65_536;

interface Wanted {
  readonly key: string;
  readonly id: number;
}

/** Each calls back with what measures it; what it holds meanwhile is let go of afterwards. */
export async function withOperations<T>(
  readable: ReadableStore,
  measureOne: (name: OperationName, call: Call) => Promise<T>,
): Promise<Map<OperationName, T>> {
  const { store, count, models, entryAt, seed } = readable;
  const order = shuffled(count, seed);
  const wantedOf = (ids: Iterable<number>): Wanted[] => Array.from(ids, (id) => ({ key: entryAt(id).key, id }));
  const anywhere = wantedOf(order.subarray(0, KEYS_MAX));
  const modelsWarm = Math.max(1, Math.floor(models * WARM_SHARE));
  const warm = wantedOf(order.filter((id) => id % models < modelsWarm).subarray(0, KEYS_MAX));
  const missing = anywhere.map(({ key }) => `${key}?`);
  const groups = Array.from({ length: Math.ceil(anywhere.length / MANY) }, (_, i) => manyFrom(anywhere, i * MANY));
  const prefixes = Array.from(shuffled(models, seed), (model) => `${entryAt(model).key.split('/')[0]}/`);

  const results = new Map<OperationName, T>();
  const run = async (name: OperationName, call: Call): Promise<void> => void results.set(name, await measureOne(name, call));

  await run('get', getOf(store, warm));
  await run('get anywhere', getOf(store, anywhere));
  const snapshot = await store.snapshot();
  await run('snapshot get', getOf(snapshot, warm));
  await run('snapshot get anywhere', getOf(snapshot, anywhere));
  snapshot.close();
  await run('miss', (i) => {
    const value = store.get(missing[i % missing.length] as string);
    return value instanceof Promise ? value.then(none) : none(value);
  });
  await run('getMany', (i) => {
    const wanted = groups[i % groups.length] as Wanted[];
    const values = store.getMany(wanted.map(({ key }) => key));
    return values instanceof Promise ? values.then((those) => all(those, wanted)) : all(values, wanted);
  });
  await run('prefix scan', (i) => counted(store.scan({ prefix: prefixes[i % models] as string }), Math.floor(count / models)));
  await run('scan', () => counted(store.scan(), count));
  await run('key scan', () => counted(store.keys(), count));
  return results;
}

function manyFrom(wanted: readonly Wanted[], first: number): Wanted[] {
  return Array.from({ length: MANY }, (_, i) => wanted[(first + i) % wanted.length] as Wanted);
}

function getOf(store: Pick<PeerSnapshot, 'get'>, wanted: readonly Wanted[]): Call {
  return (i) => {
    const { key, id } = wanted[i % wanted.length] as Wanted;
    const value = store.get(key);
    return value instanceof Promise ? value.then((found) => one(found, id)) : one(value, id);
  };
}

function one(value: Value | undefined, id: number): number {
  if (value?.id !== id) throw new Error(`asked for entry ${id}, got ${value?.id}`);
  return 1;
}

function all(values: readonly (Value | undefined)[], wanted: readonly Wanted[]): number {
  for (const [i, { id }] of wanted.entries()) one(values[i], id);
  return values.length;
}

function none(value: Value | undefined): number {
  if (value !== undefined) throw new Error(`asked for a key that is not there, got entry ${value.id}`);
  return 1;
}

/** Goes through all of them, each way as it is meant: who blocks is not awaited. */
function counted(items: Iterable<unknown> | AsyncIterable<unknown>, atLeast: number): number | Promise<number> {
  if (!(Symbol.iterator in items)) return countedLater(items, atLeast);
  let n = 0;
  for (const _ of items) n++;
  return enough(n, atLeast);
}

async function countedLater(items: AsyncIterable<unknown>, atLeast: number): Promise<number> {
  let n = 0;
  for await (const _ of items) n++;
  return enough(n, atLeast);
}

function enough(n: number, atLeast: number): number {
  if (n < atLeast) throw new Error(`a scan gave ${n} entries of ${atLeast}`);
  return n;
}
