/** How fast a call is: warmed up, then counted without a clock around each call, then sampled with one. */
import { Latencies } from '../../../src/cli/replay/latencies.ts';

/** How long each part takes at least, ms. */
export interface Durations {
  readonly warmUpMs: number;
  readonly countMs: number;
  readonly sampleMs: number;
}

/** Does the work of a kind for the i-th time, and gives how many entries it had; where it doesn't block, a promise of that. */
export type Call = (i: number) => number | Promise<number>;

export interface Measured {
  readonly entriesPerSecond: number;
  /** Of single calls. */
  readonly latencies: Latencies;
}

/** The clock is looked at about this often while calls are counted. */
const CLOCK_MS = 1;

export async function measure(call: Call, { warmUpMs, countMs, sampleMs }: Durations): Promise<Measured> {
  const warm = await count(call, 0, warmUpMs);
  const counted = await count(call, warm.calls, countMs);
  const latencies = new Latencies();
  const startMs = performance.now();
  for (let i = warm.calls + counted.calls; latencies.count === 0 || performance.now() - startMs < sampleMs; i++) {
    const calledMs = performance.now();
    const got = call(i);
    if (typeof got !== 'number') await got;
    latencies.add((performance.now() - calledMs) * 1000);
  }
  return { entriesPerSecond: counted.entries / (counted.ms / 1000), latencies };
}

interface Counted {
  readonly calls: number;
  readonly entries: number;
  readonly ms: number;
}

async function count(call: Call, from: number, atLeastMs: number): Promise<Counted> {
  const startMs = performance.now();
  let stride = 1;
  let entries = 0;
  for (let i = from; ; ) {
    const strideMs = performance.now();
    for (const end = i + stride; i < end; i++) {
      const got = call(i);
      // Those that block are not made to wait for a turn of the event loop.
      entries += typeof got === 'number' ? got : await got;
    }
    const nowMs = performance.now();
    if (nowMs - startMs >= atLeastMs) return { calls: i - from, entries, ms: nowMs - startMs };
    if (nowMs - strideMs < CLOCK_MS / 2) stride *= 2;
  }
}
