/**
 * A short-lived program: `node program.js <task as JSON>`. It goes so far as its task says, prints what it has found, which is the moment that
 * counts, and ends. It imports nothing before it has to.
 */
import { writeSync } from 'node:fs';
import type { PeerStore } from '../../peers/peer.ts';
import type { ColdTask } from './task.ts';

const say = (found: string): void => void writeSync(1, `${found}\n`);

async function perform({ step, peer: name, directory, key, prefix }: ColdTask): Promise<void> {
  if (step === 'node') return say('');
  const { peerNamed } = await import('../../peers/index.ts');
  const peer = await peerNamed(name);
  await peer.load?.();
  if (step === 'import') return say('');
  const store = await peer.open(directory);
  const got = (await store.get(key))?.id;
  say(step === 'get' ? String(got) : `${got} ${await listed(store, prefix)}`);
  await store.close();
}

/** How many there are, and the sum of their ids. */
async function listed(store: PeerStore, prefix: string): Promise<string> {
  let [count, sum] = [0, 0];
  const add = (id: number): void => {
    count++;
    sum += id;
  };
  const entries = store.scan({ prefix });
  if (Symbol.iterator in entries) for (const { value } of entries) add(value.id);
  else for await (const { value } of entries) add(value.id);
  return `${count} ${sum}`;
}

await perform(JSON.parse(process.argv[2] as string) as ColdTask);
