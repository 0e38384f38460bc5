/**
 * Pieces of immutable objects on this machine's disk, shared by all processes of a user.
 *
 * What always holds: a piece that is given out is byte for byte the one that was kept for this very store, object and place, or it is a
 * miss. Files are written under a temporary name and renamed, so nobody sees a half; a damaged one is removed. There is no lock and no index: any file
 * may be deleted at any time. No failure of the disk is an error for whoever reads: it is a miss, and keeping pauses for a while.
 *
 * The names of the files are hashes, so they tell neither where a store is nor what is in it.
 */
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { randomId, type System } from '../../base/system.ts';
import { type CacheFiles, nodeCacheFiles, TEMPORARY_PREFIX } from './cache-files.ts';
import { CacheRooms, ROOMS } from './cache-room.ts';
import type { CacheSettings } from './cache-settings.ts';
import { decodePiece, encodePiece, PIECE_HEADER_BYTES } from './piece-file.ts';

/** Changes when older releases must not look at what newer ones keep. */
const FORM = 'tables-1';
/** A piece that is used is marked as used at most so often: what was used longest ago goes first. */
const TOUCH_AFTER_MS = 10 * 60_000;
/** How long nothing is kept after the disk has refused. */
const PAUSE_MS = 60_000;

export interface PieceStoreOptions {
  readonly settings: CacheSettings;
  readonly system: System;
  /** What tells stores apart: where it is, and which one. */
  readonly scope: string;
  readonly pieceBytes: number;
  readonly files?: CacheFiles;
}

/** A piece and what became of it on the disk. */
export interface KeptPiece {
  readonly payload: Buffer;
  /** Resolves when it is on the disk: undefined; or says why it is not. Never rejects. */
  readonly kept: Promise<string | undefined>;
}

interface Place {
  readonly identity: Buffer;
  readonly directory: string;
  readonly path: string;
}

export class PieceStore {
  readonly pieceBytes: number;
  readonly directory: string;
  readonly bytesMax: number;
  readonly #system: System;
  readonly #scope: string;
  readonly #files: CacheFiles;
  readonly #rooms: CacheRooms;
  readonly #prepared = new Map<string, Promise<void>>();
  #trouble: { readonly reason: string; readonly untilMs: number } | undefined;

  constructor({ settings, system, scope, pieceBytes, files = nodeCacheFiles }: PieceStoreOptions) {
    this.pieceBytes = pieceBytes;
    this.directory = settings.directory;
    this.bytesMax = settings.bytesMax;
    this.#system = system;
    this.#scope = scope;
    this.#files = files;
    this.#rooms = new CacheRooms(files, { bytesMax: settings.bytesMax, wallNowMs: () => system.wallNowMs() });
  }

  /** Why nothing is kept at present. */
  get trouble(): string | undefined {
    const trouble = this.#trouble;
    return trouble !== undefined && this.#system.monotonicNowMs() < trouble.untilMs ? trouble.reason : undefined;
  }

  /** Undefined if it is not there, or can't be read, or is damaged. */
  async read(name: string, piece: number): Promise<Buffer | undefined> {
    const { identity, path, directory } = this.#place(name, piece);
    try {
      // What others may write to is not believed.
      await this.#prepare(directory);
      const found = await this.#files.read(path, PIECE_HEADER_BYTES + this.pieceBytes + 1);
      if (found === undefined) return undefined;
      const payload = decodePiece(identity, found.bytes);
      if (payload === undefined) await this.#files.remove(path);
      else if (Math.abs(this.#system.wallNowMs() - found.usedMs) > TOUCH_AFTER_MS) await this.#touch(path);
      return payload;
    } catch {
      return undefined;
    }
  }

  async has(name: string, piece: number): Promise<boolean> {
    const { path } = this.#place(name, piece);
    return await this.#files.exists(path).catch(() => false);
  }

  /** Keeps a copy. */
  keep(name: string, piece: number, bytes: Uint8Array): KeptPiece {
    const place = this.#place(name, piece);
    const file = encodePiece(place.identity, bytes);
    return { payload: file.subarray(PIECE_HEADER_BYTES), kept: this.#write(place, file) };
  }

  async #write({ directory, path }: Place, file: Buffer): Promise<string | undefined> {
    const { trouble } = this;
    if (trouble !== undefined) return trouble;
    try {
      await this.#prepare(directory);
      const temporary = join(directory, `${TEMPORARY_PREFIX}${randomId(this.#system, 16)}`);
      const fits = await this.#rooms.put(directory, file.length, () => this.#files.write(path, { temporary, bytes: file }));
      return fits ? undefined : `a piece does not fit into ${this.bytesMax} bytes`;
    } catch (error) {
      // It may have been deleted, with all that was in it.
      this.#prepared.clear();
      const { code, message } = error as NodeJS.ErrnoException;
      // The next piece finds the directory made again.
      if (code === 'ENOENT') return message;
      this.#trouble = { reason: message, untilMs: this.#system.monotonicNowMs() + PAUSE_MS };
      return message;
    }
  }

  async #touch(path: string): Promise<void> {
    await this.#files.touch(path, this.#system.wallNowMs()).catch(() => undefined);
  }

  /** The directory that all rooms are in is this user's alone; so nobody else gets at them. */
  async #prepare(directory: string): Promise<void> {
    await this.#prepareOnce(join(this.directory, FORM));
    await this.#prepareOnce(directory);
  }

  #prepareOnce(directory: string): Promise<void> {
    let prepared = this.#prepared.get(directory);
    if (prepared === undefined) {
      prepared = this.#files.prepare(directory);
      this.#prepared.set(directory, prepared);
      prepared.catch(() => this.#prepared.delete(directory));
    }
    return prepared;
  }

  #place(name: string, piece: number): Place {
    const identity = createHash('sha256')
      .update(JSON.stringify([this.#scope, name, this.pieceBytes, piece]))
      .digest();
    const room = ((identity[0] as number) % ROOMS).toString(16).padStart(2, '0');
    const directory = join(this.directory, FORM, room);
    return { identity, directory, path: join(directory, identity.toString('hex').slice(2, 42)) };
  }
}
