/** The reader of the model of segments and roots: rules A1 and A13. */
import {
  endOf,
  entryOf,
  findSegment,
  IDLE_READER,
  idText,
  type Listed,
  listingsBetween,
  newestOf,
  offsetOf,
  type Reader,
  type Root,
  type RootRead,
  type Rules,
  rootOf,
  type Segment,
  type State,
  type To,
  textOf,
  timeOf,
  withWrite,
} from './lanes-state.ts';

/** A1, step by step: a root once it is read; undefined: not yet, go on from `read`. */
export function rootReadSteps(
  rules: Rules,
  { roots, read, cached }: { roots: readonly Root[]; read: RootRead; cached: Root | undefined },
  to: (label: string, read: RootRead, root: Root | undefined) => void,
): void {
  const newest = newestOf({ roots });
  if (rules.has('roots probed upwards')) {
    let at = cached ?? newest;
    for (let next: Root | undefined = at; next !== undefined; next = roots.find(({ number }) => number === at.number + 1)) at = next;
    to(`probes root${at.number}`, undefined, at);
  } else if (rules.options.rootReads !== 'list, get, list') {
    to(`reads root${newest.number}`, undefined, newest);
  } else if (read === undefined) {
    to(`lists root${newest.number}`, { listed: newest.number }, undefined);
  } else if ('listed' in read) {
    const root = roots.find(({ number }) => number === read.listed);
    if (root === undefined) to(`finds root${read.listed} gone`, undefined, undefined);
    else if (rules.has('root read without a second listing')) to(`gets root${root.number}`, undefined, root);
    else to(`gets root${root.number}`, { got: root }, undefined);
  } else if (newest.number === read.got.number) {
    to('lists the same root', undefined, read.got);
  } else {
    to(`lists root${newest.number} now`, undefined, undefined);
  }
}

export function readerSteps(rules: Rules, state: State, to: To): void {
  const { reader } = state;
  const step = new ReaderStep(rules, state, to);
  switch (reader.pc) {
    case 'idle':
      step.begin();
      break;
    case 'start':
      step.list();
      break;
    case 'lists':
      step.endListing();
      break;
    case 'root':
      step.readRoot();
      break;
    case 'contents':
      if (reader.todo.length > 0) step.readSegment();
      else step.validate();
      break;
    case 'returns':
      step.go('ends', { ...IDLE_READER, ...step.kept(), pc: rules.options.once === true ? 'ended' : 'idle' });
      break;
    case 'ended':
      break;
  }
}

class ReaderStep {
  readonly #rules: Rules;
  readonly #state: State;
  readonly #reader: Reader;
  readonly #to: To;

  constructor(rules: Rules, state: State, to: To) {
    this.#rules = rules;
    this.#state = state;
    this.#reader = state.reader;
    this.#to = to;
  }

  go(label: string, change: Partial<Reader>, more: Partial<State> = {}): void {
    this.#to(`R ${label}`, { ...this.#state, ...more, reader: { ...this.#reader, ...change } });
  }

  /** Who probes keeps the root that it probes from. */
  kept(): Partial<Reader> {
    return this.#rules.has('roots probed upwards') ? { root: this.#reader.root } : {};
  }

