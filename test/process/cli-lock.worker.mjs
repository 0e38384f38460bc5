/**
 * A program that works under named locks. Its argument is JSON: `{ library, store, role, ... }`.
 *
 * `clean`: takes the lock `rounds` times, and computes under it. `smelly`: starts a process and sets a timer while it
 * holds, by `withLock`; beside it another hold that does neither. `hold`: holds until it is killed, or asked
 * to end by a signal. `exit`: exits while it holds.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';

const { library, store: location, role, rounds } = JSON.parse(process.argv[2] ?? '{}');
const { open } = await import(library);
const store = await open(location);

if (role === 'clean') {
  for (let i = 0; i < rounds; i++) await store.withLock('clean', async () => await Promise.resolve());
} else if (role === 'smelly') {
  const smelly = store.withLock('smelly', async () => {
    await once(spawn(process.execPath, ['--version'], { stdio: 'ignore' }), 'exit');
    await delay(1);
  });
  const beside = store.withLock('beside', async () => {
    await smelly;
  });
  await Promise.all([smelly, beside]);
} else if (role === 'exit') {
  await store.lock('held');
  process.exit();
} else {
  await store.lock('held');
  console.log('holding');
  await delay(3_600_000);
}
await store.close();
