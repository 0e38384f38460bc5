/**
 * Reads of immutable objects in a bucket through the pieces that this machine has.
 *
 * An object is cut into pieces of equal size at fixed places. A read takes the pieces that it needs from memory, else from the disk, else from the bucket:
 * neighbours that are missing come with one request. A look-up fetches the pieces that it needs; where reads go on from piece to piece, in either
 * direction, several times as many are fetched ahead as lie before them in memory, up to a bound. So a scan soon moves large parts, and keeps no state for it.
 *
 * Only what the bucket answered is ever kept, and only of names that are never used again for other bytes (rule A14). That an object is not
 * there is not remembered.
 */
import type { ByteRange } from '../medium.ts';
import type { KeptPiece, PieceStore } from './piece-store.ts';

/** Measured on scans and look-ups: smaller ones need more requests, larger ones move more for each look-up. */
export const CACHE_PIECE_BYTES: number = 64 * 1024;
const AHEAD_BYTES_MAX = 1024 * 1024;
/** How many times what lies before is fetched at once. */
const AHEAD_FACTOR = 8;
const FETCH_BYTES_MAX = 4 * 1024 * 1024;
/** Of pieces used lately: so that neighbouring blocks don't each read and check their piece. */
const MEMORY_BYTES = 8 * 1024 * 1024;
/** More pieces on their way to the disk make readers wait. */
const WRITES_MAX = 128;

export interface TableCacheStats {
  readonly directory: string;
  readonly bytesMax: number;
  /** Reads that needed no request. */
  readonly hits: number;
  /** Reads that needed at least one. */
  readonly misses: number;
  /** Bytes that came from the bucket into the cache. */
  readonly bytesFetched: number;
  /** Why nothing is kept at present, if so. */
  readonly trouble?: string;
}

export interface FillResult {
  /** Of each range: whether a part of it had to be fetched. */
  readonly isFetched: readonly boolean[];
  /** In whole pieces. */
  readonly bytesThere: number;
  readonly bytesFetched: number;
  /** The object is not in the bucket. */
  readonly isGone: boolean;
  /** Why a piece is not on the disk, if one is not. */
  readonly trouble: string | undefined;
}

type GetRange = (name: string, range: ByteRange) => Promise<Buffer | undefined>;
/** Undefined: there is no such object. */
type Piece = Buffer | undefined;
type Fetched = KeptPiece | undefined;

export class TableCache {
  readonly #store: PieceStore;
  readonly #fetch: GetRange;
  readonly #piecesMax: number;
  /** By `name@piece`, used longest ago first. */
  readonly #memory = new Map<string, Buffer>();
  readonly #fetching = new Map<string, Promise<Fetched>>();
  /** On their way to the disk. */
  readonly #writing = new Map<string, KeptPiece>();
  readonly #counters = { hits: 0, misses: 0, bytesFetched: 0 };

  /** @param fetch asks the bucket */
  constructor(store: PieceStore, fetch: GetRange) {
    this.#store = store;
    this.#fetch = fetch;
    this.#piecesMax = Math.floor(MEMORY_BYTES / store.pieceBytes);
  }

