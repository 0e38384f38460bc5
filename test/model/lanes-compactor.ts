/**
 * The compactors of the model of segments and roots: rules A2, A3, A7, A9, A10, A11 and A12.
 *
 * One compactor without a state of its own stands for any number of them: a put succeeds only if the root that was read is still the newest,
 * and a pass that fails does nothing else. What is kept is its listing, which must have begun after that root was put. A segment is read
 * at any time between the listing and the put, and, as a pass's bounds have it, up to any frame. The zombie is another one, which reads an
 * old root and puts the next number, long used, once that has been deleted.
 */
import { rootReadSteps } from './lanes-reader.ts';
import {
  type Absorbed,
  deletes,
  endOf,
  entryOf,
  findSegment,
  IDLE_ZOMBIE,
  idText,
  type Listed,
  listedOf,
  listingsBetween,
  newestOf,
  offsetOf,
  type Root,
  type Rules,
  rootOf,
  type Segment,
  type State,
  type To,
  timeOf,
  type Write,
  withSegment,
  withWrite,
  type Zombie,
} from './lanes-state.ts';

/** What a pass may have read of a segment. */
interface Read {
  readonly absorbed: Absorbed;
  readonly writes: readonly Write[];
  /** Up to its end, as the listing shows it. */
  readonly whole: boolean;
}

interface Publication {
  readonly label: string;
  readonly root: Root;
  readonly writes: readonly Write[];
}

export function compactorSteps(rules: Rules, state: State, to: To): void {
  const newest = newestOf(state);
  if (newest.number < rules.options.roots) {
    listSteps(rules, state, to);
    if (state.snap !== undefined) {
      for (const { label, root, writes } of publications(rules, { base: newest, listing: state.snap, segments: state.segments })) {
        const snap = rules.has('drain finished with an old listing') ? state.snap : undefined;
        to(`C ${label}`, { ...published(rules, state, { root, writes }), snap, begun: undefined });
      }
    }
  }
  deletions(rules, state, { root: newest, who: 'C' }, to);
  if (rules.options.kept !== undefined && rules.options.kept > 0) {
    for (const { number } of state.roots) {
      if (number > newest.number - rules.options.kept) break;
      to(`C deletes root${number}`, { ...state, roots: state.roots.filter((root) => root.number !== number) });
    }
  }
  for (const { id, at, write } of state.duplicates > 0 ? state.deleted : []) {
    const there = findSegment(state.segments, id) ?? { id, frames: [], sealed: false };
    const frames = [...there.frames];
    while (frames.length < at) frames.push(0);
    if (write !== 0) frames[at] = write;
    const segments = withSegment(state.segments, { id, frames, sealed: there.sealed || write === 0 });
    to(`${idText(id)}/${at} comes again`, { ...state, segments, deleted: [], duplicates: state.duplicates - 1 });
  }
}

function listSteps(rules: Rules, state: State, to: To): void {
  if (!rules.framed) {
    const snap = state.segments.map(listedOf);
    if (!sameListing(snap, state.snap)) to('C lists', { ...state, snap });
  } else if (state.begun === undefined) {
    if (state.snap === undefined || !sameListing(state.segments.map(listedOf), state.snap))
      to('C begins to list', { ...state, begun: state.segments, snap: undefined });
  } else {
    for (const snap of listingsBetween(state.begun, state.segments))
      to(`C lists ${listingText(snap)}`, { ...state, snap, begun: undefined });
  }
}

function sameListing(a: readonly Listed[], b: readonly Listed[] | undefined): boolean {
  if (a.length !== b?.length) return false;
  return a.every(({ id, frames, sealed }, i) => id === b[i]?.id && frames === b[i].frames && sealed === b[i].sealed);
}

export function listingText(listing: readonly Listed[]): string {
  return `[${listing.map(({ id, frames, sealed }) => `${idText(id)}:${frames.toString(2)}${sealed ? '.' : ''}`).join(' ')}]`;
}

