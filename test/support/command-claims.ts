/** What a command that ended says of what it was to do, and whether that is true. */
import { expect } from 'vitest';
import type { Traced } from './strace.ts';

/** `unknown`: it was killed, or says that nobody knows. */
export type Claim = 'done' | 'not done' | 'unknown';

/** What the command line prints where nobody knows. */
const UNKNOWN = /may or may not|outcome|unknown/i;

export function claimOf({ code, signal, stderr }: Traced): Claim {
  if (code === 0) return 'done';
  return signal === null && !UNKNOWN.test(stderr) ? 'not done' : 'unknown';
}

/** @param value what the key of a put has now, which had none before */
export function expectPut(value: unknown, { ran, put, where }: { ran: Traced; put: unknown; where: string }): void {
  const claim = claimOf(ran);
  if (claim === 'done') expect(value, where).toBe(put);
  else if (claim === 'not done') expect(value, `${where}: ${ran.stderr}`).toBeUndefined();
  else expect([put, undefined], where).toContain(value);
}

/** A counter that commands raise by 1. What one of them leaves open is decided by the next look. */
export class RaisedCounter {
  #least = 0;
  #most = 0;

  raise(claim: Claim): void {
    if (claim === 'done') this.#least++;
    if (claim !== 'not done') this.#most++;
  }

  /** @param value what is there now */
  expect(value: number, where: string): void {
    expect(value, where).toBeGreaterThanOrEqual(this.#least);
    expect(value, where).toBeLessThanOrEqual(this.#most);
    this.#least = value;
    this.#most = value;
  }
}
