/** The writers of the model of segments and roots: rules A4, A5, A6 and A8. */
import {
  entryOf,
  findSegment,
  idText,
  type Kind,
  newestOf,
  type Root,
  type Rules,
  rootOf,
  type Segment,
  type State,
  segmentId,
  type To,
  textOf,
  timeOf,
  type Writer,
  withSegment,
  withWrite,
  writeOf,
} from './lanes-state.ts';

export const NEW_WRITER: Writer = {
  pc: 'idle',
  segment: 0,
  count: 0,
  sealed: false,
  op: 0,
  write: 0,
  retries: 0,
  seen: 0,
  read: 0,
  rootListed: 0,
};

export type Fate = 'acknowledged' | 'wait' | 'unknown' | 'dead';

/** A6, by the root that a writer has read. */
export function fateIn(rules: Rules, root: Root, { segment, count }: Pick<Writer, 'segment' | 'count'>): Fate {
  const opened = rootOf(segment);
  const absorbed = entryOf(root, segment);
  if (absorbed !== undefined && absorbed.offset >= count) return 'acknowledged';
  if (opened >= (rules.has('acknowledged in a drain') ? root.horizon : Math.max(root.horizon, root.drain))) return 'acknowledged';
  if (opened >= root.horizon) return 'wait';
  return absorbed === undefined && opened < root.forgot && !rules.has('unknown means dead') ? 'unknown' : 'dead';
}

export function writerSteps(rules: Rules, state: State, to: To): void {
  for (let i = 0; i < state.writers.length; i++) {
    const writer = state.writers[i] as Writer;
    const ops = rules.options.writers[i] as readonly Kind[];
    const step = new WriterStep(rules, { state, i, writer, ops }, to);
    step.seal();
    if (writer.pc === 'idle') step.begin();
    else if (writer.pc === 'stamped') step.append();
    else if (writer.pc === 'check' || writer.pc === 'root listed') step.check();
    else if (writer.pc === 'dead') step.repeat();
  }
}

class WriterStep {
  readonly #rules: Rules;
  readonly #state: State;
  readonly #i: number;
  readonly #writer: Writer;
  readonly #ops: readonly Kind[];
  readonly #to: To;

  constructor(rules: Rules, { state, i, writer, ops }: { state: State; i: number; writer: Writer; ops: readonly Kind[] }, to: To) {
    this.#rules = rules;
    this.#state = state;
    this.#i = i;
    this.#writer = writer;
    this.#ops = ops;
    this.#to = to;
  }

