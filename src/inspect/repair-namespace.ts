/**
 * Repairs a namespace by one new root, while everything else goes on. Under the compactor's lock, so that no compactor does work that
 * would be lost; correctness does not rest on it, since the root is won by `putIfAbsent` like any other.
 *
 * Order of the steps: find what is damaged and plan the root → copy every damaged file to `quarantine/` → write the tables → put the root; if that
 * loses a race, start over → only then delete roots that can't be read. A crash between any two leaves copies and unnamed tables, nothing worse.
 */
import { compactorLock, LOCK_SITES } from '../../compactor/index.ts';
import { PeatError } from '../base/errors.ts';
import { fromKey, type Key, show } from '../base/key.ts';
import { compareStamps, maxStamp, type Stamp } from '../base/stamp.ts';
import { randomId, type System } from '../base/system.ts';
import type { Entry } from '../format/entry.ts';
import { checkWriterFeatures } from '../format/features.ts';
import { type NamespaceLayout, rootName, tableFileText } from '../format/layout.ts';
import { NO_COUNTS, type Root, type TableRef } from '../format/root.ts';
import type { BuiltTable } from '../format/table/table-builder.ts';
import { now } from '../manifest/clocks.ts';
import { commitRoot, nextRoot } from '../manifest/commit-root.ts';
import { highestRootNumber } from '../manifest/newest-root.ts';
import type { Medium } from '../medium/medium.ts';
import { runAsync } from '../medium/steps.ts';
import { quarantine } from './quarantine.ts';
import { findRoots, type RootsFound, rebuildRoot } from './rebuild-root.ts';
import { pushEntries, replaceTables, type TableSink } from './repair-tables.ts';
import { type SalvagedSegment, salvageLog } from './salvage-log.ts';
import { type LostRecord, salvageRecords } from './salvage-records.ts';
import { isOtherFile, type LostRange, salvageTable } from './salvage-table.ts';
import { tablesOf } from './verify-tables.ts';

/** Something that is wrong, and what is, or would be, done about it. */
export interface RepairAction {
  readonly file: string;
  readonly what: string;
  readonly does: string;
  /** What is lost, in words; undefined: nothing. */
  readonly lost: string | undefined;
  /** Nothing is done about it: `does` says what a person has to do. */
  readonly isRefused?: true;
}

export interface RepairContext {
  readonly medium: Medium;
  readonly system: System;
  readonly layout: NamespaceLayout;
  readonly signal: AbortSignal | undefined;
}

export interface NamespaceRepair {
  readonly actions: readonly RepairAction[];
  /** The root that was put; undefined if none was needed, or nothing was to be changed. */
  readonly root: number | undefined;
}

const ATTEMPTS_MAX = 20;
const LEASE_MS = 10_000;
const LOCK_WAIT_MS = 60_000;

/** What would be done. Changes nothing. */
export async function planRepair(context: RepairContext): Promise<NamespaceRepair> {
  for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
    const plan = await new Planner(context).plan();
    if (plan !== 'changed') return { actions: plan.actions, root: undefined };
  }
  throw restless(context.layout);
}

/** Does it. @throws PeatError `LOCK_TIMEOUT` if a compactor holds the lock for too long; `TEMPORARY`, `STORAGE` */
export async function repairNamespace(context: RepairContext): Promise<NamespaceRepair> {
  await using held = await compactorLock(context).acquire({
    site: LOCK_SITES.repair,
    leaseMs: LEASE_MS,
    maxWaitMs: LOCK_WAIT_MS,
    signal: context.signal,
    purpose: 'peat repair',
  });
  const signal = context.signal === undefined ? held.signal : AbortSignal.any([held.signal, context.signal]);
  for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
    signal.throwIfAborted();
    const plan = await new Planner({ ...context, signal }).plan();
    if (plan === 'changed') continue;
    if (plan.actions.length === 0) return { actions: [], root: undefined };
    if (await carryOut(context, plan)) return { actions: plan.actions, root: plan.root?.number };
  }
  throw restless(context.layout);
}

