/**
 * Does an operation several times, and says when it begins and ends, for whoever traces it:
 * `node program.js PEER DIRECTORY SEED OPERATION`.
 */
import { writeSync } from 'node:fs';
import { peerNamed } from '../../peers/index.ts';
import type { PeerName } from '../../peers/peer.ts';
import { entryMaker, fill } from '../../workload.ts';
import { INITIAL_ENTRIES, operationNamed, REPETITIONS } from './operations.ts';
import { BEGIN_MARK, END_MARK } from './trace.ts';

const [peer, directory, seedText, name] = process.argv.slice(2) as [PeerName, string, string, string];
const seed = Number(seedText);
const those = await peerNamed(peer);
const open = () => those.open(directory);
const mark = (text: string): number => writeSync(2, `${text}\n`);

const other = await open();
await fill(other, INITIAL_ENTRIES, entryMaker({ seed }));
await other.settle();
const store = await open();
const { before, step } = operationNamed(name).stepsOf({ store, other, open, seed });
for (let turn = 0; turn <= REPETITIONS; turn++) {
  await before?.(turn);
  if (turn > 0) mark(BEGIN_MARK);
  await step(turn);
  if (turn > 0) mark(END_MARK);
}
await store.close();
await other.close();
