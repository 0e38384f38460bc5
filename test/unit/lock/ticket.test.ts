import { describe, expect, it } from 'vitest';
import { encodeCheckedJson } from '../../../src/format/checked-json-encode.ts';
import { decodeTicket } from '../../../src/lock/ticket.ts';

const HOLDER = { host: 'h', bootId: 'b', pidNamespace: 'pid:[1]', pid: 7, startTime: 9 };
const TICKET = { nonce: 'n', holder: HOLDER, createdAtMs: 1, leaseMs: 3000, mode: 'exclusive', purpose: 'p' };

const decode = (record: unknown): unknown => decodeTicket(encodeCheckedJson(record), 'f');

describe('a ticket', () => {
  it('comes back as it was written', () => {
    expect(decode({ format: 1, ...TICKET })).toEqual(TICKET);
    const holder = { ...HOLDER, startTime: null };
    expect(decode({ format: 1, ...TICKET, holder })).toEqual({ ...TICKET, holder });
  });

  it('is unreadable, not an error, where it is damaged or of a later format', () => {
    const whole = encodeCheckedJson({ format: 1, ...TICKET });
    expect(decodeTicket(whole.subarray(1), 'f')).toBeUndefined();
    expect(decodeTicket(Buffer.alloc(0), 'f')).toBeUndefined();
    expect(decode({ format: 2, ...TICKET })).toBeUndefined();
    expect(decode([])).toBeUndefined();
    expect(decode(null)).toBeUndefined();
  });

  it('is unreadable where a field is missing or makes no sense', () => {
    for (const field of Object.keys(TICKET)) expect(decode({ format: 1, ...TICKET, [field]: undefined })).toBeUndefined();
    for (const field of Object.keys(HOLDER))
      expect(decode({ format: 1, ...TICKET, holder: { ...HOLDER, [field]: undefined } })).toBeUndefined();
    for (const pid of [0, -1, 1.5, '7']) expect(decode({ format: 1, ...TICKET, holder: { ...HOLDER, pid } })).toBeUndefined();
    for (const leaseMs of [0, -1, '1']) expect(decode({ format: 1, ...TICKET, leaseMs })).toBeUndefined();
  });
});
