/**
 * What the model of segments and roots is made of (`lanes.ts` says what it is about): options, states, and what follows from a
 * state for everyone who looks at it.
 *
 * All writes are of one key, since of each key the newest stamp wins, whatever becomes of others. So a write is a number: its stamp, time
 * before writer, and whether it deletes. A later stamp is a larger number, and 0 is no write at all.
 */

export type Mutant =
  // A1 and A2
  | 'root read without a second listing'
  | 'writer reads the root without a second listing'
  | 'roots probed upwards'
  | 'commit not confirmed'
  // A4 to A6
  | 'a segment is created anew'
  | 'maxStamp not observed'
  | 'seen stamps not observed'
  | 'no post-check'
  | 'acknowledged in a drain'
  | 'unknown means dead'
  | 'repeated with its old stamp'
  // A7 and A8
  | 'seal counts before its frames'
  | 'absorbed says more than was read'
  | 'absorbed says less than was read'
  | 'sealed before the post-check'
  | 'appended after the seal'
  // A9 to A12
  | 'forgot not raised'
  | 'forgot raised to R'
  | 'forgotten early'
  | 'one step to the horizon'
  | 'drain finished with an old listing'
  | 'drain finished with frames left'
  | 'tombstones dropped at once'
  | 'unsealed segments deleted'
  | 'segments deleted before they are absorbed'
  // A13
  | 'reader reads the root first'
  | 'missing segments ignored'
  | 'reader does not validate'
  | 'only the winner is validated'
  | 'drain not awaited'
  // Segments of objects
  | 'unlisted objects not asked for'
  | 'a gap is waited for'
  | 'seal counts with a gap';

export type Kind = 'put' | 'delete';

export interface LanesOptions {
  /** What each writer writes, in order. */
  readonly writers: readonly (readonly Kind[])[];
  /** No root has a higher number. */
  readonly roots: number;
  /** What the clock of each writer may show; default [0]: behind every stamp. */
  readonly clocks?: readonly (readonly number[])[];
  /** How often a dead write is tried again; default 1. */
  readonly retries?: number;
  readonly reader?: boolean;
  /** The reader and the first writer are one process: what was read before a write is older than it. */
  readonly session?: boolean;
  /** So many newest roots are kept; 0: all. */
  readonly kept?: number;
  /** A compactor that may sleep anywhere, and put a root under a number that was used and deleted. */
  readonly zombie?: boolean;
  /** Roots are put although nothing is new. */
  readonly housekeeping?: boolean;
  /** How reader and zombie read the newest root; default: in one step. */
  readonly rootReads?: 'one step' | 'list, get, list';
  /** A segment is a folder of objects, listed while they come and go. */
  readonly framed?: boolean;
  /** So many objects are put a second time, by the transport, after they were deleted. */
  readonly duplicates?: number;
  /** Reader and zombie come only once; what a second time would add is what went before. */
  readonly once?: boolean;
  readonly live?: boolean;
  readonly mutants?: readonly Mutant[];
}

/** A stamp and whether it deletes; see above. */
export type Write = number;

export interface Absorbed {
  readonly id: number;
  readonly offset: number;
  readonly sealed: boolean;
}

export interface Root {
  readonly number: number;
  readonly horizon: number;
  readonly drain: number;
  readonly forgot: number;
  /** The newest write that was absorbed and not dropped; and the root that absorbed it. */
  readonly base: Write;
  readonly baseAt: number;
  readonly absorbed: readonly Absorbed[];
  /** Times of stamps. */
  readonly maxStamp: number;
  readonly dropFloor: number;
}

/** A file, or a folder of objects. */
export interface Segment {
  /** 8 × R, and the writer's number from 1 on. */
  readonly id: number;
  /** 0: the object is not there, or not any more. */
  readonly frames: readonly Write[];
  readonly sealed: boolean;
}

/** A segment as a listing shows it: in folders, the objects; else what its size says, to who looks at that. */
export interface Listed {
  readonly id: number;
  /** Bit k: frame k. */
  readonly frames: number;
  readonly sealed: boolean;
}

export interface Writer {
  readonly pc: 'idle' | 'stamped' | 'check' | 'root listed' | 'dead' | 'done' | 'ended';
  readonly segment: number;
  readonly count: number;
  readonly sealed: boolean;
  readonly op: number;
  readonly write: Write;
  readonly retries: number;
  /** The newest time that it has seen. */
  readonly seen: number;
  /** Ghost: what its process has read. */
  readonly read: Write;
  readonly rootListed: number;
}

/** How far someone has come who reads the newest root. */
export type RootRead = undefined | { readonly listed: number } | { readonly got: Root };

export interface Reader {
  readonly pc: 'idle' | 'start' | 'lists' | 'root' | 'contents' | 'returns' | 'ended';
  /** Ghost: the newest write that it must show, or a newer one. */
  readonly need: Write;
  readonly begun: readonly Segment[] | undefined;
  readonly listing: readonly Listed[];
  readonly root: Root | undefined;
  readonly rootRead: RootRead;
  readonly todo: readonly Listed[];
  readonly best: Write;
  /** The segment that has the best, and its frame's end; 0: the root has it. */
  readonly source: number;
  readonly end: number;
  readonly used: readonly number[];
}

export interface Zombie {
  readonly pc: 'idle' | 'holds' | 'listed' | 'put' | 'ended';
  readonly root: Root | undefined;
  readonly rootRead: RootRead;
  readonly listing: readonly Listed[];
}

