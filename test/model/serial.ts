/**
 * A model of one stripe of read-modify-write records beside blind writes: rules B1 to B7, A6, A10, A11 and A13, void records
 * (docs/decisions/0018-void-records.md), and a namespace that is dropped and used again.
 *
 * Who acts: clients, each with a list of operations on a key, an update or a blind put or delete, which may stall between any
 * two steps; one reader that reads the first key again and again; a compactor; who deletes what is covered.
 *
 * The value of a key is the text of the nonces that were applied to it, two characters each: the number of the operation
 * (`0` to `9` over all clients) and of its attempt. A blind write is a segment with one frame.
 *
 * What is checked: an update that commits has read the newest update before it, and where no blind write is about, the true
 * value; it never hides an acknowledged blind write that it did not read, and never undoes one: the visible stamp of a key
 * never falls below an acknowledged one, unless that was a delete and nothing is visible. No operation commits twice; an
 * acknowledged one has committed; an attempt that did not happen has not; what was seen by a read or an update stays. A read
 * returns only what has committed, nothing older than what was acknowledged or seen before it began.
 *
 * Reductions: root reads, one compactor, contents with the second look, and covered records as in update-many.ts. A segment
 * is never forgotten and never used again (`lanes` of the design has that), and one listing shows segments at one moment.
 * With `torn` an update lists the records slot by slot, upwards, so it may see gaps.
 *
 * `sure` is a ghost, of what was put while no drain stood above its root: nothing may make it void any more.
 */
import { type Model, modelOf } from './explore.ts';

export type Mutant =
  | 'no post-check'
  | 'unknown means failed'
  | 'unknown means done'
  | 'updater does not validate'
  | 'reader does not validate'
  | 'reader reads the root first'
  | 'gap accepted'
  | 'gap absorbed'
  | 'stamp above all seen'
  | 'records are never void'
  | 'acknowledged in a drain'
  | 'drain not awaited by updaters'
  | 'drain not awaited by readers'
  | 'drain finished with an old listing'
  | 'drain finished with records left'
  | 'tombstones dropped at once'
  | 'drop floor ignored'
  | 'dropped namespace forgets its numbers'
  | 'nothing is unknown after a drop';

export interface Operation {
  readonly kind: 'update' | 'update to delete' | 'put' | 'delete';
  readonly key: number;
}

export interface SerialOptions {
  readonly keys: number;
  readonly clients: readonly (readonly Operation[])[];
  readonly reader?: boolean;
  readonly nonces?: number;
  readonly torn?: boolean;
  /** The highest root number; 0: roots have no numbers, and nothing drains. */
  readonly roots?: number;
  /** How often the namespace may be dropped. */
  readonly drops?: number;
  /** What clocks may show, beside being behind every stamp. */
  readonly clocks?: readonly number[];
  readonly attempts?: number;
  readonly covered?: boolean;
  readonly live?: boolean;
  readonly mutant?: Mutant;
}

/** A put or a delete of a key; a base without one has stamp 0. `value` undefined: a delete. */
interface Version {
  readonly stamp: number;
  readonly value: string | undefined;
}

interface Base extends Version {
  readonly absorbedAt: number;
}

interface Root {
  readonly number: number;
  readonly horizon: number;
  readonly drain: number;
  readonly forgot: number;
  readonly through: number;
  readonly nonces: readonly string[];
  readonly base: readonly Base[];
  readonly absorbed: readonly string[];
  readonly maxStamp: number;
  readonly dropFloor: number;
}

/** A record (n > 0) or a segment (n = 0). */
interface Entry extends Version {
  readonly n: number;
  readonly nonce: string;
  readonly root: number;
  readonly key: number;
  readonly sure: boolean;
  /** Ghost, of a record: the version that it rests on. */
  readonly read: Version;
}

type Pc = 'idle' | 'listed' | 'rooted' | 'put' | 'append' | 'post' | 'stopped';

interface Client {
  readonly pc: Pc;
  readonly op: number;
  readonly attempt: number;
  /** Records listed, up to `slot`. */
  readonly names: readonly number[];
  readonly slot: number;
  readonly segments: readonly string[];
  readonly root: Root | undefined;
  readonly at: number;
  readonly n: number;
  readonly stamp: number;
  readonly read: Version | undefined;
  readonly need: number;
}

