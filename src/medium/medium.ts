/**
 * The seam to the world's storage. A medium holds named, immutable objects; on some, one kind of object can
 * also grow: the append-only file of a single writer. Everything that Peat promises rests on these calls.
 *
 * Names are relative paths of ASCII segments, `ns/runs/root/00000000000000000001`, made by `format/layout.ts`
 * and checked there: a medium never sees a name that a user made up.
 *
 * What every implementation must give, and `test/contract/medium` checks:
 * 1. `putIfAbsent`: the object appears whole and durable, or not at all; of many racers exactly one wins. A call that is
 *    answered late, or executed twice by the transport, still reports `true` to the one whose bytes are there:
 *    bytes of different callers differ (each carries a nonce), so the medium decides by reading back.
 * 2. `list` and `get` reflect every call, of any process, that completed before they began.
 * 3. A failure is thrown, never reported as "absent".
 */

/** What a listing knows of an object. `size` and `modifiedMs` are there if `stats` was asked for. */
export interface ListedObject {
  readonly name: string;
  readonly size?: number;
  /** By the medium's own clock, milliseconds since 1970. */
  readonly modifiedMs?: number;
}

export interface ListOptions {
  /** Only names after this one. */
  readonly after?: string;
  readonly stats?: boolean;
  readonly signal?: AbortSignal | undefined;
  /**
   * Called once, with the medium's own time as of the answer, the first one if there are several: what the listing shows is no older. Never called
   * on media that don't tell their time in passing.
   */
  readonly onAnswer?: (answeredAtMs: number | undefined) => void;
}

export interface ByteRange {
  readonly offset: number;
  /** Fewer bytes come back where the object ends earlier. */
  readonly length: number;
}

export interface PutOptions {
  /** False for objects that may vanish in a power cut (lock files, rule C). Default true. */
  readonly durable?: boolean;
}

/**
 * An append-only file with one writer. Bytes are readable by others as soon as `write` returns, and survive a
 * power cut once a `sync` that began after it has returned. After an error from either call the file must not
 * be used again (rule A15).
 *
 * Until it is closed, and for ever if its writer dies, zeros may follow the written bytes (blocks allocated ahead): none, or at least
 * eight. So its size says nothing, and a reader that looks while a `write` runs may see a frame's first part followed by zeros.
 */
export interface AppendFile {
  /** Appends at the end, also while a `sync` is under way. Blocks for a copy to the page cache, not for the disk. */
  write(bytes: Uint8Array): void;
  /** Makes everything written so far durable, and at the first call also the file's name. */
  sync(): Promise<void>;
  syncBlocking(): void;
  /** Gives back what was allocated ahead, and closes; a `sync` that is under way still ends well. Idempotent. */
  close(): void;
}

/** Tells that nothing changed since it was taken; see `Medium.watermark`. */
export type Watermark = string;

export interface Medium {
  /** For messages: `file system /data/index (ext4)`. */
  readonly description: string;
  /** True if `openAppend` works; otherwise each group of frames is an object of its own. */
  readonly canAppend: boolean;
  /** True if calls cross a network: others go on while this machine is suspended. Then only the medium's own time tells how much has passed. */
  readonly isRemote: boolean;
  /** The directory that the medium is, if events of the local file system tell of its changes; see `waker.ts`. */
  readonly localDirectory: string | undefined;
  /** Calls that return without waiting for a promise, where the medium is fast enough for that (local files, memory). */
  readonly blocking: BlockingMedium | undefined;

  /**
   * Creates the object if no object has this name. True if its bytes are now these.
   *
   * @throws PeatError `OUTCOME_UNKNOWN` if it may be there, durable or not; any other code says that nothing was created.
   */
  putIfAbsent(name: string, bytes: Uint8Array, options?: PutOptions): Promise<boolean>;
  /** The bytes of an object, or of a part of it; undefined if there is no such object. The buffer is the caller's. */
  get(name: string, range?: ByteRange): Promise<Buffer | undefined>;
  /**
   * The same, where `get` may answer with a copy: asked of the storage itself, and what was kept is replaced. For bytes whose own checksums don't
   * hold. Not there where no copies are kept.
   */
  getAgain?(name: string, range: ByteRange): Promise<Buffer | undefined>;
  /** All objects whose name starts with `prefix` (which ends in "/"), at any depth, in byte order of their names. */
  list(prefix: string, options?: ListOptions): Promise<ListedObject[]>;
  /** The names of the folders directly under `prefix`, without it, in order. */
  listFolders(prefix: string): Promise<string[]>;
  /** Deletes objects; one that is not there is no error. */
  delete(names: readonly string[]): Promise<void>;
  /** Creates an append-only file. @throws PeatError `STORAGE` with cause EEXIST if the name is taken. */
  openAppend(name: string): Promise<AppendFile>;
  /** Makes the names under `prefix` durable that other processes created (rule A15). */
  syncNames(prefix: string): Promise<void>;
  /** The medium's clock, milliseconds since 1970, for comparison with this machine's; undefined if it can't be told without writing. */
  nowMs(): Promise<number | undefined>;
  /**
   * The medium's own time as of its latest answer to this process, in milliseconds; for durations only. Costs nothing. Undefined on local files, where
   * this machine's clocks are the medium's, and wherever the latest answer does not tell.
   */
  lastAnsweredAtMs(): number | undefined;
  close(): Promise<void>;
}

/** The same calls, blocking. */
export interface BlockingMedium {
  putIfAbsent(name: string, bytes: Uint8Array, options?: PutOptions): boolean;
  get(name: string, range?: ByteRange): Buffer | undefined;
  list(prefix: string, options?: ListOptions): ListedObject[];
  openAppend(name: string): AppendFile;
  syncNames(prefix: string): void;
  /**
   * A value that differs from an earlier one if an object directly under `prefix` was created or deleted since
   * (one deeper, as an object of a segment, need not show): taken before a listing, it tells later whether that still holds.
   * Undefined if that can't be told cheaply, for example because the last change is as young as the clock's tick.
   */
  watermark(prefix: string): Watermark | undefined;
  /**
   * True if nothing of an append-only file stands from `offset` on: it ends there, or its next eight bytes are zeros. False if there is more, or if
   * that can't be told cheaply; never throws. For a name of which a watermark, taken before, tells that it is there. Missing where a `get` is as cheap.
   */
  endsAt?(name: string, offset: number): boolean;
}