function restless(layout: NamespaceLayout): PeatError {
  return new PeatError('TEMPORARY', `${layout.namespace} changed ${ATTEMPTS_MAX} times while it was being repaired; try again`, {
    namespace: layout.namespace,
  });
}

/** False if another root was faster. */
async function carryOut(context: RepairContext, plan: Plan): Promise<boolean> {
  const { medium, system, layout } = context;
  for (const file of plan.damagedFiles) await quarantine(medium, file);
  for (const { file, bytes } of plan.tables) await medium.putIfAbsent(layout.shard + file, bytes);
  if (plan.root !== undefined && (await commitRoot({ medium, system, layout }, plan.root)).outcome !== 'committed') return false;
  if (plan.deletions.length > 0) {
    await medium.syncNames(layout.root);
    await medium.delete(plan.deletions);
  }
  return true;
}

interface Plan {
  readonly actions: readonly RepairAction[];
  readonly damagedFiles: ReadonlySet<string>;
  /** Undefined if only old roots are in the way. */
  readonly root: Root | undefined;
  readonly tables: readonly { readonly file: string; readonly bytes: Buffer }[];
  /** Roots that can't be read. */
  readonly deletions: readonly string[];
}

class Planner implements TableSink {
  readonly #context: RepairContext;
  readonly #actions: RepairAction[] = [];
  readonly #damagedFiles = new Set<string>();
  readonly #tables: { file: string; bytes: Buffer }[] = [];
  readonly #pass: string;
  #number = 0;
  #tableBytes = 0;

  constructor(context: RepairContext) {
    this.#context = context;
    this.#pass = randomId(context.system, 20);
  }