/** A3: a root deletes nothing of itself; those that fall out of the newest go by steps of their own. */
function published(rules: Rules, state: State, { root, writes }: { root: Root; writes: readonly Write[] }): State {
  const roots = [...state.roots, root];
  const kept = rules.options.kept ?? 0;
  const effective = writes.reduce(withWrite, state.effective);
  // Without anyone who could tell, they go at once.
  const gone = kept > 0 && rules.options.zombie !== true && rules.options.rootReads === undefined;
  return { ...state, roots: gone ? roots.slice(-kept) : kept === 0 ? [root] : roots, effective };
}

/** Every root that a compactor may put that has read this one, and then listed the log. */
function* publications(
  rules: Rules,
  { base, listing, segments }: { base: Root; listing: readonly Listed[]; segments: readonly Segment[] },
): Generator<Publication> {
  const number = base.number + 1;
  const next = (change: Partial<Root>): Root => ({ ...base, ...change, number });
  const reads = listing.map((listed) => readsOf(rules, { base, listed, segments }));
  for (const chosen of product(reads)) {
    if (chosen.some(({ absorbed }) => isNews(base, absorbed)))
      yield { label: `absorbs ${textOfReads(chosen)}`, ...absorb(base, chosen, {}) };
  }
  if (rules.options.housekeeping === true) yield { label: 'keeps house', root: next({}), writes: [] };
  const forgotten = base.absorbed.filter(({ id }) => rules.has('forgotten early') || !listing.some((listed) => listed.id === id));
  const gone = forgotten.filter(({ id }) => !rules.framed || rootOf(id) < base.horizon || rules.has('forgotten early'));
  if (gone.length > 0) {
    const up = rules.has('forgot raised to R') ? 0 : 1;
    const forgot = gone.reduce((most, { id, sealed }) => (sealed ? most : Math.max(most, rootOf(id) + up)), base.forgot);
    const absorbed = base.absorbed.filter((entry) => !gone.includes(entry));
    yield {
      label: `forgets ${gone.map(({ id }) => idText(id)).join(' ')}`,
      root: next({ absorbed, forgot: rules.has('forgot not raised') ? base.forgot : forgot }),
      writes: [],
    };
  }
  if (base.drain > base.horizon) yield* horizons(rules, { base, reads });
  else yield* drains(rules, { base, reads });
  if (deletes(base.base) && (base.horizon >= base.baseAt || rules.has('tombstones dropped at once'))) {
    const dropFloor = Math.max(base.dropFloor, timeOf(base.base));
    yield { label: 'drops the tombstone', root: next({ base: 0, baseAt: 0, dropFloor }), writes: [] };
  }
}

/** A10, the first root: from now on nobody is acknowledged below the drain without being absorbed. */
function* drains(rules: Rules, { base, reads }: { base: Root; reads: readonly (readonly Read[])[] }): Generator<Publication> {
  const number = base.number + 1;
  for (let drain = base.horizon + 1; drain <= base.number + (rules.has('one step to the horizon') ? 1 : 0); drain++) {
    if (rules.has('one step to the horizon')) yield* horizons(rules, { base: { ...base, drain }, reads });
    else yield { label: `drain ${drain}`, root: { ...base, number, drain }, writes: [] };
  }
}

/** A10, the second root: everything below the drain was read, up to where it ended when it was listed. */
function* horizons(rules: Rules, { base, reads }: { base: Root; reads: readonly (readonly Read[])[] }): Generator<Publication> {
  const below = reads.map((choices) => choices.filter((read) => mayBeLeft(rules, base, read)));
  for (const chosen of product(below)) {
    const label = `horizon ${base.drain}, absorbs ${textOfReads(chosen)}`;
    yield { label, ...absorb(base, chosen, { horizon: base.drain }) };
  }
}

