/**
 * A full disk, read and write errors, and too many open files, at each call of the medium in turn: the caller is told so by a typed error,
 * nothing acknowledged is lost, what failed for certain is not there, and all goes on once the disk has room again.
 */
import { describe, expect, it } from 'vitest';
import { compactOnce } from '../../compactor/pass.ts';
import { nodeSystem } from '../../src/base/system.ts';
import { namespaceLayout } from '../../src/format/layout.ts';
import { DEFAULT_CONSTANTS } from '../../src/format/store-file.ts';
import { isPeatError, MemoryMedium, type Namespace, open, PeatError, type Store } from '../../src/index.ts';
import { FileMedium } from '../../src/medium/file-medium.ts';
import { FaultyMedium, type MediumCall } from '../support/faulty-medium.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';
import { batchOf, judge, summarize } from './history.mjs';

const LAYOUT = namespaceLayout('crash');
const WRITER = { writer: 'w', lane: 'l' };
const BATCHES = 8;
const CALLS_MAX = 400;

type ErrorCode = 'ENOSPC' | 'EIO' | 'EMFILE';
type Effect = 'fail' | 'half' | 'drop-answer';

function systemError(code: ErrorCode): NodeJS.ErrnoException {
  return Object.assign(new Error(`${code}: injected`), { code, errno: -1 });
}

/** As a medium throws it: a put that was executed, although its answer was lost, says that it may have been. */
function mediumError(code: ErrorCode, { effect, op }: { effect: Effect; op: MediumCall['op'] }): PeatError {
  const isUnknown = effect === 'drop-answer' && op === 'putIfAbsent';
  return new PeatError(isUnknown ? 'OUTCOME_UNKNOWN' : 'STORAGE', `${op} failed: ${code}`, { cause: systemError(code) });
}

/** What became of the batches. */
class Ledger {
  readonly acked: number[] = [];
  readonly failed: number[] = [];
  readonly unknown: number[] = [];

  clear(): void {
    for (const list of [this.acked, this.failed, this.unknown]) list.length = 0;
  }

  async record(n: number, write: () => Promise<unknown>): Promise<void> {
    try {
      await write();
      this.acked.push(n);
    } catch (error) {
      if (isPeatError(error, 'OUTCOME_UNKNOWN')) this.unknown.push(n);
      else if (isPeatError(error, 'STORAGE')) this.failed.push(n);
      else throw error;
    }
  }

  async problems(store: Store): Promise<string[]> {
    const summary = await summarize(store.namespace('crash').scan());
    const present = Object.keys(summary.writers['w']?.batches ?? {}).map(Number);
    const told = [{ ...WRITER, acked: this.acked, called: BATCHES * 2 }];
    return [...judge(summary, told), ...this.failed.filter((n) => present.includes(n)).map((n) => `batch ${n} failed, but is there`)];
  }
}

async function put(entries: Namespace, n: number, blocking: boolean): Promise<void> {
  const operations = batchOf({ ...WRITER, n, size: 3, bytes: 50 }) as Parameters<Namespace['batch']>[0];
  if (blocking) entries.batchSync(operations);
  else await entries.batch(operations);
}

interface Case {
  readonly canAppend: boolean;
  readonly blocking: boolean;
  readonly code: ErrorCode;
  readonly effect: Effect;
}

/** Fails call `number` of the medium. False if there was no such call any more. */
function failAt(faulty: FaultyMedium, number: number, { code, effect }: Case): () => boolean {
  let wasHit = false;
  for (const op of ['putIfAbsent', 'other'] as const) {
    faulty.inject({
      when: (call) => {
        if (call.number !== number || (call.op === 'putIfAbsent') !== (op === 'putIfAbsent')) return false;
        wasHit = true;
        return true;
      },
      effect,
      error: mediumError(code, { effect, op: op === 'other' ? 'sync' : op }),
    });
  }
  return () => wasHit;
}

/** A writer's life with one failing call, and what comes after it. False if there was no such call any more. */
async function writeWithFault(number: number, options: Case): Promise<boolean> {
  const memory = new MemoryMedium({ system: nodeSystem, canAppend: options.canAppend, blocking: options.blocking });
  const faulty = new FaultyMedium(memory);
  const wasHit = failAt(faulty, number, options);
  const ledger = new Ledger();
  const openOptions = { autoCompact: false, segmentBytesMax: 1024 };
  let store: Store | undefined;
  const start = async (): Promise<void> => {
    store ??= await open(faulty, openOptions);
    if (options.blocking) await store.createNamespace('crash');
  };
  await ledger.record(-1, start);
  if (ledger.acked.length === 0) await start();
  if (store === undefined) throw new Error('it was opened');
  ledger.clear();
  const entries = store.namespace('crash');
  for (let n = 0; n < BATCHES; n++) await ledger.record(n, () => put(entries, n, options.blocking));
  const failures = ledger.failed.length + ledger.unknown.length;
  expect(failures).toBeLessThanOrEqual(1);
  await store.close();

  faulty.heal();
  // Handles of one machine are ordered by its clock, to the millisecond.
  await nodeSystem.sleep(2);
  const after = await open(faulty, openOptions);
  expect(await ledger.problems(after), `call ${number}`).toEqual([]);
  await ledger.record(BATCHES, () => put(after.namespace('crash'), BATCHES, options.blocking));
  expect(ledger.acked).toContain(BATCHES);
  const [summary] = await after.compact();
  expect(summary?.warnings).toEqual([]);
  expect(await ledger.problems(after), `call ${number}, compacted`).toEqual([]);
  await after.close();
  return wasHit();
}

