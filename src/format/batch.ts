/**
 * The payload of a batch frame: deltas of distinct keys that commit together and share one stamp.
 */
import { ByteReader, type ByteWriter, MalformedError } from '../base/bytes.ts';
import { KEY_BYTES_MAX, type Key } from '../base/key.ts';
import type { Stamp } from '../base/stamp.ts';
import type { Entry } from './entry.ts';

export const BATCH_BYTES_MAX: number = 64 * 1024 * 1024;

const DELETE = 1;
const EXPIRES = 2;

/** One put (with a packed value) or delete (without). */
export interface Delta {
  readonly key: Key;
  readonly value: Uint8Array | undefined;
  /** Milliseconds since 1970, 0 = never. */
  readonly expiresAtMs: number;
}

/** Appends a payload. The caller has made the keys distinct. */
export function encodeBatch(writer: ByteWriter, deltas: readonly Delta[]): void {
  writer.varint(deltas.length);
  for (const { key, value, expiresAtMs } of deltas) {
    const expires = value !== undefined && expiresAtMs !== 0;
    writer.u8((value === undefined ? DELETE : 0) | (expires ? EXPIRES : 0));
    writer.varint(key.length);
    writer.latin1(key);
    if (expires) writer.varint(expiresAtMs);
    if (value === undefined) continue;
    writer.varint(value.length);
    writer.bytes(value);
  }
}

/**
 * Calls `visit` for each delta of a payload. Values are views into `payload`.
 *
 * @throws MalformedError if the payload does not parse, although its checksum was right.
 */
export function decodeBatch(payload: Buffer, stamp: Stamp, visit: (entry: Entry) => void): void {
  const reader = new ByteReader(payload);
  const count = reader.varint();
  for (let i = 0; i < count; i++) {
    const flags = reader.u8();
    if (flags > (DELETE | EXPIRES)) throw new MalformedError(`a delta has unknown flags ${flags}`, reader.at - 1);
    const keyLength = reader.varint();
    if (keyLength === 0 || keyLength > KEY_BYTES_MAX) throw new MalformedError(`a key has ${keyLength} bytes`, reader.at);
    const key = reader.latin1(keyLength) as Key;
    const expiresAtMs = (flags & EXPIRES) === 0 ? 0 : reader.varint();
    const value = (flags & DELETE) === 0 ? reader.bytes(reader.varint()) : undefined;
    visit({ key, stamp, value, expiresAtMs, absorbedAt: 0 });
  }
  if (!reader.done) throw new MalformedError('bytes follow the last delta', reader.at);
}
