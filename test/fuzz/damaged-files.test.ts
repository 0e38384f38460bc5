/**
 * Whole files that are missing, stand under another's name, or are something else than a file: links to nowhere, in a circle or to what never ends,
 * pipes, directories, files of a terabyte; and names that nobody of a store's would have. On a real file system where that matters.
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, renameSync, rmSync, symlinkSync, truncateSync, unlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { open } from '../../src/index.ts';
import { parseStoreName } from '../../src/inspect/store-names.ts';
import { FileMedium } from '../../src/medium/file-medium.ts';
import { type Contents, cutsOf, DamageJudge } from '../support/damage.ts';
import { PEAT_MAIN, runPeat } from '../support/run-peat.ts';
import { Zoo } from '../support/store-zoo.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

let judge: DamageJudge;

beforeAll(async () => {
  const zoo = new Zoo();
  await zoo.build();
  judge = await DamageJudge.of(zoo);
});

function kindOf(name: string): string {
  return parseStoreName(name).kind;
}

/** What the store holds without this file, where its absence leaves no trace. */
async function without(name: string): Promise<Contents[]> {
  // An object before later ones is passed over: nothing else has its keys.
  if (kindOf(name) === 'segment-part') return [await judge.lacking(name)];
  if (!['segment', 'record', 'root'].includes(kindOf(name))) return [];
  // Of an update of several stripes a missing part is damage: there is nothing else that it may hold.
  return await judge.alternatives([{ [name]: undefined }]).catch(() => []);
}

describe('the judge', () => {
  it('finds an answer that lacks something, and a failure that no damage explains', async () => {
    expect(await judge.read(judge.store.with({}))).toBeUndefined();
    // Nobody tells it that the absence of a segment leaves no trace.
    const segment = [...judge.store.files.keys()].findLast((name) => kindOf(name) === 'segment') as string;
    expect(await judge.read(judge.store.with({ [segment]: undefined }))).toMatch(/^a scan differs: /);
    const broken = judge.store.with({});
    broken.get = () => Promise.reject(new TypeError('a defect'));
    expect(await judge.read(broken)).toMatch(/a defect/);
  });
});

describe('a store with a file that should not be as it is', () => {
  it('answers with what was there, or with what leaves no trace, or refuses, whichever file is missing', async () => {
    const problems: string[] = [];
    for (const name of judge.store.files.keys()) {
      const others = await without(name);
      const store = judge.store.with({ [name]: undefined });
      for (const wrong of [await judge.read(store, others), await judge.verify(store), await judge.repair(store, others)]) {
        if (wrong !== undefined) problems.push(`without ${name}: ${wrong}`);
      }
    }
    expect(problems).toEqual([]);
  });

  it('takes no file for another one of its kind', async () => {
    const problems: string[] = [];
    let tried = 0;
    const names = [...judge.store.files.keys()];
    for (const [i, name] of names.entries()) {
      // The next two of its kind, as if one had been copied over the other.
      const same = [...names.slice(i + 1), ...names.slice(0, i)].filter((other) => kindOf(other) === kindOf(name)).slice(0, 2);
      for (const other of same) {
        const bytes = judge.store.files.get(other) as Buffer;
        if (bytes.equals(judge.store.files.get(name) as Buffer)) continue;
        // A segment of the wrong name is one that ends at once.
        const others = [...(await without(name)), ...(await judge.alternatives(cutsOf(name, judge.store.files.get(name) as Buffer, 0)))];
        const store = judge.store.with({ [name]: bytes });
        for (const wrong of [await judge.read(store, others), await judge.verify(store), await judge.repair(store, others)]) {
          if (wrong !== undefined) problems.push(`${other} in place of ${name}: ${wrong}`);
        }
        tried++;
      }
    }
    expect(tried).toBeGreaterThan(40);
    expect(problems).toEqual([]);
  });

  it('is not misled by names that are none of a store', async () => {
    const problems: string[] = [];
    const root = [...judge.store.files].findLast(([name]) => kindOf(name) === 'root') as [string, Buffer];
    const segment = [...judge.store.files].findLast(([name]) => kindOf(name) === 'segment') as [string, Buffer];
    for (const name of [
      'ns/zoo/root/99999999999999999999',
      'ns/zoo/root/0000000000000000000009',
      'ns/zoo/root/00000000000000000009~',
      'ns/zoo/root/-0000000000000000009',
      'ns/zoo/log/s99999999999-00000000000000000001',
      'ns/zoo/log/00000000000000000003-short-0',
      'ns/zoo/log/..%2f..%2fpeat.json',
      'ns/zoo/shard/..',
      'ns/zoo/shard/nul\\0',
      'ns/ZOO/root/00000000000000000001',
      'ns/.hidden/root/00000000000000000001',
      'ns/zoo/deeper/root/00000000000000000001',
      'lock/user//00000000000000000001',
      'lock/user/..%2f/00000000000000000001',
    ]) {
      const store = judge.store.with({ [name]: name.includes('root') ? root[1] : segment[1] });
      for (const wrong of [await judge.read(store), await judge.verify(store), await judge.repair(store)]) {
        if (wrong !== undefined) problems.push(`with ${name}: ${wrong}`);
      }
    }
    expect(problems).toEqual([]);
  });
});

