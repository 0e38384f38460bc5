/**
 * A model of the shortcuts (docs/protocol.md): appends without a post-check (A6), roots read without a second listing (A1), reads without a
 * second look (A13), because roots are given time to be noticed.
 *
 * Time passes in ticks. What happens in one tick happens in any order, and takes no time by any clock; `CONSTANTS` are the real ones, shrunk:
 * a tick is the minute for which a root is trusted, and what a gap between two roots counts at most. The medium's clock may jump ahead.
 *
 * Of time a state has only what somebody can measure, up to where it makes no difference any more: how long ago roots were read, and how old
 * roots are. So time has no bound; the number of roots has.
 *
 * Who acts: a writer, which may stall anywhere for any time, and stop for ever; a compactor, which absorbs, keeps house, drains; a reader. A
 * frame is named by its segment and its place, and everything is about whether it counts. Segments and roots are never deleted here: what
 * could go wrong with that is in lanes.ts, and a root that was got when it might have been deleted is wrong at once.
 *
 * On a medium across a network (`remote`) a machine may be paused with all of its clocks: before an append it may take any root, and any segment, for
 * young. What is measured is by the dates of the medium's answers: how old a root was when the append was answered, or a read's last call; what
 * comes after that, and how late, makes no difference. There a read gets the objects that its listing of the log showed, and no later ones;
 * where it knows them all, and the root, the listing of the roots is its last call.
 *
 * That a drain's root must be so many roots old as well as so many minutes is left out: each gap counts so little that age alone needs roots.
 *
 * What is checked: a frame that was acknowledged, or shown by a read, is never cut off; a read shows all that was acknowledged before it
 * began; no root is got that might have been deleted, and put again, since it was listed.
 */
import { type Model, modelOf } from './explore.ts';

export type Mutant =
  | 'drains start early'
  | 'gaps count in full'
  | 'segments are never left'
  | 'roots are trusted for long'
  | 'writers ignore the drain'
  | 'readers ignore the drain'
  | 'roots are deleted early'
  | 'segments stay young for long'
  | 'pauses go unnoticed';

/** When a read makes no second look: as it is built; or only where all its segments are young. */
export type Look = 'where roots are young' | 'where segments are young' | 'always';

export interface ShortcutOptions {
  readonly roots: number;
  readonly writes: number;
  readonly jumps?: number;
  readonly reader?: Look;
  /** A drain is finished only by a listing that began so many ticks after its root. */
  readonly drainTicks?: number;
  /** The medium is across a network. */
  readonly remote?: boolean;
  readonly mutant?: Mutant;
}

const ENDED: Writer = { pc: 'ended', left: 0, root: undefined, rootAge: 0, answeredAge: 0, hasSegment: false, segmentAge: 0 };

/** In ticks. */
const CONSTANTS = { trust: 1, segmentAgeMax: 1, gapMax: 1, drainAge: 3 };

interface Root {
  readonly number: number;
  readonly horizon: number;
  readonly drain: number;
  /** How much of each segment it has absorbed. */
  readonly offsets: readonly number[];
}

interface Segment {
  /** R. */
  readonly root: number;
  readonly frames: number;
  /** Ghost: bit k: frame k was acknowledged or shown. */
  readonly effective: number;
}

interface Writer {
  readonly pc: 'idle' | 'ready' | 'written' | 'ended';
  readonly left: number;
  readonly root: Root | undefined;
  /** How long ago that was read; and the one at which its segment was opened. */
  readonly rootAge: number;
  /** How long ago it was when the append was answered; where that is what counts. */
  readonly answeredAge: number;
  readonly hasSegment: boolean;
  readonly segmentAge: number;
}

interface Reader {
  readonly pc: 'idle' | 'listed' | 'root listed' | 'rooted' | 'read';
  /** How long ago it began; and listed the roots. */
  readonly age: number;
  readonly rootAge: number;
  /** The frames of each segment, as they were then. */
  readonly listed: readonly number[];
  readonly root: Root | undefined;
  readonly frames: readonly number[];
  /** Ghost: what it must show. */
  readonly need: readonly number[];
}

export interface State {
  readonly jumps: number;
  /** The newest one. */
  readonly root: Root;
  /** By the number of a root: its age, as `manifest/root-ages.ts` has it. */
  readonly ages: readonly number[];
  /** By the medium's clock, the gap that the next root will find. */
  readonly gap: number;
  /** How long ago the root was put that began the drain. */
  readonly drainAge: number;
  /** In ascending order of time; the last one is the writer's. */
  readonly segments: readonly Segment[];
  /** What the compactor's listing showed of each segment. */
  readonly snap: readonly number[] | undefined;
  readonly writer: Writer;
  readonly reader: Reader;
  readonly bad: string;
}

