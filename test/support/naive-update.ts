/**
 * Makes read-modify-writes the slow and simple way: rules B1 to B4 step by step, on top of `naiveRead`. It shares no code with the updater of
 * the engine beyond the formats.
 */
import type { Key } from '../../src/base/key.ts';
import { newNonce } from '../../src/base/system.ts';
import type { Entry } from '../../src/format/entry.ts';
import { type RecordId, recordName } from '../../src/format/layout.ts';
import { encodeRecord, type RecordKind, type SerialRecord, stripeOf } from '../../src/format/record.ts';
import { type Root, serialNonce, serialThrough } from '../../src/format/root.ts';
import { resolveUndecided } from '../../src/log/resolve-record.ts';
import { newestRoot } from '../../src/manifest/newest-root.ts';
import { runAsync } from '../../src/medium/steps.ts';
import { type NaiveContext, type NaiveState, naiveRead } from './naive-read.ts';

/** `again`: nothing was written that counts. `lost`: what was written never did, and never will. */
export type NaiveOutcome = 'committed' | 'again' | 'lost' | 'unknown';

export interface NaiveUpdate {
  readonly keys: readonly Key[];
  readonly stripes: number;
  /** From the values of the keys; undefined where a key is not there. */
  readonly next: (values: readonly (string | undefined)[]) => readonly string[];
  /** Asked before the deciding record is put: true leaves the update as a process would that dies there. */
  readonly dies?: () => boolean;
}

/** One try. */
export async function naiveUpdate(context: NaiveContext, update: NaiveUpdate): Promise<NaiveOutcome> {
  const state = await naiveRead(context);
  if (state.isDraining) return 'again';
  const stripes = [...new Set(update.keys.map((key) => stripeOf(key, update.stripes)))].sort((a, b) => a - b);
  for (const stripe of stripes) {
    const undecided = state.undecided.get(stripe);
    if (undecided === undefined) continue;
    await resolveUndecided(context, undecided, state.root);
    return 'again';
  }
  const [first, ...others] = buildRecords(context, state, { update, stripes }) as [SerialRecord, ...SerialRecord[]];
  for (const record of others) if (!(await put(context, record))) return 'again';
  if (others.length > 0) {
    const root = await readNewest(context);
    if (others.some(({ id }) => id.number <= serialThrough(root, id.stripe))) return 'again';
  }
  if (update.dies?.() === true) return 'again';
  if (!(await put(context, first))) return 'again';
  for (;;) {
    const outcome = outcomeOf(await readNewest(context), first);
    if (outcome !== 'wait') return outcome;
  }
}

function buildRecords(
  { system }: NaiveContext,
  state: NaiveState,
  { update, stripes }: { update: NaiveUpdate; stripes: readonly number[] },
): SerialRecord[] {
  const nonce = newNonce(system);
  const ids = stripes.map((stripe): RecordId => ({ stripe, number: nextNumber(state, stripe) }));
  const read = update.keys.map((key) => state.newest.get(key));
  const values = update.next(read.map((entry) => (entry?.value === undefined ? undefined : Buffer.from(entry.value).toString())));
  return ids.map((id, i) => {
    const entries = update.keys.flatMap((key, k): Entry[] => {
      if (stripeOf(key, update.stripes) !== id.stripe) return [];
      const { time, writer, sub } = read[k]?.stamp ?? state.root.dropFloor ?? { time: 0, writer: '0'.repeat(16), sub: 0 };
      return [{ key, value: Buffer.from(values[k] as string), expiresAtMs: 0, stamp: { time, writer, sub: sub + 1 }, absorbedAt: 0 }];
    });
    const kind: RecordKind = i > 0 ? 'secondary' : ids.length > 1 ? 'primary' : 'single';
    const links = i > 0 ? ids.slice(0, 1) : ids.slice(1);
    return { id, nonce, root: state.root.number, kind, links, entries };
  });
}

function nextNumber({ records, root }: NaiveState, stripe: number): number {
  let last = serialThrough(root, stripe);
  for (const { id } of records.values()) if (id.stripe === stripe) last = Math.max(last, id.number);
  return last + 1;
}

function put({ medium, layout }: NaiveContext, record: SerialRecord): Promise<boolean> {
  return medium.putIfAbsent(recordName(layout, record.id), encodeRecord(layout, record));
}

async function readNewest(context: NaiveContext): Promise<Root> {
  const reading = await runAsync(newestRoot(context.layout, context), context);
  if (reading === undefined) throw new Error('there is no root');
  return reading.root;
}

function outcomeOf(root: Root, record: SerialRecord): NaiveOutcome | 'wait' {
  if (record.id.number > serialThrough(root, record.id.stripe)) {
    if (record.root < root.horizon) return 'lost';
    return record.root < root.drain ? 'wait' : 'committed';
  }
  const nonce = serialNonce(root, record.id);
  if (nonce === undefined) return 'unknown';
  return nonce === record.nonce ? 'committed' : 'lost';
}
