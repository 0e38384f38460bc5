/** Does each operation several times, and says when one begins and ends, for whoever traces it: `node program.js PEER DIRECTORY SEED`. */
import { writeSync } from 'node:fs';
import { peerNamed } from '../../peers/index.ts';
import type { PeerName } from '../../peers/peer.ts';
import { entryMaker, fill } from '../../workload.ts';
import { INITIAL_ENTRIES, OPERATIONS, REPETITIONS, stepsOf } from './operations.ts';
import { beginMark, END_MARK } from './trace.ts';

const [peer, directory, seedText] = process.argv.slice(2) as [PeerName, string, string];
const seed = Number(seedText);
const those = await peerNamed(peer);
const mark = (text: string): number => writeSync(2, `${text}\n`);

const other = await those.open(directory);
await fill(other, INITIAL_ENTRIES, entryMaker({ seed }));
await other.settle();
const store = await those.open(directory);
for (const operation of OPERATIONS) {
  const { before, step } = stepsOf(operation, { store, other, seed });
  for (let turn = 0; turn <= REPETITIONS; turn++) {
    await before?.(turn);
    if (turn > 0) mark(beginMark(operation));
    await step(turn);
    if (turn > 0) mark(END_MARK);
  }
}
await store.close();
await other.close();