type To = (label: string, next: State) => void;

const IDLE: Reader = { pc: 'idle', age: 0, rootAge: 0, listed: [], root: undefined, frames: [], need: [] };
const JUMP: number = CONSTANTS.drainAge;

export function shortcuts(options: ShortcutOptions): Model<State> {
  return modelOf('shortcuts', new Shortcuts(options), { live: false });
}

class Shortcuts {
  readonly #options: ShortcutOptions;
  readonly #trust: number;

  constructor(options: ShortcutOptions) {
    this.#options = options;
    this.#trust = options.mutant === 'roots are trusted for long' ? CONSTANTS.drainAge + 1 : CONSTANTS.trust;
  }

  initial(): State {
    return {
      jumps: 0,
      root: { number: 0, horizon: 0, drain: 0, offsets: [] },
      ages: [0],
      gap: 0,
      drainAge: 0,
      segments: [],
      snap: undefined,
      reader: IDLE,
      bad: '',
      writer: { pc: 'idle', left: this.#options.writes, root: undefined, rootAge: 0, answeredAge: 0, hasSegment: false, segmentAge: 0 },
    };
  }

  steps(state: State, next: To): void {
    const to: To = (label, { writer, ...after }) => next(label, { ...after, writer: writer.pc === 'ended' ? ENDED : writer });
    to('a minute passes', this.#later(state));
    if (this.#has('pauses go unnoticed')) {
      const { writer, reader } = state;
      to('a minute passes, which no clock shows', { ...this.#later(state), writer, reader });
    }
    if (state.jumps < (this.#options.jumps ?? 0))
      to("the medium's clock jumps", { ...state, jumps: state.jumps + 1, gap: this.#gap(state.gap + JUMP) });
    this.#writerSteps(state, to);
    this.#compactorSteps(state, to);
    if (this.#options.reader !== undefined) this.#readerSteps(state, to);
  }

  #later(state: State): State {
    const { writer, reader, gap, drainAge } = state;
    const trusted = (age: number): number => Math.min(age + 1, this.#trust);
    // Its last call was answered.
    const isReaderDone = reader.pc === 'idle' || (reader.pc === 'read' && this.#options.remote === true);
    return {
      ...state,
      gap: this.#gap(gap + 1),
      drainAge: state.root.drain > state.root.horizon ? Math.min(drainAge + 1, this.#options.drainTicks ?? 0) : 0,
      writer: {
        ...writer,
        rootAge: writer.root === undefined ? 0 : trusted(writer.rootAge),
        segmentAge: writer.hasSegment ? Math.min(writer.segmentAge + 1, CONSTANTS.segmentAgeMax + 1) : 0,
      },
      reader: isReaderDone ? reader : { ...reader, age: trusted(reader.age), rootAge: trusted(reader.rootAge) },
    };
  }

  /** What a gap counts. */
  #gap(ticks: number): number {
    return Math.min(ticks, this.#has('gaps count in full') ? CONSTANTS.drainAge : CONSTANTS.gapMax);
  }

  #has(mutant: Mutant): boolean {
    return this.#options.mutant === mutant;
  }

  // ---- Writer

  #writerSteps(state: State, to: To): void {
    const { writer, segments } = state;
    const go = (label: string, change: Partial<Writer>, more: Partial<State> = {}): void =>
      to(`W ${label}`, { ...state, ...more, writer: { ...writer, ...change } });
    if (writer.pc === 'idle' && writer.left > 0) {
      this.#prepare(state, go, { isPaused: false });
      if (this.#options.remote === true) this.#prepare(state, go, { isPaused: true });
    } else if (writer.pc === 'ready') {
      const last = segments.at(-1) as Segment;
      const answeredAge = this.#options.remote === true ? writer.rootAge : 0;
      go('writes', { pc: 'written', answeredAge }, { segments: segments.with(-1, { ...last, frames: last.frames + 1 }) });
    } else if (writer.pc === 'written') {
      const segment = segments.at(-1) as Segment;
      const known = writer.root as Root;
      const isAbove = segment.root >= Math.max(known.horizon, this.#has('writers ignore the drain') ? 0 : known.drain);
      const age = this.#options.remote === true ? writer.answeredAge : writer.rootAge;
      if (isAbove && age < this.#trust) this.#acknowledge(state, 'is acknowledged at once', go);
      else this.#postCheck(state, go);
    }
  }

  /** @param isPaused what its clocks should have shown since the last append, they don't */
  #prepare(state: State, go: GoWriter, { isPaused }: { isPaused: boolean }): void {
    const { writer, segments } = state;
    const known = writer.rootAge < this.#trust || isPaused ? writer.root : undefined;
    // What it goes by is the number, the horizon and the drain.
    const root: Root = known ?? { ...state.root, offsets: [] };
    const rootAge = known === undefined ? 0 : writer.rootAge;
    const last = segments.at(-1);
    const isOld = writer.segmentAge > CONSTANTS.segmentAgeMax && !isPaused && !this.#has('segments are never left');
    if (writer.hasSegment && last !== undefined && !isOld && last.root >= root.drain) {
      go('goes on in its segment', { pc: 'ready', root, rootAge });
    } else {
      const opened = [...segments, { root: root.number, frames: 0, effective: 0 }];
      go(
        `opens a segment at root${root.number}`,
        { pc: 'ready', root, rootAge, hasSegment: true, segmentAge: rootAge },
        { segments: opened },
      );
    }
  }

  #acknowledge({ writer, segments }: State, label: string, go: GoWriter): void {
    const last = segments.at(-1) as Segment;
    const left = writer.left - 1;
    const effective = last.effective | (1 << (last.frames - 1));
    go(label, { pc: left > 0 ? 'idle' : 'ended', left, answeredAge: 0 }, { segments: segments.with(-1, { ...last, effective }) });
  }

  #postCheck(state: State, go: GoWriter): void {
    const newest = state.root;
    const last = state.segments.length - 1;
    const { root, frames } = state.segments[last] as Segment;
    if ((newest.offsets[last] ?? 0) >= frames || root >= Math.max(newest.horizon, newest.drain)) {
      this.#acknowledge(state, 'looks, and is acknowledged', go);
    } else if (root < newest.horizon) {
      go('looks, and is dead', { pc: 'ended' });
    }
  }

  // ---- Compactor

  #compactorSteps(state: State, to: To): void {
    const { segments, snap, gap, root: newest } = state;
    if (newest.number >= this.#options.roots) return;
    const ages = [...state.ages.map((age) => Math.min(age + gap, this.#drainAge)), 0];
    const put = (label: string, change: Partial<Root>): void =>
      to(`C ${label}`, {
        ...state,
        root: { ...newest, ...change, number: newest.number + 1 },
        ages,
        gap: 0,
        drainAge: newest.drain > newest.horizon ? state.drainAge : 0,
        snap: undefined,
      });
    const all = segments.map(({ root, frames }, i) => (root >= newest.horizon ? frames : (newest.offsets[i] ?? 0)));
    if (gap > 0) put('keeps house', {});
    if (all.some((frames, i) => frames > (newest.offsets[i] ?? 0))) put('absorbs', { offsets: all });
    if (newest.drain === newest.horizon) {
      for (let drain = newest.horizon + 1; drain < newest.number; drain++) {
        if ((state.ages[drain] as number) >= this.#drainAge) put(`drain ${drain}`, { drain });
      }
      return;
    }
    const counts = segments.map(({ frames }) => frames);
    const isNew = snap === undefined || snap.length !== counts.length || snap.some((frames, i) => frames !== counts[i]);
    if (isNew && state.drainAge >= (this.#options.drainTicks ?? 0)) to('C lists', { ...state, snap: counts });
    if (snap === undefined) return;
    const below = (count: readonly number[]): readonly number[] =>
      segments.map(({ root }, i) => Math.max(newest.offsets[i] ?? 0, root >= newest.horizon && root < newest.drain ? (count[i] ?? 0) : 0));
    put(`horizon ${newest.drain}`, { horizon: newest.drain, offsets: below(snap) });
  }

  get #drainAge(): number {
    return this.#has('drains start early') ? CONSTANTS.segmentAgeMax : CONSTANTS.drainAge;
  }

  // ---- Reader

  #readerSteps(state: State, to: To): void {
    const { reader, segments, root: newest } = state;
    const go = (label: string, change: Partial<Reader>, more: Partial<State> = {}): void =>
      to(`R ${label}`, { ...state, ...more, reader: { ...reader, ...change } });
    if (reader.pc === 'idle') {
      const need = segments.map(({ effective }) => effective);
      go('lists the log', { pc: 'listed', listed: segments.map(({ frames }) => frames), need });
    } else if (reader.pc === 'listed') {
      if (this.#options.remote === true) {
        const frames = this.#framesOf(state, newest);
        go(`lists root${newest.number}, knows it, and [${frames}]`, { pc: 'read', rootAge: 0, root: newest, frames });
      }
      go(`lists root${newest.number}`, { pc: 'root listed', rootAge: 0, root: newest });
    } else if (reader.pc === 'root listed') {
      const root = reader.root as Root;
      const isOld = reader.rootAge >= this.#trust;
      if (isOld && root.number !== newest.number) go('finds a newer root', IDLE);
      else go(`gets root${root.number}`, { pc: 'rooted' }, { bad: isOld ? state.bad : this.#judgeRoot(state, root) });
    } else if (reader.pc === 'rooted') {
      const frames = this.#framesOf(state, reader.root as Root);
      go(`reads [${frames}]`, { pc: 'read', frames });
    } else {
      const root = reader.root as Root;
      if (!this.#maySkip(state, root)) {
        if (newest.number !== root.number) {
          go('looks again, and starts over', IDLE);
          return;
        }
        if (this.#uses(state, (segment, isUncovered) => isUncovered && segment.root < root.drain)) return;
      }
      this.#show(state, go);
    }
  }

  /** What it gets of each segment that it listed. */
  #framesOf({ segments, reader }: State, root: Root): number[] {
    return reader.listed.map((listed, i) => {
      const segment = segments[i] as Segment;
      if (segment.root < root.horizon) return root.offsets[i] ?? 0;
      return this.#options.remote === true ? listed : segment.frames;
    });
  }

  /** Roots that are as old as a drain's may be deleted, and be put again by one who slept. */
  #judgeRoot(state: State, root: Root): string {
    const isNewest = root.number === state.root.number;
    const age = this.#has('roots are deleted early') ? 0 : CONSTANTS.drainAge;
    return !isNewest && (state.ages[root.number] as number) >= age ? `root${root.number} might be another one by now` : state.bad;
  }

  #uses({ reader, segments }: State, matches: (segment: Segment, isUncovered: boolean) => boolean): boolean {
    const root = reader.root as Root;
    return segments
      .slice(0, reader.listed.length)
      .some((segment, i) => segment.root >= root.horizon && matches(segment, (reader.frames[i] ?? 0) > (root.offsets[i] ?? 0)));
  }

  /** Whether the second look is left out. */
  #maySkip(state: State, root: Root): boolean {
    const look = this.#options.reader;
    if (look === 'always' || state.reader.age >= this.#trust) return false;
    if (!this.#has('readers ignore the drain') && this.#uses(state, (segment) => segment.root < root.drain)) return false;
    if (look === 'where roots are young') return true;
    // Each gap counts a tick at most: those between the roots after R, the one before the next root, all while this read is trusted
    // together, which take no time here, and those of the clock's jumps.
    const roomLeft = CONSTANTS.drainAge / CONSTANTS.gapMax - 2 - (this.#options.jumps ?? 0);
    const rootsMax = this.#has('segments stay young for long') ? roomLeft + 2 : roomLeft;
    return !this.#uses(state, (segment, isUncovered) => isUncovered && root.number - segment.root > rootsMax);
  }

  #show(state: State, go: (label: string, change: Partial<Reader>, more: Partial<State>) => void): void {
    const { reader } = state;
    const root = reader.root as Root;
    const missed = reader.need.findIndex((need, i) => need >> (reader.frames[i] ?? 0) !== 0);
    const bad = missed === -1 ? state.bad : `a read missed what segment ${missed} had`;
    const segments = state.segments.map((segment, i) => {
      const shown = reader.frames[i] ?? 0;
      const offset = root.offsets[i] ?? 0;
      return { ...segment, effective: segment.effective | ((1 << Math.max(shown, offset)) - 1) };
    });
    go('returns', IDLE, { segments, bad });
  }

  violation(state: State): string | undefined {
    if (state.bad !== '') return state.bad;
    const { horizon, offsets } = state.root;
    const lost = state.segments.findIndex(({ root, effective }, i) => root < horizon && effective >> (offsets[i] ?? 0) !== 0);
    return lost === -1 ? undefined : `a frame of segment ${lost} was acknowledged or shown, and is cut off`;
  }

  finished(): boolean {
    return true;
  }
}

type GoWriter = (label: string, change: Partial<Writer>, more?: Partial<State>) => void;
