/** A day of polling: a few changed entries each time, and what all of it writes. */
import { Packr } from 'msgpackr';
import { type Case, numberOf, type Outcome, type Scale, type Stage, type Suite, sharedNowMs } from '../harness/suite.ts';
import { peerNamed } from '../peers/index.ts';
import type { PeerName } from '../peers/peer.ts';
import { randomFrom } from '../random.ts';
import { checksumOf, entryMaker, fill } from '../workload.ts';
import { bytesWritten, compactedBytes } from './flat/bytes.ts';
import { diskUsage } from './load/disk-usage.ts';

const PEERS: readonly PeerName[] = ['peat', 'sqlite-full', 'lmdb', 'classic-level'];
const CHANGED = 32;
/** Of the changes: the rest are versions that are new. */
const OLD_SHARE = 0.5;

const SIZES: Readonly<Record<Scale, { readonly entries: readonly number[]; readonly polls: number }>> = {
  smoke: { entries: [300], polls: 10 },
  small: { entries: [16_384], polls: 150 },
  full: { entries: [16_384, 262_144], polls: 1440 },
};

const nameOf = (entries: number): string => `${entries.toLocaleString('en')} entries`;

function cases(scale: Scale): Case[] {
  const { entries: sizes, polls } = SIZES[scale];
  return sizes.map((entries) => ({ name: nameOf(entries), peers: PEERS, processes: 1, needs: ['scan'], params: { entries, polls } }));
}

async function prepare({ peer, params, directory, seed }: Stage): Promise<void> {
  const store = await (await peerNamed(peer)).open(directory);
  await fill(store, numberOf(params, 'entries'), entryMaker({ seed }));
  await store.settle();
  await store.close();
}

async function run({ peer, params, directory, seed, start }: Stage): Promise<Outcome> {
  const [count, polls] = [numberOf(params, 'entries'), numberOf(params, 'polls')];
  const entryAt = entryMaker({ seed });
  const random = randomFrom(seed);
  const packr = new Packr({ useRecords: false });
  const store = await (await peerNamed(peer)).open(directory);
  let [added, takenIn, tables, roots] = [0, 0, 0, 0];
  await start();
  const before = bytesWritten();
  const fromMs = sharedNowMs();
  for (let poll = 0; poll < polls; poll++) {
    const changed = Array.from({ length: CHANGED }, () => {
      const { key, value } = entryAt(random() < OLD_SHARE ? Math.floor(random() * count) : count + added++);
      return { key, value: { ...value, updatedAtMs: value.updatedAtMs + poll } };
    });
    for (const { key, value } of changed) takenIn += key.length + packr.pack(value).length;
    await store.putMany(changed);
    // Polls come minutes apart, so each is taken in before the next one.
    const compacted = compactedBytes(await store.settle());
    tables += compacted.tables;
    roots += compacted.roots;
  }
  const toMs = sharedNowMs();
  const after = bytesWritten();
  await store.close();
  return {
    operations: polls,
    span: { fromMs, toMs },
    figures: {
      written: (after.asked - before.asked) / takenIn,
      ...(tables > 0 ? { 'in tables': tables / takenIn, 'in roots': roots / takenIn } : {}),
    },
  };
}

async function check({ peer, directory }: Stage): Promise<Outcome> {
  const store = await (await peerNamed(peer)).open(directory);
  const packr = new Packr({ useRecords: false });
  let live = 0;
  for await (const { key, value } of store.scan()) live += key.length + packr.pack(value).length;
  const used = diskUsage(directory);
  const checksum = await checksumOf(store);
  await store.close();
  return { checksum, figures: { files: used.files, 'disk over live': used.bytes / live } };
}

export const suite: Suite = {
  name: 'polling',
  about:
    `Polls, one after the other, each of ${CHANGED} entries in one commit, half of them versions that are there already; after each the store is settled (Peat: ` +
    'compacted). "written" is all bytes that the process wrote over those that it was given (keys, and values in msgpack); of Peat, those of tables and of roots beside it. ' +
    'Bytes written through a memory map (LMDB) or by other threads than calls show are not counted.',
  figures: {
    written: { unit: '× taken in', better: 'less', together: 'max' },
    'in tables': { unit: '× taken in', better: 'less', together: 'max' },
    'in roots': { unit: '× taken in', better: 'less', together: 'max' },
    files: { unit: '', better: 'less', together: 'max' },
    'disk over live': { unit: '×', better: 'less', together: 'max' },
  },
  targets: [16_384, 262_144].map((entries) => ({
    name: `a day of polling, ${nameOf(entries)}: table bytes written over bytes taken in`,
    of: { suite: 'polling', case: nameOf(entries), peer: 'peat', figure: 'in tables' },
    bound: { atMost: 4 },
  })),
  cases,
  prepare,
  run,
  check,
};