interface Reader {
  readonly pc: 'idle' | 'listed' | 'rooted' | 'root first';
  readonly names: readonly number[];
  readonly segments: readonly string[];
  readonly root: Root | undefined;
  readonly need: number;
}

/** Ghost: an operation that took effect, or was seen to. */
interface Fact {
  readonly nonce: string;
  readonly key: number;
  readonly stamp: number;
  readonly read: number;
  readonly kind: 'update' | 'blind';
  readonly deletes: boolean;
}

export interface State {
  readonly root: Root;
  readonly records: readonly Entry[];
  readonly segments: readonly Entry[];
  readonly snap: { readonly high: number; readonly segments: readonly string[] } | undefined;
  readonly clients: readonly Client[];
  readonly reader: Reader;
  /** Ghost: updates that committed, in this life of the namespace, in their order. */
  readonly commits: readonly Fact[];
  /** Ghost: what was acknowledged, or seen, in this life. */
  readonly seen: readonly Fact[];
  /** Ghost: updates that committed in an earlier life. */
  readonly before: readonly string[];
  /** Ghost: attempts that were told that they did not happen. */
  readonly failed: readonly string[];
  readonly drops: number;
  readonly bad: string;
}

type To = (label: string, next: State) => void;
type Seen = {
  readonly winner: Version & { readonly entry: Entry | undefined };
  readonly high: number;
  readonly lowest: number;
  readonly roots: readonly number[];
};

const NOTHING: Version = { stamp: 0, value: undefined };
const TICK = 10_000;

export function serial(options: SerialOptions): Model<State> {
  const steps = new Serial(options);
  return modelOf('serial', steps, { live: options.live === true });
}

class Serial {
  readonly #options: SerialOptions;
  readonly #mutant: Mutant | undefined;
  readonly #nonces: number;
  readonly #numbered: boolean;
  readonly #blind: boolean;
  readonly #idle: Client;
  readonly #slots: number;

