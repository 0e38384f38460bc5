import { beforeEach, describe, expect, it } from 'vitest';
import { OwnKeys, type Write } from './own-keys.ts';

describe('what may be read of a key with a single writer', () => {
  let own: OwnKeys;
  let now: number;
  beforeEach(() => {
    own = new OwnKeys();
    now = 0;
  });

  const call = (id: number, facts: Partial<Write> = {}): Write =>
    own.call({ key: 'k', id, puts: true, expiresAtMs: 0, isDurable: true, calledAt: now++, ...facts });
  const acknowledge = (write: Write): void => {
    write.state = 'acknowledged';
    write.acknowledgedAt = now++;
  };
  const put = (id: number, facts: Partial<Write> = {}): Write => {
    const write = call(id, facts);
    acknowledge(write);
    return write;
  };
  const read = (shown: number | undefined, { from = now++, wallMs = 0 } = {}): string | undefined =>
    own.check('k', shown, { from, to: now++, wallMs, latestWallMs: wallMs });

  it('is nothing, or a write that was called, before any was acknowledged', () => {
    expect(read(undefined)).toBeUndefined();
    call(1);
    expect(read(undefined)).toBeUndefined();
    expect(read(1)).toBeUndefined();
    expect(read(2)).toMatch(/of no write/);
  });

  it('is never older than what was acknowledged before the read began', () => {
    put(1);
    const from = now++;
    put(2);
    expect(read(1, { from })).toBeUndefined();
    expect(read(1)).toMatch(/reads 1.*at least put 2/);
    expect(read(undefined)).toMatch(/reads nothing/);
  });

  it('is never older than what a read has shown that ended before', () => {
    put(1);
    call(2);
    const from = now++;
    expect(read(2)).toBeUndefined();
    expect(read(1)).toMatch(/which was read before/);
    expect(read(1, { from })).toBeUndefined();
  });

  it('is not what was deleted, and not what failed', () => {
    put(1);
    put(2, { puts: false });
    expect(read(1)).toMatch(/at least delete 2/);
    expect(read(undefined)).toBeUndefined();
    const failing = call(3);
    expect(read(3)).toBeUndefined();
    expect(own.fail(failing)).toMatch(/failed, and was read before/);
    expect(read(3)).toMatch(/failed/);
  });

  it('is nothing once it has expired, and it until then', () => {
    put(1);
    put(2, { expiresAtMs: 100 });
    expect(read(undefined, { wallMs: 99 })).toMatch(/reads nothing/);
    expect(read(2, { wallMs: 99 })).toBeUndefined();
    expect(read(undefined, { wallMs: 100 })).toBeUndefined();
    expect(read(2, { wallMs: 100 })).toMatch(/reads 2/);
    expect(read(1, { wallMs: 100 })).toMatch(/reads 1/);
  });

  it('may be older after a power cut only by what was not acknowledged, or not durable', () => {
    put(1);
    const pending = call(2);
    put(3, { isDurable: false });
    expect(read(3)).toBeUndefined();
    own.powerCut();
    expect(pending.state).toBe('unknown');
    expect(read(1)).toBeUndefined();
    expect(read(undefined)).toMatch(/reads nothing/);
  });
});