function mayBeLeft(rules: Rules, base: Root, { absorbed, whole }: Read): boolean {
  if (rootOf(absorbed.id) < base.drain) return whole || rules.has('drain finished with frames left');
  // What stands above the drain is left for other roots.
  return !isNews(base, absorbed);
}

function isNews(base: Root, { id, offset, sealed }: Absorbed): boolean {
  const entry = entryOf(base, id);
  return entry === undefined ? offset > 0 || sealed : offset !== entry.offset || sealed !== entry.sealed;
}

function textOfReads(reads: readonly Read[]): string {
  return `[${reads.map(({ absorbed: { id, offset, sealed } }) => `${idText(id)}:${offset}${sealed ? '.' : ''}`).join(' ')}]`;
}

function absorb(base: Root, reads: readonly Read[], change: Partial<Root>): { root: Root; writes: readonly Write[] } {
  const number = base.number + 1;
  const absorbed = base.absorbed.filter(({ id }) => !reads.some((read) => read.absorbed.id === id));
  let { base: best, baseAt, maxStamp } = base;
  const writes: Write[] = [];
  for (const read of reads) {
    if (isNews(base, read.absorbed)) absorbed.push(read.absorbed);
    else absorbed.push(...base.absorbed.filter(({ id }) => id === read.absorbed.id));
    for (const write of read.writes) {
      writes.push(write);
      maxStamp = Math.max(maxStamp, timeOf(write));
      if (write > best) {
        best = write;
        baseAt = deletes(write) ? number : 0;
      }
    }
  }
  absorbed.sort((a, b) => a.id - b.id);
  return { root: { ...base, base: best, baseAt, maxStamp, absorbed, ...change, number }, writes };
}

/** What may have been read of a listed segment: nothing, or all frames up to one, from where the root ends. */
function readsOf(rules: Rules, { base, listed, segments }: { base: Root; listed: Listed; segments: readonly Segment[] }): readonly Read[] {
  const { id } = listed;
  const entry = entryOf(base, id);
  const start = entry?.offset ?? 0;
  const nothing: Read = { absorbed: entry ?? { id, offset: 0, sealed: false }, writes: [], whole: rootOf(id) < base.horizon };
  if (rootOf(id) < base.horizon || entry?.sealed === true) return [{ ...nothing, whole: true }];
  const segment = findSegment(segments, id);
  // One that is gone was absorbed by a newer root: this pass comes to nothing.
  if (segment === undefined) return [nothing];
  const end = rules.framed ? Math.max(endOf(listed.frames), listed.sealed ? segment.frames.length : 0) : segment.frames.length;
  const reads: Read[] = [];
  const writes: Write[] = [];
  let gaps = 0;
  for (let at = start; ; at++) {
    const isEnd = at >= end;
    const whole = rules.framed ? isEnd : at >= endOf(listed.frames);
    const sealed = isEnd && segment.sealed && (!rules.framed || (listed.sealed && (gaps === 0 || rules.has('seal counts with a gap'))));
    reads.push({ absorbed: noted(rules, { id, offset: at, sealed, start, end, segment }), writes: [...writes], whole });
    if (isEnd) return reads;
    const isListed = (listed.frames & (1 << at)) !== 0;
    const write = segment.frames[at] ?? 0;
    if (write === 0 && rules.framed && isListed) return reads;
    if (write === 0 || (rules.framed && !isListed && rules.has('unlisted objects not asked for'))) gaps++;
    else writes.push(write);
  }
}

/** A7: what `absorbed` says of what was read. */
function noted(rules: Rules, { start, end, segment, ...read }: Absorbed & { start: number; end: number; segment: Segment }): Absorbed {
  if (rules.has('absorbed says more than was read')) return { ...read, offset: end };
  if (rules.has('absorbed says less than was read') && read.offset > start) return { ...read, offset: read.offset - 1 };
  if (rules.has('seal counts before its frames')) return { ...read, sealed: segment.sealed };
  return read;
}