  constructor(options: SerialOptions) {
    this.#options = options;
    this.#mutant = options.mutant;
    this.#nonces = options.nonces ?? 1;
    this.#numbered = (options.roots ?? 0) > 0;
    this.#blind = options.clients.some((list) => list.some(({ kind }) => isBlind(kind)));
    this.#slots = options.clients.flat().length + 2;
    this.#idle = {
      pc: 'idle',
      op: 0,
      attempt: 0,
      names: [],
      slot: 0,
      segments: [],
      root: undefined,
      at: 0,
      n: 0,
      stamp: 0,
      read: undefined,
      need: 0,
    };
  }

  initial(): State {
    const base = Array.from({ length: this.#options.keys }, () => ({ ...NOTHING, absorbedAt: 0 }));
    return {
      root: { number: 0, horizon: 0, drain: 0, forgot: 0, through: 0, nonces: [], base, absorbed: [], maxStamp: 0, dropFloor: 0 },
      records: [],
      segments: [],
      snap: undefined,
      clients: this.#options.clients.map(() => this.#idle),
      reader: { pc: 'idle', names: [], segments: [], root: undefined, need: 0 },
      commits: [],
      seen: [],
      before: [],
      failed: [],
      drops: 0,
      bad: '',
    };
  }

  steps(state: State, to: To): void {
    for (let i = 0; i < state.clients.length; i++) this.#clientSteps(state, i, to);
    if (this.#options.reader === true) this.#readerSteps(state, to);
    this.#compactorSteps(state, to);
    this.#deletions(state, to);
    if (state.drops < (this.#options.drops ?? 0) && state.root.number < (this.#options.roots ?? 0)) this.#drop(state, to);
  }

  // ---- Clients

  #clientSteps(state: State, i: number, to: To): void {
    const client = state.clients[i] as Client;
    const operation = this.#options.clients[i]?.[client.op];
    if (operation === undefined || client.pc === 'stopped') return;
    const go = this.#goer(state, { i, client, operation }, to);
    if (isBlind(operation.kind)) this.#blindSteps(state, { i, client, operation }, go);
    else this.#updateSteps(state, { client, operation }, go);
  }

  #goer(state: State, { i, client, operation }: { i: number; client: Client; operation: Operation }, to: To): Go {
    const number = (this.#options.clients.slice(0, i).flat().length + client.op) % 10;
    const nonce = `${number}${client.attempt}`;
    const become = (label: string, change: Partial<Client>, more: Partial<State> = {}): void =>
      to(`${number} ${label}`, { ...state, ...more, clients: state.clients.with(i, { ...client, ...change }) });
    const again = (label: string): void => become(label, { ...this.#idle, op: client.op, attempt: client.attempt });
    const done = (label: string, more: Partial<State> = {}): void => become(label, { ...this.#idle, op: client.op + 1 }, more);
    return {
      nonce,
      become,
      again,
      done,
      acknowledged: (stamp, more = {}) => {
        const kind = isBlind(operation.kind) ? 'blind' : 'update';
        const fact: Fact = { nonce, key: operation.key, stamp, read: 0, kind, deletes: operation.kind.endsWith('delete') };
        done('is acknowledged', { ...more, seen: withFact(more.seen ?? state.seen, fact) });
      },
      failed: (label) => {
        const attempt = client.attempt + 1;
        const ended = isBlind(operation.kind) || attempt >= (this.#options.attempts ?? 3);
        become(label, ended ? { ...this.#idle, op: client.op, attempt, pc: 'stopped' } : { ...this.#idle, op: client.op, attempt }, {
          failed: [...state.failed, nonce].sort(),
        });
      },
      unknown: () => done('cannot know'),
    };
  }

  #blindSteps(state: State, { i, client, operation }: { i: number; client: Client; operation: Operation }, go: Go): void {
    const { root } = state;
    if (client.pc === 'idle') {
      const floor = Math.max(root.maxStamp, root.dropFloor);
      for (const clock of [0, ...(this.#options.clocks ?? [])]) {
        const stamp = (Math.max(Math.floor(floor / TICK), clock) + 1) * TICK + (i + 1) * 100;
        go.become(`opens at root${root.number}`, { pc: 'append', at: root.number, stamp });
      }
    } else if (client.pc === 'append') {
      const { key, kind } = operation;
      const sure = client.at >= Math.max(root.horizon, root.drain);
      const segment: Entry = {
        n: 0,
        nonce: go.nonce,
        root: client.at,
        key,
        stamp: client.stamp,
        value: kind === 'delete' ? undefined : go.nonce,
        sure,
        read: NOTHING,
      };
      go.become(`appends ${client.stamp}`, { pc: 'post' }, { segments: [...state.segments, segment].sort(byNonce) });
    } else if (root.absorbed.includes(go.nonce) || client.at >= Math.max(root.horizon, root.drain)) {
      go.acknowledged(client.stamp);
    } else if (client.at < root.forgot) {
      go.unknown();
    } else if (client.at < root.horizon) {
      go.failed('is dead');
    }
  }

  #updateSteps(state: State, { client, operation }: { client: Client; operation: Operation }, go: Go): void {
    const need = state.commits.reduce((most, fact) => (fact.key === operation.key ? Math.max(most, fact.stamp) : most), 0);
    switch (client.pc) {
      case 'idle': {
        const segments = client.slot === 0 ? state.segments.map(({ nonce }) => nonce) : client.segments;
        const first = client.slot === 0 ? { segments, need: Math.max(need, neededOf(state, operation.key)) } : {};
        if (this.#options.torn !== true) {
          go.become('lists', { ...first, names: state.records.map(({ n }) => n), pc: 'listed' });
        } else {
          const slot = client.slot + 1;
          const names = state.records.some(({ n }) => n === slot) ? [...client.names, slot] : client.names;
          go.become(`lists slot ${slot}`, {
            ...first,
            names,
            slot: slot === this.#slots ? 0 : slot,
            pc: slot === this.#slots ? 'listed' : 'idle',
          });
        }
        break;
      }
      case 'listed':
        go.become(`reads root${state.root.number}`, { pc: 'rooted', root: state.root });
        break;
      case 'rooted':
        this.#plan(state, { client, operation }, go);
        break;
      case 'put':
        this.#putRecord(state, { client, operation }, go);
        break;
      case 'post':
        this.#postCheck(state, client, go);
        break;
      default:
        break;
    }
  }

  #plan(state: State, { client, operation }: { client: Client; operation: Operation }, go: Go): void {
    const root = client.root as Root;
    const read = this.#read(state, { root, names: client.names, segments: client.segments, key: operation.key });
    const verdict = read === undefined ? 'again' : this.#validate(state.root, read, 'updater');
    if (read === undefined || verdict === 'again') {
      go.again('starts over');
      return;
    }
    if (verdict === 'wait') return;
    const { stamp, value, entry } = read.winner;
    const floor = this.#mutant === 'drop floor ignored' ? 0 : root.dropFloor;
    const rests = stamp === 0 ? floor : stamp;
    const next = this.#mutant === 'stamp above all seen' ? (Math.floor(Math.max(rests, root.maxStamp) / TICK) + 1) * TICK : rests + 1;
    const bad = rests < client.need ? `an update read ${rests}, and missed ${client.need}` : '';
    go.become(
      `reads [${value}]`,
      {
        pc: 'put',
        names: [],
        segments: [],
        root: undefined,
        need: 0,
        at: root.number,
        n: read.high + 1,
        stamp: next,
        read: { stamp: rests, value },
      },
      { bad, seen: entry === undefined || entry.n > 0 ? state.seen : withFact(state.seen, blindFact(entry)) },
    );
  }

  #putRecord(state: State, { client, operation }: { client: Client; operation: Operation }, go: Go): void {
    const { n } = client;
    const { root } = state;
    const covered = n <= root.through;
    const free = !state.records.some((record) => record.n === n);
    if (!free || (covered && this.#options.covered !== true)) go.again(`finds ${n} taken`);
    if (!free) return;
    const read = client.read as Version;
    const sure = !covered && (client.at >= Math.max(root.horizon, root.drain) || this.#mutant === 'records are never void');
    const value = operation.kind === 'update' ? `${read.value ?? ''}${go.nonce}` : undefined;
    const record: Entry = { n, nonce: go.nonce, root: client.at, key: operation.key, stamp: client.stamp, value, sure, read };
    const records = covered && this.#options.covered !== true ? state.records : [...state.records, record].sort(byNumber);
    const more = { ...(sure ? this.#commit(state, record) : {}), records };
    if (this.#mutant === 'no post-check') go.acknowledged(client.stamp, more);
    else go.become(`puts ${n}${covered ? ' (late)' : ''}`, { pc: 'post', read: undefined }, more);
  }

  /** An update takes effect: it must rest on what is true. */
  #commit(state: State, record: Entry): Pick<State, 'commits' | 'bad'> {
    const { nonce, key, stamp, read } = record;
    const fact: Fact = { nonce, key, stamp, read: read.stamp, kind: 'update', deletes: record.value === undefined };
    const missed = state.commits.find((other) => other.key === key && other.stamp > read.stamp);
    let bad = state.bad;
    if (missed !== undefined) bad ||= `${nonce} commits, and missed ${missed.nonce}`;
    const current = this.#truth(state, key);
    if (!this.#blind && current.value !== read.value) bad ||= `${nonce} commits on [${read.value}], but the value is [${current.value}]`;
    return { commits: [...state.commits, fact], bad };
  }

  #postCheck(state: State, client: Client, go: Go): void {
    const { root } = state;
    const { n, at } = client;
    if (root.through >= n) {
      const nonce = root.through - n < root.nonces.length ? root.nonces.at(n - root.through - 1) : undefined;
      if (nonce === go.nonce) go.acknowledged(client.stamp);
      else if (nonce === '' && at < root.forgot && this.#mutant !== 'nothing is unknown after a drop') go.unknown();
      else if (nonce !== undefined || this.#mutant === 'unknown means failed') go.failed('did not happen');
      else if (this.#mutant === 'unknown means done') go.acknowledged(client.stamp);
      else go.unknown();
    } else if (
      this.#mutant === 'records are never void' ||
      at >= (this.#mutant === 'acknowledged in a drain' ? root.horizon : Math.max(root.horizon, root.drain))
    ) {
      go.acknowledged(client.stamp);
    } else if (at < root.forgot && this.#mutant !== 'nothing is unknown after a drop') {
      go.unknown();
    } else if (at < root.horizon) {
      go.failed('did not happen');
    }
  }

  // ---- Reading

  /** Undefined: something is gone, or the listing has a gap; start over. */
  #read(state: State, from: { root: Root; names: readonly number[]; segments: readonly string[]; key: number }): Seen | undefined {
    const { root, names, key } = from;
    const used = names.filter((n) => n > root.through);
    const high = Math.max(root.through, ...used);
    if (this.#mutant !== 'gap accepted' && used.length !== high - root.through) return undefined;
    let winner: Seen['winner'] = { ...(root.base[key] as Base), entry: undefined };
    const roots: number[] = [];
    const neverVoid = this.#mutant === 'records are never void';
    const take = (entry: Entry): void => {
      if (!neverVoid || entry.n === 0) roots.push(entry.root);
      if (entry.key === key && entry.stamp > winner.stamp) winner = { stamp: entry.stamp, value: entry.value, entry };
    };
    for (const n of used) {
      const record = state.records.find((other) => other.n === n);
      if (record === undefined) return undefined;
      if (record.root >= root.horizon || neverVoid) take(record);
    }
    for (const nonce of from.segments) {
      if (root.absorbed.includes(nonce)) continue;
      const segment = state.segments.find((other) => other.nonce === nonce);
      if (segment === undefined) return undefined;
      if (segment.root >= root.horizon) take(segment);
    }
    return { winner, high, lowest: Math.min(Number.POSITIVE_INFINITY, ...used), roots };
  }

  #validate(newest: Root, { winner, lowest, roots }: Seen, who: 'reader' | 'updater'): 'again' | 'wait' | 'valid' {
    const neverVoid = this.#mutant === 'records are never void';
    if (this.#mutant !== `${who} does not validate`) {
      if (lowest <= newest.through) return 'again';
      if (roots.some((root) => root < newest.horizon)) return 'again';
    }
    const { entry } = winner;
    if (entry === undefined || (neverVoid && entry.n > 0) || this.#mutant === `drain not awaited by ${who}s`) return 'valid';
    const covered = entry.n === 0 && newest.absorbed.includes(entry.nonce);
    return newest.drain > newest.horizon && !covered && entry.root < newest.drain ? 'wait' : 'valid';
  }

  #readerSteps(state: State, to: To): void {
    const { reader, root } = state;
    const idle: Reader = { pc: 'idle', names: [], segments: [], root: undefined, need: 0 };
    const become = (label: string, change: Partial<Reader>, more: Partial<State> = {}): void =>
      to(`R ${label}`, { ...state, ...more, reader: { ...reader, ...change } });
    const need = reader.pc === 'idle' ? neededOf(state, 0) : reader.need;
    const listing = { names: state.records.map(({ n }) => n), segments: state.segments.map(({ nonce }) => nonce), need };
    if (reader.pc === 'idle' && this.#mutant === 'reader reads the root first')
      become(`reads root${root.number}`, { pc: 'root first', root, need });
    else if (reader.pc === 'idle') become('lists', { pc: 'listed', ...listing });
    else if (reader.pc === 'root first') become('lists', { pc: 'rooted', ...listing });
    else if (reader.pc === 'listed') become(`reads root${root.number}`, { pc: 'rooted', root });
    else {
      const read = this.#read(state, { root: reader.root as Root, names: reader.names, segments: reader.segments, key: 0 });
      const verdict = read === undefined ? 'again' : this.#validate(root, read, 'reader');
      if (verdict === 'wait') return;
      if (read === undefined || verdict === 'again') {
        become('starts over', idle);
        return;
      }
      const { entry } = read.winner;
      const seen = entry !== undefined && entry.n === 0 ? withFact(state.seen, blindFact(entry)) : state.seen;
      become(`returns [${read.winner.value}]`, idle, { seen, bad: this.#judgeRead(state, read) });
    }
  }

  #judgeRead(state: State, { winner }: Seen): string {
    const { stamp, value, entry } = winner;
    const { need } = state.reader;
    if (entry !== undefined && entry.n > 0 && !state.commits.some((fact) => fact.nonce === entry.nonce))
      return `a read returned [${value}], which never committed`;
    if (stamp >= need || state.drops > 0) return '';
    // Nothing there: right, if a delete at or after what was needed has been dropped since.
    const deleted = [...state.commits, ...state.seen].some((fact) => fact.key === 0 && fact.deletes && fact.stamp >= need);
    const dropped = stamp === 0 && (deleted || state.root.dropFloor >= need);
    return dropped ? '' : `a read returned [${value}] with stamp ${stamp}, and missed ${need}`;
  }

  // ---- Compactor

  #compactorSteps(state: State, to: To): void {
    const { root, snap } = state;
    if (this.#numbered && root.number >= (this.#options.roots ?? 0)) return;
    const draining = root.drain > root.horizon;
    for (const through of this.#prefixes(state)) {
      for (const segments of subsets(this.#openSegments(state))) {
        if (through > root.through || segments.length > 0)
          this.#publish(state, { label: `absorbs to ${through} ${segments}`, through, segments, change: {} }, to);
        if (draining && this.#isDrained(state, { through, segments })) {
          this.#publish(
            state,
            {
              label: `finishes drain ${root.drain}, absorbs to ${through} ${segments}`,
              through,
              segments,
              change: { horizon: root.drain },
            },
            to,
          );
        }
      }
    }
    if (!this.#numbered) return;
    const high = Math.max(root.through, ...state.records.map(({ n }) => n));
    const listed = state.segments.map(({ nonce }) => nonce);
    const news = snap === undefined || snap.high !== high || snap.segments.length !== listed.length;
    if (news && (draining || this.#mutant === 'drain finished with an old listing'))
      to('C lists', { ...state, snap: { high, segments: listed } });
    if (draining) return;
    for (let drain = root.horizon + 1; drain <= root.number + 1; drain++) {
      this.#publish(state, { label: `drain ${drain}`, through: root.through, segments: [], change: { drain } }, to);
    }
    for (const key of root.base.keys()) {
      if (this.#isDroppable(root, key, root.horizon))
        this.#publish(state, { label: `drops tombstone ${key}`, through: root.through, segments: [], change: {}, drops: [key] }, to);
    }
  }

  #isDroppable(root: Root, key: number, horizon: number): boolean {
    const { stamp, value, absorbedAt } = root.base[key] as Base;
    return stamp > 0 && value === undefined && (horizon >= absorbedAt || this.#mutant === 'tombstones dropped at once');
  }

  #prefixes({ root, records }: State): readonly number[] {
    const prefixes = [root.through];
    for (const { n } of records) {
      if (n <= root.through) continue;
      if (n !== (prefixes.at(-1) as number) + 1 && this.#mutant !== 'gap absorbed') break;
      prefixes.push(n);
    }
    return prefixes;
  }

  #openSegments({ root, segments }: State): readonly string[] {
    return segments.filter((segment) => segment.root >= root.horizon && !root.absorbed.includes(segment.nonce)).map(({ nonce }) => nonce);
  }

  /** Whether a root that absorbs these has absorbed everything below the drain that was listed after the drain was published. */
  #isDrained({ root, records, segments, snap }: State, absorbing: { through: number; segments: readonly string[] }): boolean {
    if (snap === undefined) return false;
    if (this.#mutant !== 'drain finished with records left' && this.#mutant !== 'records are never void') {
      if (records.some(({ n, root: at }) => n > absorbing.through && n <= snap.high && at < root.drain)) return false;
    }
    return segments.every(
      ({ nonce, root: at }) =>
        at >= root.drain ||
        at < root.horizon ||
        !snap.segments.includes(nonce) ||
        root.absorbed.includes(nonce) ||
        absorbing.segments.includes(nonce),
    );
  }

  #publish(
    state: State,
    pass: { label: string; through: number; segments: readonly string[]; change: Partial<Root>; drops?: readonly number[] },
    to: To,
  ): void {
    const { root } = state;
    const number = this.#numbered ? root.number + 1 : 0;
    const skips = this.#mutant === 'gap absorbed' && pass.through > root.through ? pass.through - 1 : root.through;
    const records = state.records.filter(({ n }) => n > skips && n <= pass.through);
    const base = [...root.base];
    let { maxStamp, dropFloor } = root;
    let next: State = state;
    const nonces = [...root.nonces];
    for (const entry of [...records, ...state.segments.filter(({ nonce }) => pass.segments.includes(nonce))]) {
      const isVoid = entry.n > 0 && entry.root < root.horizon && this.#mutant !== 'records are never void';
      if (entry.n > 0) nonces.push(isVoid ? '' : entry.nonce);
      if (isVoid) continue;
      if (entry.n > 0 && !entry.sure) next = { ...next, ...this.#commit(next, entry) };
      maxStamp = Math.max(maxStamp, entry.stamp);
      if (entry.stamp > (base[entry.key] as Base).stamp) base[entry.key] = { stamp: entry.stamp, value: entry.value, absorbedAt: number };
      // What a root has absorbed is there for all to see.
      if (entry.n === 0) next = { ...next, seen: withFact(next.seen, blindFact(entry)) };
    }
    for (const key of pass.drops ?? []) {
      dropFloor = Math.max(dropFloor, (base[key] as Base).stamp);
      base[key] = { ...NOTHING, absorbedAt: 0 };
    }
    const keepsSnap = this.#mutant === 'drain finished with an old listing' && pass.change.drain !== undefined;
    to(`C ${pass.label}`, {
      ...next,
      root: {
        ...root,
        number,
        through: pass.through,
        nonces: nonces.slice(Math.max(0, nonces.length - this.#nonces)),
        base,
        absorbed: [...root.absorbed, ...pass.segments].sort(),
        maxStamp,
        dropFloor,
        ...pass.change,
      },
      records: this.#options.covered === true ? state.records : state.records.filter(({ n }) => n > pass.through),
      snap: keepsSnap ? state.snap : undefined,
    });
  }

  #deletions(state: State, to: To): void {
    const { root } = state;
    for (const { n } of state.records) {
      if (n <= root.through) to(`C deletes ${n}`, { ...state, records: state.records.filter((record) => record.n !== n) });
    }
    for (const { nonce, root: at } of state.segments) {
      if (root.absorbed.includes(nonce) || at < root.horizon) {
        to(`C deletes segment ${nonce}`, { ...state, segments: state.segments.filter((segment) => segment.nonce !== nonce) });
      }
    }
  }

  /** The namespace is dropped: nothing of this life stays but the numbers and the stamps. */
  #drop(state: State, to: To): void {
    const { root } = state;
    const number = root.number + 1;
    const forgets = this.#mutant === 'dropped namespace forgets its numbers';
    to('drops the namespace', {
      ...state,
      root: {
        number,
        horizon: number,
        drain: number,
        forgot: number,
        through: forgets ? 0 : root.through,
        nonces: [],
        base: root.base.map(() => ({ ...NOTHING, absorbedAt: 0 })),
        absorbed: [],
        maxStamp: root.maxStamp,
        dropFloor: Math.max(root.maxStamp, root.dropFloor),
      },
      snap: undefined,
      // What an update had to see, and a read to show, was of the former life.
      clients: state.clients.map((client) => (client.need === 0 ? client : { ...client, need: 0 })),
      reader: { ...state.reader, need: 0 },
      commits: [],
      seen: [],
      before: [...state.before, ...state.commits.map(({ nonce }) => nonce)].sort(),
      drops: state.drops + 1,
    });
  }

  // ---- Judging

  /** The newest version of a key that nothing may take back. */
  #truth({ root, records, segments }: State, key: number): Version {
    let truth: Version = root.base[key] as Base;
    const isOpen = (entry: Entry): boolean =>
      entry.n > 0 ? entry.n > root.through : entry.root >= root.horizon && !root.absorbed.includes(entry.nonce);
    for (const entry of [...records, ...segments]) {
      const counts = entry.sure && (entry.root >= root.horizon || this.#mutant === 'records are never void');
      if (counts && isOpen(entry) && entry.key === key && entry.stamp > truth.stamp) truth = entry;
    }
    return truth;
  }

  violation(state: State): string | undefined {
    if (state.bad !== '') return state.bad;
    const committed = [...state.before, ...state.commits.map(({ nonce }) => nonce)];
    const twice = committed.find((nonce, at) => committed.findIndex((other) => other[0] === nonce[0]) !== at);
    if (twice !== undefined) return `operation ${twice[0]} committed twice`;
    const denied = state.failed.find((nonce) => committed.includes(nonce) || state.seen.some((fact) => fact.nonce === nonce));
    if (denied !== undefined) return `${denied} did not happen, and took effect`;
    const lost = state.seen.find(({ kind, nonce }) => kind === 'update' && !committed.includes(nonce));
    if (lost !== undefined) return `${lost.nonce} was acknowledged, and never committed`;
    for (const key of state.root.base.keys()) {
      const problem = this.#judgeKey(state, key);
      if (problem !== undefined) return problem;
    }
    return undefined;
  }

  #judgeKey(state: State, key: number): string | undefined {
    const truth = this.#truth(state, key);
    const commits = state.commits.filter((fact) => fact.key === key);
    const facts = [...commits, ...state.seen.filter((fact) => fact.key === key)];
    const newest = facts.reduce<Fact | undefined>((most, fact) => (most === undefined || fact.stamp > most.stamp ? fact : most), undefined);
    if (newest !== undefined && truth.stamp < newest.stamp && !(newest.deletes && truth.stamp === 0)) {
      return `${newest.nonce} with stamp ${newest.stamp} is undone: what shows is [${truth.value}] with stamp ${truth.stamp}`;
    }
    for (const { nonce, read, stamp } of commits) {
      const hidden = state.seen.find((fact) => fact.key === key && fact.kind === 'blind' && read < fact.stamp && fact.stamp < stamp);
      if (hidden !== undefined) return `${nonce} hides ${hidden.nonce}, which it did not read`;
    }
    return undefined;
  }

  finished({ root, records, clients, reader }: State): boolean {
    if (this.#numbered && root.number >= (this.#options.roots ?? 0)) return true;
    if (reader.pc !== 'idle' || root.drain > root.horizon || records.some(({ n }) => n > root.through)) return false;
    return clients.every(({ pc, op }, i) => pc === 'stopped' || op === this.#options.clients[i]?.length);
  }
}

interface Go {
  readonly nonce: string;
  become(label: string, change: Partial<Client>, more?: Partial<State>): void;
  again(label: string): void;
  done(label: string, more?: Partial<State>): void;
  acknowledged(stamp: number, more?: Partial<State>): void;
  failed(label: string): void;
  unknown(): void;
}

function isBlind(kind: Operation['kind']): boolean {
  return kind === 'put' || kind === 'delete';
}

function blindFact({ nonce, key, stamp, value }: Entry): Fact {
  return { nonce, key, stamp, read: 0, kind: 'blind', deletes: value === undefined };
}

function withFact(facts: readonly Fact[], fact: Fact): readonly Fact[] {
  return facts.some(({ nonce }) => nonce === fact.nonce) ? facts : [...facts, fact].sort(byNonce);
}

/** The newest stamp that was acknowledged or seen. */
function neededOf(state: State, key: number): number {
  return state.seen.reduce((most, fact) => (fact.key === key ? Math.max(most, fact.stamp) : most), 0);
}

function byNonce(a: { readonly nonce: string }, b: { readonly nonce: string }): number {
  return a.nonce < b.nonce ? -1 : 1;
}

function byNumber(a: Entry, b: Entry): number {
  return a.n - b.n;
}

function subsets<T>(list: readonly T[]): readonly (readonly T[])[] {
  const [first, ...rest] = list;
  if (first === undefined) return [[]];
  return subsets(rest).flatMap((set) => [set, [first, ...set]]);
}