/** The same for a compactor. */
async function compactWithFault(number: number, options: Case): Promise<boolean> {
  const memory = new MemoryMedium({ system: nodeSystem, canAppend: options.canAppend, blocking: options.blocking });
  const store = await open(memory, { autoCompact: false, segmentBytesMax: 1024 });
  const entries = store.namespace('crash');
  const ledger = new Ledger();
  const faulty = new FaultyMedium(memory);
  const logged: string[] = [];
  const constants = { ...DEFAULT_CONSTANTS, retentionMs: 0, segmentGraceMs: 0, rootsKept: 1 };
  const context = { medium: faulty, system: nodeSystem, layout: LAYOUT, constants, log: (message: string) => logged.push(message) };
  const wasHit = failAt(faulty, number, options);
  for (let n = 0; n < BATCHES; n++) {
    await ledger.record(n, () => put(entries, n, false));
    await compactOnce(context).catch((error: unknown) => {
      if (!isPeatError(error, 'STORAGE') && !isPeatError(error, 'OUTCOME_UNKNOWN')) throw error;
    });
  }
  expect(ledger.acked).toHaveLength(BATCHES);
  expect(await ledger.problems(store), `call ${number}`).toEqual([]);
  faulty.heal();
  for (let i = 0; i < 2; i++) {
    await ledger.record(BATCHES + i, () => put(entries, BATCHES + i, false));
    expect(await compactOnce(context)).toMatchObject({ outcome: 'committed', warnings: [], more: false });
  }
  const fresh = await open(memory, { readOnly: true });
  expect(await ledger.problems(fresh), `call ${number}, compacted`).toEqual([]);
  await store.close();
  return wasHit();
}

async function failEachCall(work: (number: number, options: Case) => Promise<boolean>, options: Case): Promise<void> {
  let number = 1;
  while (await work(number, options)) {
    number++;
    expect(number).toBeLessThan(CALLS_MAX);
  }
  expect(number).toBeGreaterThan(10);
}

const CASES: readonly Case[] = [
  { canAppend: true, blocking: true, code: 'ENOSPC', effect: 'fail' },
  { canAppend: true, blocking: true, code: 'ENOSPC', effect: 'half' },
  { canAppend: true, blocking: false, code: 'EIO', effect: 'fail' },
  { canAppend: true, blocking: false, code: 'EIO', effect: 'drop-answer' },
  { canAppend: true, blocking: false, code: 'EMFILE', effect: 'fail' },
  { canAppend: false, blocking: true, code: 'ENOSPC', effect: 'fail' },
  { canAppend: false, blocking: false, code: 'EIO', effect: 'fail' },
  { canAppend: false, blocking: false, code: 'EIO', effect: 'drop-answer' },
];

describe.each(CASES)('$code ($effect; append: $canAppend, blocking: $blocking)', (options) => {
  it('at each call of a writer is told, and passes', async () => {
    await failEachCall(writeWithFault, options);
  });

  it('at each call of a compactor harms nothing, and passes', async () => {
    await failEachCall(compactWithFault, options);
  });
});

describe('a file system', () => {
  /** A store on files whose calls fail when `fault` says so. */
  async function openFiles(
    fault: (operation: string, path: string) => ErrorCode | undefined,
  ): Promise<{ store: Store; directory: string }> {
    const directory = temporaryDirectory();
    await (await open(directory)).close();
    const beforeCall = (operation: string, path: string): void => {
      const code = fault(operation, path);
      if (code !== undefined) throw systemError(code);
    };
    return { store: await open(FileMedium.open(directory, { beforeCall }), { autoCompact: false }), directory };
  }

  it.each([
    { operation: 'write', code: 'ENOSPC' },
    { operation: 'fdatasync', code: 'EIO' },
  ] as const)(
    'that fails a $operation with $code leaves the outcome unknown, and the next write goes to a new segment',
    async ({ operation, code }) => {
      let isBroken = false;
      const { store, directory } = await openFiles((op, path) =>
        isBroken && op === operation && path.includes('/log/') ? code : undefined,
      );
      const entries = store.namespace<number>('crash');
      const segmentOf = (token: string): string => token.slice(0, token.indexOf('@'));
      const before = await entries.put('before', 1);
      isBroken = true;
      const failure = await entries.put('broken', 2).catch((error: unknown) => error);
      expect(failure).toMatchObject({ code: 'OUTCOME_UNKNOWN', cause: { code: 'STORAGE', cause: { code } } });
      isBroken = false;
      const after = await entries.put('after', 3);
      expect(segmentOf(after)).not.toBe(segmentOf(before));
      await store.close();
      const fresh = await open(directory);
      const read = await fresh.namespace('crash').getMany(['before', 'after']);
      expect(read).toEqual([1, 3]);
      await fresh.close();
    },
  );

  it('that runs out of descriptors for a while only makes calls slower', async () => {
    let refusals = 0;
    const { store } = await openFiles((op) => (op === 'open' && refusals-- > 0 ? 'EMFILE' : undefined));
    const entries = store.namespace<number>('crash');
    refusals = 3;
    await entries.put('a', 1);
    refusals = 3;
    await store.compact();
    refusals = 3;
    expect(await entries.get('a')).toBe(1);
    await store.close();
  });

  it('that stays out of descriptors makes writes fail, and none is half there', async () => {
    let isOut = false;
    const { store } = await openFiles((op, path) => (isOut && op === 'open' && path.includes('/ns/') ? 'EMFILE' : undefined));
    const entries = store.namespace<number>('crash');
    await entries.put('a', 1);
    isOut = true;
    const other = store.namespace<number>('crash');
    await expect(other.put('b', 2)).rejects.toMatchObject({ code: expect.stringMatching(/^(STORAGE|OUTCOME_UNKNOWN)$/) });
    isOut = false;
    await other.put('b', 3);
    expect(await entries.getMany(['a', 'b'])).toEqual([1, 3]);
    await store.close();
  });
});