function product<T>(choices: readonly (readonly T[])[]): readonly (readonly T[])[] {
  return choices.reduce<readonly (readonly T[])[]>((all, some) => all.flatMap((list) => some.map((one) => [...list, one])), [[]]);
}

/** A12, by a root that was the newest one once. */
function deletions(rules: Rules, state: State, { root, who }: { root: Root; who: string }, to: To): void {
  for (const segment of state.segments) {
    const { id, frames, sealed } = segment;
    const entry = entryOf(root, id);
    const may =
      rootOf(id) < root.horizon ||
      entry?.sealed === true ||
      (rules.has('unsealed segments deleted') && entry !== undefined && offsetOf(root, id) >= frames.length) ||
      (rules.has('segments deleted before they are absorbed') && sealed);
    if (!may) continue;
    const others = state.segments.filter((other) => other !== segment);
    if (!rules.framed) {
      to(`${who} deletes ${idText(id)}`, { ...state, segments: others });
      continue;
    }
    const without = (change: Partial<Segment>, object: State['deleted'][number]): State => {
      const left = { ...segment, ...change };
      const isEmpty = !left.sealed && left.frames.every((frame) => frame === 0);
      return {
        ...state,
        segments: isEmpty ? others : withSegment(others, left),
        deleted: state.duplicates > 0 ? [...state.deleted, object].sort((a, b) => a.id - b.id || a.at - b.at) : [],
      };
    };
    frames.forEach((write, at) => {
      if (write !== 0) to(`${who} deletes ${idText(id)}/${at}`, without({ frames: frames.with(at, 0) }, { id, at, write }));
    });
    if (sealed) to(`${who} deletes the seal of ${idText(id)}`, without({ sealed: false }, { id, at: frames.length, write: 0 }));
  }
}

/** A compactor that may sleep anywhere. What it does before a commit is known to be one goes by a root that was once the newest. */
export function zombieSteps(rules: Rules, state: State, to: To): void {
  const { zombie } = state;
  const newest = newestOf(state);
  const go = (label: string, change: Partial<Zombie>, more: Partial<State> = {}): void =>
    to(`Z ${label}`, { ...state, ...more, zombie: { ...zombie, ...change } });
  if (zombie.pc === 'ended') return;
  const end: Zombie = rules.options.once === true ? { ...IDLE_ZOMBIE, pc: 'ended' } : IDLE_ZOMBIE;
  if (zombie.pc === 'idle') {
    rootReadSteps(rules, { roots: state.roots, read: zombie.rootRead, cached: zombie.root ?? newest }, (label, rootRead, root) => {
      if (root !== undefined) go(label, { pc: 'holds', root, rootRead: undefined });
      else go(label, { rootRead });
    });
    return;
  }
  const root = zombie.root as Root;
  if (zombie.pc === 'holds') {
    go('lists', { pc: 'listed', listing: state.segments.map(listedOf) });
    deletions(rules, state, { root, who: 'Z' }, to);
  } else if (zombie.pc === 'listed') {
    go('gives up', end);
    const number = root.number + 1;
    if (number > rules.options.roots || state.roots.some((other) => other.number === number)) return;
    for (const { label, root: mine, writes } of publications(rules, { base: root, listing: zombie.listing, segments: state.segments })) {
      const after: Partial<Zombie> = { pc: rules.has('commit not confirmed') ? 'holds' : 'put', root: mine, listing: [] };
      if (number > newest.number) {
        const { roots, effective } = published(rules, state, { root: mine, writes });
        go(label, after, { roots, effective, snap: undefined, begun: undefined });
      } else {
        go(`${label} as root${number} again`, after, { roots: [...state.roots, mine].sort((a, b) => a.number - b.number) });
      }
    }
  } else if (newest.number > root.number) {
    go('finds its root overtaken', end);
  } else {
    go('finds its root the newest', { pc: 'holds' });
  }
}
