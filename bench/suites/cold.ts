/** Fresh processes: how long until a program that has just been started has read something. */
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { Latencies } from '../../src/cli/replay/latencies.ts';
import { type Case, numberOf, type Outcome, type Scale, type Stage, type Suite } from '../harness/suite.ts';
import { peerNamed } from '../peers/index.ts';
import type { PeerName } from '../peers/peer.ts';
import { entryMaker, fill, shuffled } from '../workload.ts';
import { type ColdTask, STEPS } from './cold/task.ts';

const PROGRAM = fileURLToPath(new URL('./cold/program.js', import.meta.url));
const PEERS: readonly PeerName[] = ['peat', 'sqlite-normal', 'lmdb', 'classic-level'];
const TARGET_ENTRIES = 262_144;

/** What figures call the steps. */
const KINDS: Readonly<Record<ColdTask['step'], string>> = { node: 'bare node', import: 'import', get: 'first get', list: 'first list' };
const TO_THE_END = 'whole process';

/** What came after the last compaction: so many commits, by so many writers, one after the other. */
interface Tail {
  readonly frames: number;
  readonly segments: number;
}

interface Size {
  /** Of settled stores. Those with a tail have as many as the last. */
  readonly entries: readonly number[];
  readonly tails: readonly Tail[];
  /** Processes of each kind in a trial, and those before that do not count. */
  readonly repetitions: number;
  readonly warmUps: number;
}

const SIZES: Readonly<Record<Scale, Size>> = {
  smoke: { entries: [200], tails: [{ frames: 20, segments: 2 }], repetitions: 1, warmUps: 0 },
  small: {
    entries: [20_000],
    tails: [{ frames: 1000, segments: 100 }],
    repetitions: 3,
    warmUps: 1,
  },
  full: {
    entries: [1000, TARGET_ENTRIES],
    tails: [
      { frames: 100, segments: 1 },
      { frames: 10_000, segments: 1 },
      { frames: 100, segments: 10 },
      { frames: 10_000, segments: 1000 },
    ],
    repetitions: 10,
    warmUps: 1,
  },
};

const settledName = (entries: number): string => `${entries.toLocaleString('en')} entries, settled`;

function cases(scale: Scale): Case[] {
  const { entries: sizes, tails, ...counts } = SIZES[scale];
  const entries = sizes.at(-1) ?? 0;
  const common = { processes: 1 };
  return [
    ...sizes.map((count): Case => {
      const params = { entries: count, frames: 0, segments: 0, ...counts };
      return { ...common, name: settledName(count), peers: [...PEERS, 'json-file'], params };
    }),
    ...tails.map(({ frames, segments }): Case => {
      const name = `${entries.toLocaleString('en')} entries, then ${frames.toLocaleString('en')} commits by ${segments.toLocaleString('en')} writers`;
      return { ...common, name, peers: PEERS, params: { entries, frames, segments, ...counts } };
    }),
  ];
}

const workloadOf = ({ params, seed }: Pick<Stage, 'params' | 'seed'>) => {
  const entries = numberOf(params, 'entries');
  const models = Math.min(1200, Math.ceil(entries / 100));
  return { entries, models, entryAt: entryMaker({ seed, models }) };
};

/** Writers come and go, as command-line tools do: each opens the store, commits a few entries, and closes it. */
async function prepare(stage: Stage): Promise<void> {
  const { entries, entryAt } = workloadOf(stage);
  const peer = await peerNamed(stage.peer);
  const store = await peer.open(stage.directory);
  await fill(store, entries, entryAt);
  await store.settle();
  await store.close();
  const [frames, segments] = [numberOf(stage.params, 'frames'), numberOf(stage.params, 'segments')];
  for (let segment = 0; segment < segments; segment++) {
    const writer = await peer.open(stage.directory);
    for (let frame = segment; frame < frames; frame += segments) {
      const { key, value } = entryAt(entries + frame);
      await writer.put(key, value);
    }
    await writer.close();
  }
}

async function run(stage: Stage): Promise<Outcome> {
  const { peer, directory, seed, params } = stage;
  const { entries, entryAt } = workloadOf(stage);
  const order = shuffled(entries, seed);
  const latencies = new Map<string, Latencies>();
  const note = (kind: string, ms: number): void => {
    const counts = latencies.get(kind) ?? new Latencies();
    latencies.set(kind, counts);
    counts.add(ms * 1000);
  };
  const hash = createHash('sha256');
  await stage.start();
  // After the first ones, which do not count, the system has the programs and the store in memory.
  for (let repetition = -numberOf(params, 'warmUps'); repetition < numberOf(params, 'repetitions'); repetition++) {
    const { key } = entryAt(order.at(repetition) as number);
    for (const step of STEPS) {
      const task: ColdTask = { step, peer, directory, key, prefix: `${key.split('/')[0]}/` };
      const { found, foundMs, endedMs } = await runProgram(task);
      hash.update(found);
      if (repetition < 0) continue;
      note(KINDS[step], foundMs);
      if (step === 'get') note(TO_THE_END, endedMs);
    }
  }
  return {
    latencies: Object.fromEntries([...latencies].map(([kind, counts]) => [kind, counts.toJSON()])),
    checksum: hash.digest('hex'),
  };
}

interface Ran {
  readonly found: string;
  /** Since it was started: until it told what it had found, and until it had ended. */
  readonly foundMs: number;
  readonly endedMs: number;
}

async function runProgram(task: ColdTask): Promise<Ran> {
  const startMs = performance.now();
  const child = spawn(process.execPath, [PROGRAM, JSON.stringify(task)], { stdio: ['ignore', 'pipe', 'inherit'] });
  const ended = once(child, 'exit').then(([code]) => ({ code: code as number | null, endedMs: performance.now() - startMs }));
  let found = '';
  let foundMs = Number.NaN;
  for await (const bytes of child.stdout) {
    if (found === '') foundMs = performance.now() - startMs;
    found += String(bytes);
  }
  const { code, endedMs } = await ended;
  if (code !== 0 || found === '') throw new Error(`the program for ${task.step} ended with ${code} and said ${JSON.stringify(found)}`);
  return { found, foundMs, endedMs };
}

export const suite: Suite = {
  name: 'cold',
  about:
    'Programs that start, read and end, timed from outside: from before the process is spawned until it prints what it has found ("whole process": until it ' +
    'has ended). Each goes a step further: "bare node" does nothing; "import" loads the library (and msgpack, where the peer needs it); "first get" opens the store and gets a ' +
    'key; "first list" lists all versions of that model as well. They take turns; the files are in the memory of the system. A store ' +
    'is filled and settled (compaction, checkpoint); in some cases short-lived writers have then committed entries, each opening and closing ' +
    'the store, and nobody has settled it again.',
  figures: {},
  targets: [
    {
      name: `first get in a fresh process, ${TARGET_ENTRIES.toLocaleString('en')} entries: p50 against sqlite-normal`,
      of: { suite: 'cold', case: settledName(TARGET_ENTRIES), peer: 'peat', figure: `${KINDS.get} p50` },
      to: { peer: 'sqlite-normal' },
      bound: { atMost: 1 },
    },
  ],
  roundsMax: 3,
  cases,
  prepare,
  run,
};