  /** `changed`: a newer root came meanwhile. */
  async plan(): Promise<Plan | 'changed'> {
    const found = await findRoots(this.#context);
    if (found === undefined) return this.#nothing();
    const isNewestDamaged = found.damaged.includes(found.newest);
    // Deleted since it was listed.
    if (found.root === undefined && !isNewestDamaged) return 'changed';
    this.#number = found.newest + 1;
    this.#planOldRoots(found);
    const start = isNewestDamaged ? await this.#rebuild(found) : { root: this.#next(found), extras: [] };
    checkWriterFeatures(start.root, rootName(this.#context.layout, found.newest));
    if (start.root.state === 'dropped' && !isNewestDamaged) return this.#finish(found, undefined);
    const root = await this.#repairContents(start.root, start.extras, found);
    if (root === 'changed') return 'changed';
    return this.#finish(found, root ?? (isNewestDamaged ? start.root : undefined));
  }

  #nothing(): Plan {
    return { actions: [], damagedFiles: new Set(), root: undefined, tables: [], deletions: [] };
  }

  #finish(found: RootsFound, root: Root | undefined): Plan {
    const deletions = found.damaged.map((number) => rootName(this.#context.layout, number));
    return { actions: this.#actions, damagedFiles: this.#damagedFiles, root, tables: this.#tables, deletions };
  }

  /** The root after one that is whole. */
  #next(found: RootsFound): Root {
    const { system } = this.#context;
    const root = found.root as Root;
    return nextRoot({ root, sha256: found.sha256, readAt: now(this.#context), rootsListed: 1 }, system, {});
  }

  #planOldRoots({ damaged, newest }: RootsFound): void {
    for (const number of damaged) {
      if (number === newest) continue;
      const what = 'an older root is damaged';
      this.#act({ file: rootName(this.#context.layout, number), what, does: 'take it out; nobody reads it', lost: undefined });
    }
  }

  async #rebuild(found: RootsFound): Promise<{ root: Root; extras: readonly Entry[] }> {
    const file = rootName(this.#context.layout, found.newest);
    const { root, extras, how, risk } = await rebuildRoot(this.#context, found);
    this.#act({ file, what: 'the newest root is damaged', does: `put root ${root.number} after it: ${how}`, lost: risk });
    return { root, extras };
  }

  #act(action: RepairAction): void {
    this.#actions.push(action);
    this.#damagedFiles.add(action.file);
  }

  /** The root without damage; undefined if there is none in tables and log. */
  async #repairContents(root: Root, extras: readonly Entry[], found: RootsFound): Promise<Root | 'changed' | undefined> {
    const tables = await this.#repairTables(root, found);
    if (tables === 'changed') return 'changed';
    const log = await salvageLog(this.#context, root);
    for (const segment of log) this.#planSegment(segment);
    const salvaged = await salvageRecords(this.#context, { ...root, number: found.newest });
    if (salvaged === 'changed') return 'changed';
    for (const lost of salvaged?.lost ?? []) this.#planRecord(lost);
    if (tables.replacements.size === 0 && log.length === 0 && extras.length === 0 && salvaged === undefined) return undefined;

    const frames = log.flatMap((segment) => segment.frames);
    const records = salvaged?.records ?? [];
    const taken = [...frames, ...records].flatMap(({ entries }) => entries);
    const fresh = this.#newestOf(extras, taken);
    const shards = pushEntries(replaceTables(root.shards, tables.replacements), fresh, this);
    const lostDeltas = salvaged?.lostDeltas ?? 0;
    const deltasIn = taken.length + extras.length + lostDeltas;
    const entriesRead = [...tables.replacements.keys()].reduce((sum, { entries }) => sum + entries, 0);
    return {
      ...root,
      shards,
      absorbed: new Map([...root.absorbed, ...log.map(({ segment, absorbed }) => [segment.text, absorbed] as const)]),
      maxStamp: fresh.reduce<Stamp | undefined>((newest, { stamp }) => maxStamp(newest, stamp), root.maxStamp),
      dropped: this.#droppedBy(root, shards),
      serialThrough: salvaged?.serialThrough ?? root.serialThrough,
      serialNonces: salvaged?.serialNonces ?? root.serialNonces,
      counts: {
        ...NO_COUNTS,
        framesIn: frames.length + records.length,
        deltasIn,
        logBytesIn: frames.reduce((sum, { start, end }) => sum + end - start, 0) + records.reduce((sum, { bytes }) => sum + bytes, 0),
        entriesRead,
        entriesWritten: entriesRead - tables.lostEntries + fresh.length,
        superseded: deltasIn - lostDeltas - fresh.length,
        salvageLost: tables.lostEntries + lostDeltas,
        tableBytesOut: this.#tableBytes,
      },
    };
  }

  #droppedBy(root: Root, shards: Root['shards']): Map<string, number> {
    const dropped = new Map(root.dropped);
    const named = new Set(shards.flatMap(({ tables }) => tables.map(({ file }) => file)));
    for (const { file } of tablesOf(root)) if (!named.has(file)) dropped.set(file, this.#number);
    // A rebuilt root may name what its predecessor had already dropped.
    for (const file of named) dropped.delete(file);
    return dropped;
  }

  /** The newest version of each key, in order; those that a tombstone's rules apply to carry the root that absorbs them. */
  #newestOf(extras: readonly Entry[], taken: readonly Entry[]): Entry[] {
    const newest = new Map<Key, Entry>(extras.map((entry) => [entry.key, entry]));
    for (const entry of taken) {
      const other = newest.get(entry.key);
      if (other !== undefined && compareStamps(entry.stamp, other.stamp) <= 0) continue;
      const isMarked = entry.value === undefined || entry.expiresAtMs !== 0;
      newest.set(entry.key, isMarked ? { ...entry, absorbedAt: this.#number } : entry);
    }
    return [...newest.values()].sort((a, b) => (a.key < b.key ? -1 : 1));
  }

  #planSegment({ damage, frames }: SalvagedSegment): void {
    for (const { file, offset, bytes, what } of damage) {
      this.#act({
        file,
        what: `${what} at byte ${offset}`,
        does: `absorb the ${frames.length} batches of the segment that can be read, and pass over the damage`,
        lost: `the batches in these ${bytes} bytes`,
      });
    }
  }

  #planRecord({ file, what, lost, isThere }: LostRecord): void {
    const action = { file, what, does: 'absorb all records that can be read, and count this one as without effect', lost };
    if (isThere) this.#act(action);
    else this.#actions.push(action);
  }

  // ---- tables

  async #repairTables(
    root: Root,
    found: RootsFound,
  ): Promise<{ replacements: Map<TableRef, TableRef | undefined>; lostEntries: number } | 'changed'> {
    const { medium, layout, signal } = this.#context;
    const replacements = new Map<TableRef, TableRef | undefined>();
    let lostEntries = 0;
    for (const ref of tablesOf(root)) {
      signal?.throwIfAborted();
      const file = layout.shard + ref.file;
      const bytes = await medium.get(file, { offset: ref.offset, length: ref.length });
      if (bytes === undefined) {
        if ((await runAsync(highestRootNumber(layout), this.#context)) !== found.newest) return 'changed';
        this.#planMissing(file, ref);
        replacements.set(ref, undefined);
        lostEntries += ref.entries;
        continue;
      }
      const salvaged = salvageTable(bytes, ref);
      const problem = salvaged.problems[0];
      if (problem === undefined) continue;
      if (isOtherFile((await medium.get(file)) ?? bytes, ref)) {
        this.#planOther(file, ref);
        replacements.set(ref, undefined);
        lostEntries += ref.entries;
        continue;
      }
      replacements.set(ref, salvaged.table === undefined ? undefined : this.add(salvaged.table));
      lostEntries += salvaged.lostEntries;
      const saved = ref.entries - salvaged.lostEntries;
      this.#act({
        file,
        what: `${problem.what} at byte ${ref.offset + problem.offset}`,
        does: `write a new table of the ${saved} of ${ref.entries} entries that can be read`,
        lost: lostText(salvaged.lostEntries, salvaged.lostRanges, ref),
      });
    }
    return { replacements, lostEntries };
  }

  #planMissing(file: string, ref: TableRef): void {
    const what = `the file is gone, of which the root names a table at byte ${ref.offset}`;
    this.#actions.push({ file, what, does: 'let the table go', lost: tableText(ref) });
  }

  #planOther(file: string, ref: TableRef): void {
    const what = `whole tables stand in it, but not the one that the root names at byte ${ref.offset}: it is another file`;
    this.#act({ file, what, does: 'let the table go, and take in nothing of what stands there', lost: tableText(ref) });
  }

  add(table: BuiltTable): TableRef {
    const { bytes, ...facts } = table;
    const file = tableFileText({ root: this.#number, pass: this.#pass, index: this.#tables.length });
    this.#tables.push({ file, bytes: Buffer.from(bytes) });
    this.#tableBytes += bytes.length;
    return { ...facts, file, offset: 0 };
  }
}

function tableText({ entries, first, last }: TableRef): string {
  return `${entries} entries from ${show(fromKey(first))} to ${show(fromKey(last))}; older versions of them may show again`;
}

function lostText(entries: number, ranges: readonly LostRange[], ref: TableRef): string | undefined {
  if (entries === 0) return undefined;
  const text = (key: Key): string => show(fromKey(key));
  const where = ranges.map(({ after, before }) => {
    const from = after === '' ? `from ${text(ref.first)}` : `above ${text(after)}`;
    return `${from} ${before === undefined ? `to ${text(ref.last)}` : `below ${text(before)}`}`;
  });
  return `${entries} entries with keys ${where.join(', and ')}; older versions of them may show again`;
}
