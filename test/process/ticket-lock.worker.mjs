/**
 * One process that takes a lock again and again. Its argument is JSON: `{ store, counter, rounds, hold }`.
 *
 * Each round reads a number from `counter`, and writes the next one, in two steps that anyone could come between.
 * With `hold` it says "holding" and keeps the lock until it is killed.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { nodeSystem } from '../../dist/src/base/system.js';
import { lockPrefix } from '../../dist/src/format/layout.js';
import { LOCK_SITES } from '../../dist/src/lock/lock-sites.js';
import { nodeProcessFacts } from '../../dist/src/lock/process-facts.js';
import { TicketLock } from '../../dist/src/lock/ticket-lock.js';
import { FileMedium } from '../../dist/src/medium/file-medium.js';

const { store, counter, rounds, hold } = JSON.parse(process.argv[2] ?? '{}');
const medium = FileMedium.open(store);
const lock = new TicketLock({ medium, system: nodeSystem, facts: nodeProcessFacts(), prefix: lockPrefix('user', 'counter') });

let lastToken = 0;
for (let round = 0; round < rounds; round++) {
  const handle = await lock.acquire({ site: LOCK_SITES.namedLock, leaseMs: 30_000, maxWaitMs: 120_000, pollMs: 20 });
  if (handle.token <= lastToken) throw new Error(`token ${handle.token} after ${lastToken}`);
  lastToken = handle.token;
  const value = Number(readFileSync(counter, 'utf8'));
  if (hold) {
    console.log('holding');
    await delay(3_600_000);
  }
  await delay(round % 3);
  writeFileSync(counter, String(value + 1));
  await handle.release();
}
await medium.close();
