/** Processes on one bucket, behind a proxy that loses, delays and repeats. On the real server; on a strict one in memory where there is none. */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { describe, expect, it, onTestFinished } from 'vitest';
import { open } from '../../src/index.ts';
import { Child } from '../support/child.ts';
import { badNetwork } from '../support/s3/bad-network.ts';

const script = fileURLToPath(new URL('./bucket.worker.mjs', import.meta.url));

interface RoundResult {
  readonly won: string[];
  readonly failed: string[];
}

async function answerOf(child: ChildProcess): Promise<unknown> {
  const [message] = (await once(child, 'message')) as [unknown];
  return message;
}

describe('processes in a bucket behind a bad network', () => {
  it('of 16 racers in 2 processes exactly one wins each of 200 rounds, although answers are lost', async () => {
    const { location, env, proxy, medium } = await badNetwork({ 'lost-answer': 0.2, reset: 0.05, conflict: 0.05, 'late-duplicate': 0.05 });
    const racers = ['a', 'b'].map((name) => {
      const argument = JSON.stringify({ role: 'race', location, name, racers: 8 });
      return fork(script, [argument], { env: { ...process.env, ...env }, execArgv: ['--no-warnings'] });
    });
    onTestFinished(() => {
      for (const racer of racers) racer.kill('SIGKILL');
    });
    expect(await Promise.all(racers.map(answerOf))).toEqual(['ready', 'ready']);
    for (let round = 0; round < 200; round++) {
      const answers = racers.map(answerOf) as Promise<RoundResult>[];
      for (const racer of racers) racer.send(round);
      const results = await Promise.all(answers);
      expect(results.flatMap(({ failed }) => failed)).toEqual([]);
      const won = results.flatMap((result) => result.won);
      expect(won).toHaveLength(1);
      expect((await medium.get(`race/${round}`))?.toString()).toBe(won[0]);
    }
    for (const racer of racers) racer.send(-1);
    expect(proxy.played['lost-answer']).toBeGreaterThan(100);
  });

  it('a counter of 8 processes is exact, whatever was lost, late, cut, repeated or refused', async () => {
    const { location, env, proxy, medium } = await badNetwork({
      'lost-answer': 0.04,
      'cut-answer': 0.02,
      reset: 0.03,
      'late-execution': 0.02,
      'late-duplicate': 0.03,
      unavailable: 0.03,
      conflict: 0.02,
    });
    await (await open(medium)).close();
    const counters = Array.from({ length: 8 }, () => new Child(script, { role: 'count', location, operations: 15 }, env));
    for (const counter of counters) expect(await counter.exit).toEqual({ code: 0, signal: null });
    const counted = counters.map((counter) => counter.json('counted') as { acknowledged: number; failed: string[] });
    const acknowledged = counted.reduce((sum, one) => sum + one.acknowledged, 0);
    const failed = counted.flatMap((one) => one.failed);
    console.log(`${proxy.count} requests, faults: ${JSON.stringify(proxy.played)}; failed: ${JSON.stringify(failed)}`);
    const store = await open(medium, { readOnly: true });
    const value = (await store.namespace<number>('items').get('counter')) ?? 0;
    await store.close();
    // Whoever was told that nobody knows may have counted or not; nobody else may.
    expect(failed.filter((code) => code !== 'OUTCOME_UNKNOWN')).toEqual([]);
    expect(value).toBeGreaterThanOrEqual(acknowledged);
    expect(value).toBeLessThanOrEqual(acknowledged + failed.length);
    expect(acknowledged).toBeGreaterThan(100);
  });
});
