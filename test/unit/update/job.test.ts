import { expect, it } from 'vitest';
import type { Key } from '../../../src/base/key.ts';
import { Job } from '../../../src/update/job.ts';
import { VirtualTime } from '../../support/virtual-system.ts';

const CHANGE = { value: Buffer.from('v'), expiresAtMs: 0 };

/** A job that waits for a second at most, and an error for it that is long in coming. */
function waitingJob(): { system: ReturnType<VirtualTime['system']>; job: Job; tell: (error: Error) => void } {
  const system = new VirtualTime().system();
  const job = new Job(
    { system, namespace: 'test' },
    {
      keys: ['k' as Key],
      stripes: [0],
      decide: () => [CHANGE],
      deadlineMs: 10_000,
      maxWaitMs: 1000,
      attemptsMax: 10,
      signal: undefined,
    },
  );
  let tell = (_error: Error): void => {};
  job.startWaiting(
    () =>
      new Promise((resolve) => {
        tell = resolve;
      }),
  );
  return { system, job, tell: (error) => tell(error) };
}

it('a job whose turn comes while it is found out who kept it waiting does not fail: it may be committed', async () => {
  const { system, job, tell } = waitingJob();
  await system.advance(1001);
  await job.run([undefined]);
  expect(job.hold()).toBe(true);
  tell(new Error('waited too long'));
  await system.advance(1);
  expect(job.isSettled).toBe(false);
  job.succeed({ entries: [], record: { stripe: 0, number: 1 } });
  expect((await job.promise).record).toEqual({ stripe: 0, number: 1 });
});

it('a job that has waited too long fails with what was found out', async () => {
  const { system, job, tell } = waitingJob();
  await system.advance(1001);
  tell(new Error('waited too long'));
  await expect(job.promise).rejects.toThrow('waited too long');
});