  #go(label: string, change: Partial<Writer>, more: Partial<State> = {}): void {
    const writers = this.#state.writers.with(this.#i, { ...this.#writer, ...change });
    this.#to(`W${this.#i} ${label}`, { ...this.#state, writers, ...more });
  }

  /** A8: every frame of the segment was checked. */
  seal(): void {
    const { pc, count, sealed, segment } = this.#writer;
    const checked = pc === 'idle' || pc === 'done' || (pc === 'check' && this.#rules.has('sealed before the post-check'));
    if (count === 0 || sealed || !checked) return;
    const there = findSegment(this.#state.segments, segment);
    const folder: Segment = { id: segment, frames: Array.from({ length: count }, () => 0), sealed: false };
    const sealing = there ?? (this.#rules.framed ? folder : undefined);
    const segments = sealing === undefined ? this.#state.segments : withSegment(this.#state.segments, { ...sealing, sealed: true });
    this.#go('seals', { sealed: true }, { segments });
  }

  /** Stamps the next write, for the segment that it has, or for a new one at the newest root. */
  begin(): void {
    const { op, count, sealed, segment, seen } = this.#writer;
    if (op >= this.#ops.length) return;
    const newest = newestOf(this.#state);
    const appendsSealed = this.#rules.has('appended after the seal');
    if (count === 0 || (sealed && newest.number > rootOf(segment) && !appendsSealed)) this.#open(newest);
    else if (!sealed || appendsSealed) this.#stamp(seen, {}, 'stamps');
  }

  #open(newest: Root, retries: number = this.#writer.retries): void {
    const segment = segmentId(newest.number, this.#i);
    this.#stamp(this.#floor(newest), { segment, count: 0, sealed: false, retries }, `opens ${idText(segment)}`);
  }

  /** A5. */
  #floor(newest: Root): number {
    const maxStamp = this.#rules.has('maxStamp not observed') ? 0 : newest.maxStamp;
    return Math.max(this.#writer.seen, maxStamp, newest.dropFloor);
  }

  #stamp(floor: number, change: Partial<Writer>, label: string): void {
    const { pc, op, write, read } = this.#writer;
    const kind = this.#ops[op] as Kind;
    const clocks = this.#rules.options.clocks?.[this.#i] ?? [0];
    const isOld = pc === 'dead' && this.#rules.has('repeated with its old stamp');
    for (const next of isOld ? [write] : clocks.map((clock) => writeOf(Math.max(floor, clock) + 1, { writer: this.#i, kind }))) {
      const bad = next < read ? `${textOf(next)} is older than ${textOf(read)}, which its process had read` : this.#state.bad;
      const dead = isOld ? this.#state.dead.filter((other) => other !== next) : this.#state.dead;
      this.#go(`${label}, for ${textOf(next)}`, { ...change, pc: 'stamped', write: next, seen: floor }, { bad, dead });
    }
  }

  /** May come at any later time. */
  append(): void {
    const { segment, count, write, seen } = this.#writer;
    const there = findSegment(this.#state.segments, segment);
    const creates = count === 0 || this.#rules.framed || this.#rules.has('a segment is created anew');
    let segments = this.#state.segments;
    if (this.#rules.framed) {
      const frames = [...(there?.frames ?? [])];
      while (frames.length < count) frames.push(0);
      segments = withSegment(segments, { id: segment, frames: [...frames, write], sealed: there?.sealed ?? false });
    } else if (there !== undefined) {
      segments = withSegment(segments, { ...there, frames: [...there.frames, write] });
    } else if (creates) {
      segments = withSegment(segments, { id: segment, frames: [write], sealed: false });
    }
    const change = { count: count + 1, seen: Math.max(seen, timeOf(write)) };
    const label = `appends ${textOf(write)}`;
    if (this.#rules.has('no post-check')) this.#acknowledge(`${label}, acknowledged`, { ...change, segments });
    else this.#go(label, { ...change, pc: 'check' }, { segments });
  }

  #acknowledge(label: string, { segments, ...change }: Partial<Writer> & { segments?: readonly Segment[] } = {}): void {
    const op = this.#writer.op + 1;
    const effective = withWrite(this.#state.effective, this.#writer.write);
    const pc = op < this.#ops.length ? 'idle' : 'done';
    this.#go(label, { ...change, pc, op, write: 0, retries: 0 }, { effective, segments: segments ?? this.#state.segments });
  }

  check(): void {
    const state = this.#state;
    let newest: Root | undefined = newestOf(state);
    if (this.#rules.has('writer reads the root without a second listing')) {
      if (this.#writer.pc === 'check') {
        this.#go(`lists root${newest.number}`, { pc: 'root listed', rootListed: newest.number });
        return;
      }
      newest = state.roots.find(({ number }) => number === this.#writer.rootListed);
      if (newest === undefined) {
        this.#go('finds the root gone', { pc: 'check', rootListed: 0 });
        return;
      }
    }
    const fate = fateIn(this.#rules, newest, this.#writer);
    if (fate === 'acknowledged') this.#acknowledge('is acknowledged', { rootListed: 0 });
    else if (fate === 'unknown') this.#go('cannot know', { pc: 'ended', rootListed: 0 });
    else if (fate === 'dead') this.#go('finds it dead', { pc: 'dead', rootListed: 0 }, { dead: withWrite(state.dead, this.#writer.write) });
  }

  /** A6: with a fresh stamp, in a new segment. */
  repeat(): void {
    const { retries } = this.#writer;
    if (retries < (this.#rules.options.retries ?? 1)) this.#open(newestOf(this.#state), retries + 1);
  }
}
