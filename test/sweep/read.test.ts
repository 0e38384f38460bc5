/** Reads: right, or an error of the medium; never "not there" of what is there. The handle is right again once the medium is. */
import type { Snapshot } from '../../src/index.ts';
import { put } from '../support/ledger.ts';
import type { SweptOperation } from '../support/sweep.ts';
import { describeSweep } from '../support/sweep-table.ts';
import type { SweepWorld } from '../support/sweep-world.ts';

const KEYS = ['k1', 'k3', 'd0', 'last', 'r0', 'r2', 'e', 'half a', 'never', 'silent'];

interface Reading {
  readonly name: string;
  readonly scene?: SweptOperation['scene'];
  readonly isReadOnly?: boolean;
  readonly read: (w: SweepWorld) => Promise<unknown>;
  readonly expected: (w: SweepWorld) => unknown;
}

function toOperation({ name, scene = 'busy', isReadOnly = false, read, expected }: Reading): SweptOperation {
  return {
    name,
    scene,
    endsHandle: isReadOnly,
    prepare: (w) => w.openStore(),
    run: (w) => w.read(name, () => read(w), expected(w)),
    check: (w) => w.must(`${name} again`, () => w.read(name, () => read(w), expected(w))),
  };
}

/** JSON has no undefined. */
const values = (w: SweepWorld, keys: readonly string[]): unknown[] => keys.map((key) => w.value(key) ?? null);

async function scanned(w: SweepWorld, options: Parameters<SweepWorld['runs']['scan']>[0] = {}): Promise<unknown[]> {
  const found: unknown[] = [];
  for await (const { key, value } of w.runs.scan(options)) found.push([key, value]);
  return found;
}

function sorted(w: SweepWorld, prefix = ''): unknown[] {
  const state = [...(w.ledger.possible()[0] ?? [])].filter(([key]) => key.startsWith(prefix));
  return state.sort(([a], [b]) => (a < b ? -1 : 1));
}

async function snapshotReads(snapshot: Snapshot<unknown> | undefined): Promise<unknown> {
  if (snapshot === undefined) throw new Error('the snapshot was not taken');
  const many = await snapshot.getMany(KEYS);
  const found: unknown[] = [];
  for await (const { key, value } of snapshot.scan()) found.push([key, value]);
  return [many, found];
}

const READINGS: readonly Reading[] = [
  { name: 'get from a table', read: (w) => w.runs.get('k1'), expected: (w) => w.value('k1') },
  { name: 'get from the tail', read: (w) => w.runs.get('last'), expected: () => 1 },
  { name: 'get of a record', read: (w) => w.runs.get('r0'), expected: () => 'whole' },
  { name: 'get of what was deleted', read: (w) => w.runs.get('k3'), expected: () => undefined },
  { name: 'get of what never was', read: (w) => w.runs.get('never'), expected: () => undefined },
  { name: 'get from a short tail', scene: 'young', read: (w) => w.runs.get('a'), expected: () => 'old a' },
  { name: 'has', read: (w) => w.runs.has('k1'), expected: () => true },
  { name: 'getEntry', read: async (w) => (await w.runs.getEntry('k1'))?.value, expected: (w) => w.value('k1') },
  { name: 'getMany', read: (w) => w.runs.getMany(KEYS), expected: (w) => values(w, KEYS) },
  { name: 'scan', read: (w) => scanned(w), expected: (w) => sorted(w) },
  { name: 'scan, backwards', read: (w) => scanned(w, { reverse: true }), expected: (w) => sorted(w).reverse() },
  { name: 'scan of a prefix', read: (w) => scanned(w, { prefix: 'k' }), expected: (w) => sorted(w, 'k') },
  {
    name: 'snapshot, and its reads',
    read: async (w) => snapshotReads(await w.runs.snapshot()),
    expected: (w) => [values(w, KEYS), sorted(w)],
  },
  { name: 'stats', read: async (w) => (await w.runs.stats()).tail.segments > 0, expected: () => true },
];

let snapshot: Snapshot<unknown> | undefined;
let before: unknown;
let token = '';

const OPERATIONS: readonly SweptOperation[] = [
  ...READINGS.map(toOperation),
  {
    name: 'reads of a snapshot, whose namespace goes on',
    prepare: async (w) => {
      await w.openStore();
      before = [values(w, KEYS), sorted(w)];
      snapshot = await w.runs.snapshot();
      await w.write('put after', put('k1', 'after'), () => w.runs.put('k1', 'after'));
      await w.store.compact();
    },
    run: (w) => w.read('snapshot', () => snapshotReads(snapshot), before),
    check: async (w) => {
      await w.must('snapshot again', () => w.read('snapshot', () => snapshotReads(snapshot), before));
      snapshot?.close();
    },
  },
  {
    name: 'waitFor',
    prepare: async (w) => {
      await w.openStore();
      const other = await w.openAnother();
      await w.write('put elsewhere', put('x', 1), async () => {
        token = await other.namespace('runs').put('x', 1);
      });
      await other.close();
    },
    run: (w) => w.attempt('waitFor', () => w.runs.waitFor(token, { timeoutMs: 2000 })),
    check: (w) => w.must('waitFor again', () => w.runs.waitFor(token, { timeoutMs: 2000 })),
  },
];

describeSweep(OPERATIONS);
