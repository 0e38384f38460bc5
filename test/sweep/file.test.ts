/**
 * The same on files, in a smaller form: the k-th call to the file system fails. What one call of the medium is, is several of these here, so
 * that a put may fail between its link and the sync of its directory, and so on.
 */
import { cpSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { nodeSystem } from '../../src/base/system.ts';
import { type Namespace, open, type Store } from '../../src/index.ts';
import { verifyStore } from '../../src/inspect/verify.ts';
import { FileMedium } from '../../src/medium/file-medium.ts';
import { all, type Effect, Ledger, outcomeOf, put, type State } from '../support/ledger.ts';
import { IS_FULL } from '../support/sweep.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

interface FileOperation {
  readonly name: string;
  /** Without it, in an empty directory. */
  readonly inStore: boolean;
  readonly effect: Effect;
  /** A failure that says that nothing was written is to be believed. */
  readonly isWrite: boolean;
  readonly run: (store: Store, runs: Namespace) => Promise<unknown>;
}

const OPERATIONS: readonly FileOperation[] = [
  { name: 'open, which creates the store', inStore: false, effect: () => {}, isWrite: false, run: async () => {} },
  { name: 'put', inStore: true, effect: put('a', 1), isWrite: true, run: (_, runs) => runs.put('a', 1) },
  { name: 'putSync', inStore: true, effect: put('a', 1), isWrite: true, run: async (_, runs) => runs.putSync('a', 1) },
  { name: 'update', inStore: true, effect: put('n', 2), isWrite: true, run: (_, runs) => runs.update('n', (n) => Number(n) + 1) },
  {
    name: 'updateMany',
    inStore: true,
    effect: all(put('a', 1), put('c', 2)),
    isWrite: true,
    run: (_, runs) => runs.updateMany(['a', 'c'], () => [1, 2]),
  },
  { name: 'compact', inStore: true, effect: () => {}, isWrite: false, run: (store) => store.compact() },
  { name: 'getMany', inStore: true, effect: () => {}, isWrite: false, run: (_, runs) => runs.getMany(['a', 'b', 'c']) },
];

const KINDS = [
  // It is tried again, where that is safe.
  { errno: 'EIO', mode: 'once' },
  { errno: 'ENOSPC', mode: 'once' },
  { errno: 'ENOSPC', mode: 'from then on' },
  { errno: 'EACCES', mode: 'once' },
] as const;

interface FileTrial {
  readonly errno: string;
  readonly mode: 'once' | 'from then on';
  readonly k: number;
}

const FORMS = [
  { name: 'append', canAppend: true },
  { name: 'objects', canAppend: false },
] as const;
type Form = (typeof FORMS)[number];

const START: State = new Map<string, unknown>([
  ['a', 'old a'],
  ['c', 'old c'],
  ['n', 1],
]);

/** A store with a table, a tail, and a record. */
async function makeTemplate({ canAppend }: Form): Promise<string> {
  const directory = temporaryDirectory();
  const store = await open(directory, { autoCompact: false, segments: canAppend ? 'appended' : 'framed' });
  const runs = store.namespace('runs');
  await runs.batch(['a', 'b'].map((key) => ({ type: 'put', key, value: `old ${key}` })));
  await store.compact();
  await runs.batch([
    { type: 'delete', key: 'b' },
    { type: 'put', key: 'c', value: 'old c' },
  ]);
  await runs.update('n', () => 1);
  await store.close();
  return directory;
}

/** Which calls were made, and what was wrong afterwards. */
async function runTrial(
  operation: FileOperation,
  form: Form,
  { template, directory, trial }: { template: string; directory: string; trial?: FileTrial },
): Promise<{ calls: readonly string[]; problems: readonly string[] }> {
  mkdirSync(directory);
  if (operation.inStore) cpSync(template, directory, { recursive: true });
  const ledger = new Ledger(operation.inStore ? START : new Map());
  const problems: string[] = [];
  const calls: string[] = [];
  let isArmed = !operation.inStore;
  const beforeCall = (call: string, path: string): void => {
    if (!isArmed) return;
    calls.push(`${call} of ${path.slice(directory.length + 1)}`);
    const fails = trial !== undefined && (trial.mode === 'once' ? calls.length === trial.k : calls.length >= trial.k && isWriting(call));
    if (fails) throw Object.assign(new Error(`${trial.errno}: injected`), { code: trial.errno, errno: -1 });
  };
  const end = ledger.begin(operation.effect);
  let medium: FileMedium | undefined;
  let store: Store | undefined;
  try {
    medium = FileMedium.open(directory, { beforeCall, canAppend: form.canAppend });
    store = await open(medium, { autoCompact: false, onWarning: () => {} });
    isArmed = true;
    await operation.run(store, store.namespace('runs'));
    end('acknowledged');
  } catch (error) {
    const outcome = outcomeOf(error);
    if (outcome === undefined) problems.push(`${operation.name} failed: ${String(error)}`);
    else if (operation.isWrite) end(outcome);
  }
  // Room again, while the process still lives: what it could not give back then is what it gives back now.
  isArmed = false;
  await store?.close().catch((error: unknown) => problems.push(`close failed: ${String(error)}`));
  await medium?.close();
  try {
    problems.push(...(await settleDown(directory, ledger)));
  } catch (error) {
    problems.push(`the next process failed: ${String(error)}`);
  }
  return { calls, problems };
}

/** A full disk lets everything be read. @param call a call, with or without what it is made on */
function isWriting(call: string): boolean {
  return /^(write|mkdir|link|fdatasync|fsync)\b/.test(call);
}

async function settleDown(directory: string, ledger: Ledger): Promise<string[]> {
  const problems: string[] = [];
  const store = await open(directory, { autoCompact: false, onWarning: ({ message }) => problems.push(message) });
  const runs = store.namespace('runs');
  const judge = async (when: string, isLast: boolean): Promise<void> => {
    const state = new Map<string, unknown>();
    for await (const { key, value } of runs.scan()) state.set(key, value);
    const wrong = ledger.judge(state);
    if (wrong !== undefined) problems.push(`${when}: ${wrong}`);
    if (isLast) ledger.settle(state);
  };
  await judge('afterwards', true);
  await runs.put('later', 1);
  ledger.begin(put('later', 1))('acknowledged');
  for (const { warnings } of await store.compact()) problems.push(...warnings);
  await judge('after a compaction', false);
  await store.close();
  const medium = FileMedium.open(directory);
  await verifyStore(
    { medium, system: nodeSystem },
    {
      onFinding: ({ severity, code, file }) => {
        if (severity === 'damage') problems.push(`verify finds ${code} in ${file}`);
      },
    },
  );
  await medium.close();
  return problems;
}

/** In the short form: so many calls of each operation fail in each way. */
const FEW = 3;

describe.each(FORMS)('on files of the form "$name"', (form) => {
  test.each(OPERATIONS.filter(({ name }) => form.canAppend || name !== 'putSync'))(
    '$name survives each call that fails',
    async (operation) => {
      const parent = temporaryDirectory();
      const template = await makeTemplate(form);
      const only = process.env['PEAT_SWEEP_ONLY'];
      const clean = await runTrial(operation, form, { template, directory: join(parent, 'clean') });
      expect(clean.problems).toEqual([]);
      const failures: string[] = [];
      for (const [i, kind] of KINDS.entries()) {
        const numbers = clean.calls.flatMap((call, n) => (kind.errno !== 'ENOSPC' || isWriting(call) ? [n + 1] : []));
        const stride = IS_FULL || only !== undefined ? 1 : Math.max(1, Math.ceil(numbers.length / FEW));
        for (const k of numbers.filter((_, n) => n % stride === (i * 2) % stride)) {
          const id = ['files', operation.name, form.name, kind.errno, kind.mode, k].join('/');
          if (only !== undefined && only !== id) continue;
          const { calls, problems } = await runTrial(operation, form, {
            template,
            directory: join(parent, `${i}-${k}`),
            trial: { ...kind, k },
          });
          if (problems.length > 0) failures.push(`PEAT_SWEEP_ONLY='${id}': call ${k}, ${calls[k - 1]}:\n    ${problems.join('\n    ')}`);
        }
      }
      expect(failures.join('\n')).toBe('');
    },
  );
});