  #startOver(label: string): void {
    this.go(label, { ...IDLE_READER, ...this.kept(), pc: 'start', need: this.#reader.need });
  }

  begin(): void {
    const need = this.#state.effective.at(-1);
    if (need === undefined) return;
    if (this.#rules.has('roots probed upwards') && this.#reader.root === undefined) {
      this.go('knows the newest root', { root: newestOf(this.#state) });
      return;
    }
    this.go('starts', { pc: 'start', need });
  }

  list(): void {
    if (this.#rules.has('reader reads the root first') && this.#reader.root === undefined) {
      this.#readRootSteps((root) => ({ root }));
    } else if (this.#rules.framed) {
      this.go('begins to list', { pc: 'lists', begun: this.#state.segments });
    } else {
      this.#listed(this.#state.segments.map(({ id }) => ({ id, frames: 0, sealed: false })));
    }
  }

  endListing(): void {
    for (const listing of listingsBetween(this.#reader.begun as readonly Segment[], this.#state.segments)) this.#listed(listing);
  }

  #listed(listing: readonly Listed[]): void {
    const { root } = this.#reader;
    const names = listing.map(({ id }) => idText(id)).join(' ');
    if (this.#rules.has('reader reads the root first') && root !== undefined) {
      this.go(`lists ${names}`, { ...this.#contents(root, listing), begun: undefined });
    } else {
      this.go(`lists ${names}`, { pc: 'root', listing, begun: undefined });
    }
  }

  readRoot(): void {
    this.#readRootSteps((root) => this.#contents(root, this.#reader.listing));
  }

  #readRootSteps(then: (root: Root) => Partial<Reader>): void {
    const { rootRead: read, root: cached } = this.#reader;
    rootReadSteps(this.#rules, { roots: this.#state.roots, read, cached }, (label, rootRead, root) => {
      if (root !== undefined) this.go(label, { ...then(root), rootRead: undefined });
      // B1 and A13 list again, too.
      else if (rootRead === undefined) this.#startOver(label);
      else this.go(label, { rootRead });
    });
  }

  #contents(root: Root, listing: readonly Listed[]): Partial<Reader> {
    const todo = listing.filter(({ id }) => rootOf(id) >= root.horizon && entryOf(root, id)?.sealed !== true);
    return { pc: 'contents', root, listing: [], todo, best: root.base, source: 0, end: 0, used: [] };
  }

  readSegment(): void {
    const { root, todo, used } = this.#reader;
    const [listed, ...rest] = todo as [Listed, ...Listed[]];
    const { id } = listed;
    let { best, source, end } = this.#reader;
    const segment = findSegment(this.#state.segments, id);
    if (segment === undefined && !this.#rules.has('missing segments ignored')) {
      this.#startOver(`finds ${idText(id)} gone`);
      return;
    }
    const frames = segment?.frames ?? [];
    const last = this.#rules.framed ? Math.max(endOf(listed.frames), listed.sealed ? frames.length : 0) : frames.length;
    for (let at = offsetOf(root as Root, id); at < last; at++) {
      const write = frames[at] ?? 0;
      const isListed = (listed.frames & (1 << at)) !== 0;
      if (write === 0 && (isListed ? !this.#rules.has('missing segments ignored') : this.#rules.has('a gap is waited for'))) {
        this.#startOver(`finds ${idText(id)}/${at} missing`);
        return;
      }
      if (this.#rules.framed && !isListed && this.#rules.has('unlisted objects not asked for')) continue;
      if (write > best) [best, source, end] = [write, id, at + 1];
    }
    this.go(`reads ${idText(id)}`, { todo: rest, best, source, end, used: this.#isValidated() ? [...used, id] : used });
  }

  #isValidated(): boolean {
    return !this.#rules.has('reader does not validate') && !this.#rules.has('only the winner is validated');
  }

  /** The second look, on the newest root. */
  validate(): void {
    const { source, end, used, best } = this.#reader;
    const newest = newestOf(this.#state);
    let valid = used.every((id) => rootOf(id) >= newest.horizon);
    if (source !== 0 && !this.#rules.has('reader does not validate')) {
      const covered = offsetOf(newest, source) >= end;
      if (rootOf(source) < newest.horizon) valid = valid && covered;
      else if (!covered && rootOf(source) < newest.drain && !this.#rules.has('drain not awaited')) return;
    }
    if (!valid) {
      this.#startOver('finds the horizon moved');
      return;
    }
    const writers = this.#rules.options.session === true ? this.#sessionOf(best) : this.#state.writers;
    const effective = source === 0 ? this.#state.effective : withWrite(this.#state.effective, best);
    this.go(
      `returns ${textOf(best)}`,
      { ...IDLE_READER, ...this.kept(), pc: 'returns', need: this.#reader.need, best },
      { writers, effective },
    );
  }

  /** A5: what a process has read, its writer has seen. */
  #sessionOf(best: number): State['writers'] {
    const first = this.#state.writers[0];
    if (first === undefined) return this.#state.writers;
    const seen = this.#rules.has('seen stamps not observed') ? first.seen : Math.max(first.seen, timeOf(best));
    return this.#state.writers.with(0, { ...first, seen, read: Math.max(first.read, best) });
  }
}