export interface State {
  readonly roots: readonly Root[];
  readonly segments: readonly Segment[];
  /** When the compactor's listing began; only of folders. */
  readonly begun: readonly Segment[] | undefined;
  /** What it showed; it began after the newest root was read. */
  readonly snap: readonly Listed[] | undefined;
  readonly writers: readonly Writer[];
  readonly reader: Reader;
  readonly zombie: Zombie;
  /** Objects that were deleted and may come again; frame -1 is the seal. */
  readonly deleted: readonly { readonly id: number; readonly at: number; readonly write: Write }[];
  readonly duplicates: number;
  /** Ghost: what was acknowledged, absorbed or shown, as far as it matters still. */
  readonly effective: readonly Write[];
  /** Ghost: what its writer holds for dead. */
  readonly dead: readonly Write[];
  readonly bad: string;
}

export type To = (label: string, next: State) => void;

export class Rules {
  readonly options: LanesOptions;
  readonly framed: boolean;
  readonly #mutants: ReadonlySet<Mutant>;

  constructor(options: LanesOptions) {
    this.options = options;
    this.framed = options.framed === true;
    this.#mutants = new Set(options.mutants);
  }

  has(mutant: Mutant): boolean {
    return this.#mutants.has(mutant);
  }
}

export const IDLE_READER: Reader = {
  pc: 'idle',
  need: 0,
  begun: undefined,
  listing: [],
  root: undefined,
  rootRead: undefined,
  todo: [],
  best: 0,
  source: 0,
  end: 0,
  used: [],
};

export const IDLE_ZOMBIE: Zombie = { pc: 'idle', root: undefined, rootRead: undefined, listing: [] };

export function writeOf(time: number, { writer, kind }: { writer: number; kind: Kind }): Write {
  return (time * 8 + writer) * 2 + (kind === 'delete' ? 1 : 0);
}

export function timeOf(write: Write): number {
  return write >> 4;
}

export function deletes(write: Write): boolean {
  return (write & 1) === 1;
}

/** A write as traces show it. */
export function textOf(write: Write): string {
  return write === 0 ? 'nothing' : `${deletes(write) ? 'delete' : 'put'} ${timeOf(write)}.${(write >> 1) & 7}`;
}

export function segmentId(root: number, writer: number): number {
  return root * 8 + writer + 1;
}

/** R. */
export function rootOf(id: number): number {
  return id >> 3;
}

export function idText(id: number): string {
  return `${rootOf(id)}-${(id & 7) - 1}`;
}

export function newestOf({ roots }: Pick<State, 'roots'>): Root {
  return roots.at(-1) as Root;
}

export function entryOf({ absorbed }: Root, id: number): Absorbed | undefined {
  return absorbed.find((entry) => entry.id === id);
}

export function offsetOf(root: Root, id: number): number {
  return entryOf(root, id)?.offset ?? 0;
}

export function findSegment(segments: readonly Segment[], id: number): Segment | undefined {
  return segments.find((segment) => segment.id === id);
}

export function withSegment(segments: readonly Segment[], segment: Segment): readonly Segment[] {
  return [...segments.filter(({ id }) => id !== segment.id), segment].sort((a, b) => a.id - b.id);
}

export function listedOf({ id, frames, sealed }: Segment): Listed {
  return { id, frames: frames.reduce((bits, frame, k) => (frame === 0 ? bits : bits | (1 << k)), 0), sealed };
}

/** One more than the highest bit. */
export function endOf(bits: number): number {
  return 32 - Math.clz32(bits);
}

/**
 * What a listing may show that took from `before` to `now`: what was there all the time, and of what came or went meanwhile some,
 * whatever the order in which it came.
 */
export function listingsBetween(before: readonly Segment[], now: readonly Segment[]): readonly (readonly Listed[])[] {
  const ids = [...new Set([...before, ...now].map(({ id }) => id))].sort((a, b) => a - b);
  let listings: (readonly Listed[])[] = [[]];
  for (const id of ids) {
    const nothing: Segment = { id, frames: [], sealed: false };
    const one = listedOf(findSegment(before, id) ?? nothing);
    const other = listedOf(findSegment(now, id) ?? nothing);
    const choices: Listed[] = [];
    const seals = one.sealed === other.sealed ? [one.sealed] : [true, false];
    for (const frames of between(one.frames & other.frames, one.frames | other.frames)) {
      for (const sealed of seals) choices.push({ id, frames, sealed });
    }
    listings = listings.flatMap((listing) =>
      choices.map((choice) => (choice.frames === 0 && !choice.sealed ? listing : [...listing, choice])),
    );
  }
  return listings;
}

/** The sets of bits that hold the least and lie in the most. */
function between(least: number, most: number): readonly number[] {
  const sets: number[] = [];
  for (let bits = most; ; bits = (bits - 1) & most) {
    if ((bits & least) === least) sets.push(bits);
    if (bits === 0) return sets;
  }
}

/** What is visible at the newest root to one who sees everything. */
export function visible({ roots, segments }: State): Write {
  const root = roots.at(-1) as Root;
  let best = root.base;
  for (const { id, frames } of segments) {
    if (rootOf(id) < root.horizon) continue;
    for (let k = offsetOf(root, id); k < frames.length; k++) best = Math.max(best, frames[k] as Write);
  }
  return best;
}

export function withWrite(writes: readonly Write[], write: Write): readonly Write[] {
  return write === 0 || writes.includes(write) ? writes : [...writes, write].sort((a, b) => a - b);
}