/** The zoo in a directory. */
function writeStore(): string {
  const directory = join(temporaryDirectory(), 'store');
  for (const [name, bytes] of judge.store.files) {
    const path = join(directory, name);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, bytes);
  }
  return directory;
}

interface Strange {
  readonly what: string;
  readonly make: (path: string, directory: string) => void;
}

const STRANGE: readonly Strange[] = [
  { what: 'a link to nowhere', make: (path) => symlinkSync('nowhere', path) },
  { what: 'a link to itself', make: (path) => symlinkSync(path, path) },
  { what: 'a link to what never ends', make: (path) => symlinkSync('/dev/zero', path) },
  { what: 'a directory', make: (path) => mkdirSync(path) },
  { what: 'a link to its own store', make: (path, directory) => symlinkSync(directory, path) },
  {
    what: 'a pipe',
    make: (path) => {
      expect(spawnSync('mkfifo', [path]).status).toBe(0);
    },
  },
  {
    what: 'a file of a terabyte',
    make: (path) => {
      writeFileSync(path, '');
      truncateSync(path, 2 ** 40);
    },
  },
];

/** What a command may use beyond what Node does. */
const MEMORY_KB_MAX = 700_000;

describe('something strange in the place of a file', () => {
  const kinds = ['store-file', 'root', 'table-file', 'segment', 'record', 'ticket'] as const;
  it.each(STRANGE)('as $what is read, verified and repaired, or refused, in bounded time and memory', async ({ make }) => {
    const problems: string[] = [];
    for (const kind of kinds) {
      const names = [...judge.store.files.keys()].filter((name) => kindOf(name) === kind);
      const name = names.at(-1) as string;
      const directory = writeStore();
      unlinkSync(join(directory, name));
      make(join(directory, name), directory);
      const others = await without(name);
      const medium = FileMedium.open(directory, { readOnly: true });
      const wrong = await judge.scan(medium, others);
      // Where a link leads nowhere, each look finds a root that is gone again.
      if (
        wrong !== undefined &&
        !/PeatError: (.* is .*, and none of a store|(read|open|stat) of .* failed: E|.* changed 1000 times)/.test(wrong)
      )
        problems.push(`${name}: ${wrong}`);
      for (const args of [
        ['verify', directory],
        ['stats', directory],
        ['inspect', join(directory, name)],
        ['lock', 'list', directory],
        ['repair', directory, '--yes'],
      ]) {
        const ran = runBounded(args);
        if (ran !== undefined) problems.push(`${name}: ${ran}`);
      }
    }
    expect(problems).toEqual([]);
  });

  it('as links that lead in circles is listed once', async () => {
    const directory = writeStore();
    for (const below of ['ns', 'ns/zoo', 'ns/zoo/log', 'lock', 'tmp'])
      for (const n of [1, 2]) symlinkSync(directory, join(directory, below, `circle${n}`));
    await using store = await open(directory, { readOnly: true });
    const keys: string[] = [];
    for await (const { key } of store.namespace('zoo').scan()) keys.push(key);
    expect(keys.length).toBeGreaterThan(20);
    expect(runBounded(['verify', directory])).toBeUndefined();
  });

  it('as a link in the place of the folder for temporary files takes writes', async () => {
    const directory = writeStore();
    rmSync(join(directory, 'notes.txt'));
    renameSync(join(directory, 'tmp'), join(directory, 'elsewhere'));
    symlinkSync('elsewhere', join(directory, 'tmp'));
    expect(await runPeat(['put', directory, '-n', 'zoo', 'through a link', '1'])).toMatchObject({ code: 0 });
  });
});

/** Runs the command line with bounds on its time and memory; says what is wrong with how it ended. */
function runBounded(args: readonly string[]): string | undefined {
  const script = `ulimit -v ${MEMORY_KB_MAX + 1_500_000}; exec "$0" "$@"`;
  const { status, signal, stderr } = spawnSync('sh', ['-c', script, process.execPath, PEAT_MAIN, ...args], {
    encoding: 'utf8',
    timeout: 120_000,
  });
  const what = `peat ${args.join(' ')}`;
  if (signal !== null) return `${what} was still running after two minutes`;
  if (status !== 0 && status !== 1 && status !== 75) return `${what} ended with ${status}: ${stderr}`;
  if (/\n\s+at |heap out of memory/.test(stderr)) return `${what} says ${stderr}`;
  return undefined;
}
