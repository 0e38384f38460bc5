/**
 * Little-endian fields and varints (LEB128, as in protocol buffers) for the binary formats.
 *
 * Writers append to one growing buffer; readers throw `MALFORMED` instead of reading past the end, and the
 * caller, who knows the file, turns that into a `CORRUPT` error that names it.
 */

/** Thrown by `ByteReader` when bytes do not parse; never leaves the engine. */
export class MalformedError extends Error {
  readonly offset: number;
  constructor(what: string, offset: number) {
    super(`${what} at byte ${offset}`);
    this.offset = offset;
  }
}

/** Up to so many characters, a loop is faster than a call into the runtime. */
const SHORT_TEXT = 24;

export class ByteWriter {
  #buffer: Buffer;
  #length = 0;

  constructor(initialBytes = 1024) {
    this.#buffer = Buffer.allocUnsafe(initialBytes);
  }

  get length(): number {
    return this.#length;
  }

  #reserve(bytes: number): void {
    const needed = this.#length + bytes;
    if (needed <= this.#buffer.length) return;
    const grown = Buffer.allocUnsafe(Math.max(needed, this.#buffer.length * 2));
    this.#buffer.copy(grown, 0, 0, this.#length);
    this.#buffer = grown;
  }

  u8(value: number): void {
    this.#reserve(1);
    this.#buffer[this.#length++] = value;
  }

  u16(value: number): void {
    this.#reserve(2);
    this.#length = this.#buffer.writeUInt16LE(value, this.#length);
  }

  u32(value: number): void {
    this.#reserve(4);
    this.#length = this.#buffer.writeUInt32LE(value, this.#length);
  }

  /** A safe integer as 64 bits. */
  u64(value: number): void {
    this.#reserve(8);
    writeU64(this.#buffer, value, this.#length);
    this.#length += 8;
  }

  /** A safe integer of 1 to 8 bytes, 7 bits a byte, least first. */
  varint(value: number): void {
    this.#reserve(8);
    let rest = value;
    while (rest > 0x7f) {
      this.#buffer[this.#length++] = (rest % 128) | 0x80;
      rest = Math.floor(rest / 128);
    }
    this.#buffer[this.#length++] = rest;
  }

  /** Text of characters U+0000 to U+00FF, one byte each. */
  latin1(text: string): void {
    const { length } = text;
    this.#reserve(length);
    const buffer = this.#buffer;
    const at = this.#length;
    if (length > SHORT_TEXT) buffer.write(text, at, length, 'latin1');
    else for (let i = 0; i < length; i++) buffer[at + i] = text.charCodeAt(i);
    this.#length = at + length;
  }

  bytes(source: Uint8Array): void {
    this.#reserve(source.length);
    this.#buffer.set(source, this.#length);
    this.#length += source.length;
  }

  /** Leaves room for fields that are known later; returns where. */
  skip(bytes: number): number {
    this.#reserve(bytes);
    const at = this.#length;
    this.#length += bytes;
    return at;
  }

  setU32(at: number, value: number): void {
    this.#buffer.writeUInt32LE(value, at);
  }

  /** A view of what was written, valid until the next write. */
  view(start = 0, end: number = this.#length): Buffer {
    return this.#buffer.subarray(start, end);
  }

  /** A copy of what was written, exactly as large. */
  copy(): Buffer {
    return Buffer.from(this.#buffer.subarray(0, this.#length));
  }

  clear(): void {
    this.#length = 0;
  }

  /** Takes back what was written behind `length`. */
  truncate(length: number): void {
    this.#length = Math.min(this.#length, length);
  }
}

export function writeU64(target: Buffer, value: number, at: number): void {
  target.writeUInt32LE(value % 0x1_0000_0000, at);
  target.writeUInt32LE(Math.floor(value / 0x1_0000_0000), at + 4);
}

export function readU64(source: Buffer, at: number): number {
  return source.readUInt32LE(at) + source.readUInt32LE(at + 4) * 0x1_0000_0000;
}

export class ByteReader {
  readonly buffer: Buffer;
  readonly end: number;
  at: number;

  constructor(buffer: Buffer, start = 0, end: number = buffer.length) {
    this.buffer = buffer;
    this.at = start;
    this.end = end;
  }

  get done(): boolean {
    return this.at >= this.end;
  }

  #need(bytes: number): void {
    if (this.at + bytes > this.end) throw new MalformedError('the data end too early', this.at);
  }

  u8(): number {
    this.#need(1);
    return this.buffer[this.at++] as number;
  }

  u16(): number {
    this.#need(2);
    const value = this.buffer.readUInt16LE(this.at);
    this.at += 2;
    return value;
  }

  u32(): number {
    this.#need(4);
    const value = this.buffer.readUInt32LE(this.at);
    this.at += 4;
    return value;
  }

  u64(): number {
    this.#need(8);
    const value = readU64(this.buffer, this.at);
    this.at += 8;
    if (!Number.isSafeInteger(value)) throw new MalformedError('an integer is too large', this.at - 8);
    return value;
  }

  varint(): number {
    const start = this.at;
    let value = 0;
    let factor = 1;
    for (;;) {
      const byte = this.u8();
      value += (byte & 0x7f) * factor;
      if (byte < 0x80) break;
      factor *= 128;
      if (factor > 0x2_0000_0000_0000) throw new MalformedError('an integer is too long', start);
    }
    if (!Number.isSafeInteger(value)) throw new MalformedError('an integer is too large', start);
    return value;
  }

  latin1(bytes: number): string {
    this.#need(bytes);
    const text = this.buffer.toString('latin1', this.at, this.at + bytes);
    this.at += bytes;
    return text;
  }

  /** A view, not a copy. */
  bytes(count: number): Buffer {
    this.#need(count);
    const view = this.buffer.subarray(this.at, this.at + count);
    this.at += count;
    return view;
  }
}