  get stats(): TableCacheStats {
    const { directory, bytesMax, trouble } = this.#store;
    return { directory, bytesMax, ...this.#counters, ...(trouble === undefined ? {} : { trouble }) };
  }

  /** A part of an object, as `Medium.get` gives it. */
  async get(name: string, range: ByteRange): Promise<Buffer | undefined> {
    const pieces = await this.#local(name, this.#piecesOf(range));
    const missing = [...pieces].filter(([, bytes]) => bytes === undefined).map(([piece]) => piece);
    if (missing.length === 0) this.#counters.hits++;
    else {
      this.#counters.misses++;
      const ahead = await this.#ahead(name, missing);
      const fetched = this.#fetchPieces(name, [...missing, ...ahead]);
      for (const piece of missing) pieces.set(piece, (await fetched.get(piece))?.payload);
    }
    return cut([...pieces.values()], { offset: range.offset % this.#store.pieceBytes, length: range.length });
  }

  /** The same, asked of the bucket whatever is here, which is replaced: what was fetched may have been damaged on its way. */
  async getAgain(name: string, range: ByteRange): Promise<Buffer | undefined> {
    this.#counters.misses++;
    const fetched = await Promise.all(this.#fetchPieces(name, this.#piecesOf(range), { evenIfHeld: true }).values());
    const pieces = fetched.map((piece) => piece?.payload);
    return cut(pieces, { offset: range.offset % this.#store.pieceBytes, length: range.length });
  }

  /** Sees that parts of an object are on the disk, as far as the disk takes them. */
  async fill(name: string, ranges: readonly ByteRange[]): Promise<FillResult> {
    const pieces = [...new Set(ranges.flatMap((range) => this.#piecesOf(range)))].sort((a, b) => a - b);
    const there = await Promise.all(pieces.map((piece) => this.#store.read(name, piece)));
    const missing = pieces.filter((_, i) => there[i] === undefined);
    const fetched = await Promise.all(this.#fetchPieces(name, missing, { evenIfHeld: true }).values());
    const kept = await Promise.all(fetched.map(async (piece) => await piece?.kept));
    const lacked = new Set(missing);
    return {
      isFetched: ranges.map((range) => this.#piecesOf(range).some((piece) => lacked.has(piece))),
      bytesThere: sum(there),
      bytesFetched: sum(fetched.map((piece) => piece?.payload)),
      isGone: fetched.includes(undefined),
      trouble: kept.find((reason) => reason !== undefined),
    };
  }

  /** Waits for what is on its way to the disk; not for reads under way. */
  async settle(): Promise<void> {
    await Promise.all([...this.#writing.values()].map(({ kept }) => kept));
  }

  #piecesOf({ offset, length }: ByteRange): number[] {
    const { pieceBytes } = this.#store;
    const first = Math.floor(offset / pieceBytes);
    const last = Math.floor((offset + Math.max(1, length) - 1) / pieceBytes);
    return Array.from({ length: last - first + 1 }, (_, i) => first + i);
  }

  /** The pieces of these that are in memory or on the disk. */
  async #local(name: string, pieces: readonly number[]): Promise<Map<number, Buffer | undefined>> {
    const found = await Promise.all(
      pieces.map(async (piece) => {
        const key = keyOf(name, piece);
        const held = this.#held(key);
        if (held !== undefined) return held;
        // It is not on the disk yet, and will be in memory.
        if (this.#fetching.has(key)) return undefined;
        const read = await this.#store.read(name, piece);
        if (read !== undefined) this.#remember(key, read);
        return read;
      }),
    );
    return new Map(pieces.map((piece, i) => [piece, found[i]]));
  }

  #held(key: string): Buffer | undefined {
    const held = this.#memory.get(key);
    if (held === undefined) return this.#writing.get(key)?.payload;
    this.#memory.delete(key);
    this.#memory.set(key, held);
    return held;
  }

  #remember(key: string, payload: Buffer): void {
    this.#memory.set(key, payload);
    if (this.#memory.size <= this.#piecesMax) return;
    const [oldest] = this.#memory.keys();
    if (oldest !== undefined) this.#memory.delete(oldest);
  }

  /**
   * The pieces to fetch beyond those that are missing, in the direction in which reads have come. A scan that goes up is told by one piece before the
   * missing ones. Downwards it takes two: one is what a look-up leaves, of a table's index and the block before it.
   */
  async #ahead(name: string, missing: readonly number[]): Promise<number[]> {
    const first = missing[0] as number;
    const last = missing.at(-1) as number;
    const below = this.#runFrom(name, first - 1, -1);
    const above = below > 0 ? 0 : this.#runFrom(name, last + 1, 1);
    if (below === 0 && above < 2) return [];
    const step = below > 0 ? 1 : -1;
    const most = Math.min((below > 0 ? below : above - 1) * AHEAD_FACTOR, AHEAD_BYTES_MAX / this.#store.pieceBytes) - missing.length;
    const ahead: number[] = [];
    for (let piece = (step === 1 ? last : first) + step; piece >= 0 && ahead.length < most; piece += step) {
      const key = keyOf(name, piece);
      if (this.#memory.has(key) || this.#fetching.has(key) || (await this.#store.has(name, piece))) break;
      ahead.push(piece);
    }
    return ahead;
  }

  /** How many pieces are in memory, one beside the other, from this one on. */
  #runFrom(name: string, piece: number, step: 1 | -1): number {
    const most = AHEAD_BYTES_MAX / this.#store.pieceBytes;
    let run = 0;
    while (run < most && this.#memory.has(keyOf(name, piece + run * step))) run++;
    return run;
  }

  /** Fetches pieces, neighbours with one request; those that are on their way already are waited for. */
  #fetchPieces(name: string, pieces: readonly number[], options: { evenIfHeld?: boolean } = {}): Map<number, Promise<Fetched>> {
    const found = new Map<number, Promise<Fetched>>();
    const wanted: number[] = [];
    for (const piece of pieces) {
      const key = keyOf(name, piece);
      const payload = options.evenIfHeld === true ? undefined : this.#held(key);
      const underWay = payload === undefined ? this.#fetching.get(key) : Promise.resolve({ payload, kept: KEPT });
      if (underWay === undefined) wanted.push(piece);
      else found.set(piece, underWay);
    }
    for (const run of runsOf(wanted, FETCH_BYTES_MAX / this.#store.pieceBytes)) {
      const fetched = this.#fetchRun(name, run);
      for (const [i, piece] of run.entries()) {
        const key = keyOf(name, piece);
        const one = fetched.then((all) => all?.[i]).finally(() => this.#fetching.delete(key));
        // Of pieces fetched ahead nobody may be waiting.
        one.catch(() => undefined);
        this.#fetching.set(key, one);
        found.set(piece, one);
      }
    }
    return found;
  }

  async #fetchRun(name: string, run: readonly number[]): Promise<KeptPiece[] | undefined> {
    const { pieceBytes } = this.#store;
    const offset = (run[0] as number) * pieceBytes;
    const bytes = await this.#fetch(name, { offset, length: run.length * pieceBytes });
    if (bytes === undefined) return undefined;
    this.#counters.bytesFetched += bytes.length;
    const pieces = run.map((piece, i) => this.#keep(name, piece, bytes.subarray(i * pieceBytes, (i + 1) * pieceBytes)));
    while (this.#writing.size > WRITES_MAX) await Promise.race([...this.#writing.values()].map(({ kept }) => kept));
    return pieces;
  }

  #keep(name: string, piece: number, bytes: Buffer): KeptPiece {
    // Behind the object's end there is nothing to keep.
    if (bytes.length === 0) return { payload: bytes, kept: KEPT };
    const key = keyOf(name, piece);
    const { payload, kept } = this.#store.keep(name, piece, bytes);
    const writing = { payload, kept: kept.finally(() => this.#writing.delete(key)) };
    this.#writing.set(key, writing);
    this.#remember(key, payload);
    return writing;
  }
}

/** Of a piece of which nothing need be waited for. */
const KEPT: Promise<undefined> = Promise.resolve(undefined);

function keyOf(name: string, piece: number): string {
  return `${name}@${piece}`;
}

/** Neighbours together, up to so many, in ascending order. */
function runsOf(pieces: readonly number[], most: number): number[][] {
  const runs: number[][] = [];
  for (const piece of [...pieces].sort((a, b) => a - b)) {
    const run = runs.at(-1);
    if (run === undefined || run.length >= most || run.at(-1) !== piece - 1) runs.push([piece]);
    else run.push(piece);
  }
  return runs;
}

/** The part of pieces in a row; a copy, since it is the caller's. Fewer bytes where the object ends. Undefined if a piece is. */
function cut(pieces: readonly Piece[], { offset, length }: ByteRange): Buffer | undefined {
  const whole: Buffer[] = [];
  for (const piece of pieces) {
    if (piece === undefined) return undefined;
    whole.push(piece);
  }
  const [only] = whole;
  if (only !== undefined && whole.length === 1) return Buffer.from(only.subarray(offset, offset + length));
  return Buffer.concat(whole).subarray(offset, offset + length);
}

function sum(pieces: readonly Piece[]): number {
  return pieces.reduce((bytes, piece) => bytes + (piece?.length ?? 0), 0);
}
