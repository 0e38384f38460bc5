/**
 * A model of updates over several stripes (docs/decisions/0017-updates-of-several-stripes.md), with void records
 * (docs/decisions/0018-void-records.md): rules B1 to B6 beside an update whose records stand in two or three stripes.
 *
 * Each stripe has one key. The value of a key is the text of the nonces that were applied to it, so a lost, doubled or
 * invented step shows. A nonce is the letter of a client and the number of its attempt.
 *
 * Who acts: clients with one operation each, over one stripe or several, which may stop for ever after any step (`crash`),
 * or go on at any later time (a stalled put is a step that comes late); one reader that reads all keys in one view, again
 * and again; a compactor; who deletes.
 *
 * What is checked in every state: the value of a key only ever grows at its end; what an update read is still the value of
 * each key it read when it commits; an update of several stripes is in all of them or in none; no operation is applied
 * twice; an acknowledged one is there; an attempt that "did not happen" is nowhere; what a reader returns is, for each key,
 * a true value no older than the one that was true when it began, has the whole of an update or nothing of it, and, where
 * listings are atomic, is one state that was true at one time. `finished`: from every state, whoever has crashed, the
 * others can still come to an end, and the whole tail can be absorbed.
 *
 * Reductions, and why they lose nothing:
 * - Reading the newest root is one step (A1 makes it one; `lanes` of the design showed that it is).
 * - One compactor stands for all of them: a put that succeeds had an unchanged root, and one that fails does nothing. It
 *   absorbs any closed prefix of what there is now: a listing that is older or torn shows less, and what it shows of a
 *   decided record stays so; only for the end of a drain does the time of the listing matter, and there it is a step.
 * - A stripe is listed at one moment. A slow listing of one stripe that shows a gap starts over (B1); one without a gap is
 *   what an atomic listing would have shown when the slow one met its first free slot, since records go only when a root
 *   covers them (serial.ts lists slot by slot). Different stripes are listed at different moments where `torn` says so.
 * - Contents are read at the moment of the second look at the root. A record's contents change only after a root has
 *   covered it; then the second look starts over, whatever was read. (A record that is gone starts over as well.)
 * - Covered records are not kept. A put at a covered number may find the name taken or free, whatever was deleted and put
 *   late before: that allows more than can happen. What such a record contains is read by nobody who then passes the second
 *   look. With `covered` they are kept, with their contents, and deleted in any order: for the mutants that would read them.
 * - Stamps are left out: in a stripe the higher number has the later stamp. Blind writes and dropped tombstones are in
 *   serial.ts.
 * - A client's attempts are bounded (`attempts`); one that ran out stops, as if it had crashed. Roots are numbered only
 *   where drains are modelled (`roots` > 0), up to that number.
 *
 * `sure` is a ghost: the record was put while no drain stood above its root, so nothing may make it void any more. One that
 * is not sure takes effect when it is absorbed, and may never.
 */
import { type Model, modelOf } from './explore.ts';

export type Mutant =
  | 'secondaries not checked'
  | 'undecided not resolved'
  | 'no new start after resolving'
  | 'undecided absorbed'
  | 'no closure'
  | 'torn primary ignored'
  | 'followed undecided ignored'
  | 'undecided counts'
  | 'primary first'
  | 'resolved by deleting'
  | 'no post-check'
  | 'reader does not validate'
  | 'updater does not validate'
  | 'consulted primaries not validated'
  | 'number decides, not nonce'
  | 'stripes only read are left out'
  | 'acknowledged in a drain'
  | 'drain not awaited by readers'
  | 'drain not awaited by updaters'
  | 'drain finished with an old listing'
  | 'drain finished with records left'
  | 'void records counted'
  | 'one step to the horizon'
  | 'nothing is unknown after a drop'
  | 'nobody resolves';

export interface ClientSpec {
  readonly letter: string;
  /** Ascending; the first is the primary's. */
  readonly stripes: readonly number[];
  /** The stripes whose key it changes; the others it only reads. Default all. */
  readonly writes?: readonly number[];
  readonly attempts?: number;
  readonly crash?: boolean;
}

export interface UpdateManyOptions {
  readonly stripes: number;
  readonly clients: readonly ClientSpec[];
  readonly reader: boolean;
  readonly torn: boolean;
  readonly nonces: number;
  /** The highest root number; 0: no drains, and roots without numbers. */
  readonly roots: number;
  /** How often the namespace may be dropped; needs roots with numbers. */
  readonly drops?: number;
  /** A drain may be finished while an undecided secondary stands below it. */
  readonly leaveUndecided?: boolean;
  readonly live?: boolean;
  /** Covered records stay in the state until they are deleted, with what they contain. */
  readonly covered?: boolean;
  readonly mutant?: Mutant;
}

interface Root {
  readonly number: number;
  readonly horizon: number;
  readonly drain: number;
  /** A drop sets it: of what rests on an older root nobody can tell whether it happened. */
  readonly forgot: number;
  readonly through: readonly number[];
  /** The last ones, by stripe; the last is that of `through`. */
  readonly nonces: readonly (readonly string[])[];
  readonly values: readonly string[];
}

interface Link {
  readonly s: number;
  readonly n: number;
}

interface Rec {
  readonly n: number;
  readonly nonce: string;
  readonly root: number;
  readonly kind: 'single' | 'primary' | 'secondary';
  readonly links: readonly Link[];
  /** The key's new value; undefined: no change. */
  readonly value: string | undefined;
  readonly sure: boolean;
  /** Ghost, of a single or primary: what its update read, by stripe. */
  readonly reads: readonly (string | undefined)[];
}

type Pc = 'idle' | 'listed' | 'rooted' | 'resolve' | 'secondary' | 'check' | 'primary' | 'late secondary' | 'post' | Ended;
type Ended = 'acknowledged' | 'unknown' | 'gave up' | 'dead';

interface Client {
  readonly pc: Pc;
  readonly attempt: number;
  /** Highest number listed, by stripe; -1: not yet listed. */
  readonly high: readonly number[];
  readonly root: Root | undefined;
  /** The number of the root it has read at. */
  readonly at: number;
  readonly reads: readonly (string | undefined)[];
  /** The numbers it means to take, by stripe. */
  readonly numbers: readonly number[];
  /** How many secondaries it has put. */
  readonly put: number;
  readonly target: Rec | undefined;
}

interface Reader {
  readonly pc: 'idle' | 'listed' | 'rooted';
  readonly need: readonly string[];
  readonly high: readonly number[];
  readonly root: Root | undefined;
}

export interface State {
  readonly root: Root;
  readonly records: readonly (readonly Rec[])[];
  /** What the compactor has listed since the newest root, while a drain stands: highest number by stripe, -1 where it has not looked. */
  readonly snap: readonly number[];
  readonly clients: readonly Client[];
  readonly reader: Reader;
  readonly drops: number;
  /** Ghost: what was true in the former life of a namespace that was dropped, by stripe. */
  readonly former: readonly string[];
  readonly bad: string;
}

interface View {
  readonly values: readonly string[];
  /** The lowest record used or consulted, by stripe; Infinity: none. */
  readonly lowest: readonly number[];
  /** The lowest root of a record that was used. */
  readonly oldest: number;
  /** The root of the record that decides the key, by stripe; Infinity: the base does. */
  readonly deciding: readonly number[];
  /** The last record, where it is an undecided secondary, by stripe. */
  readonly undecided: readonly (Rec | undefined)[];
}

type To = (label: string, next: State) => void;
type Verdict = 'again' | 'wait' | 'valid';

export function updateMany(options: UpdateManyOptions): Model<State> {
  const steps = new UpdateMany(options);
  return modelOf('updateMany', steps, { live: options.live === true });
}

class UpdateMany {
  readonly #options: UpdateManyOptions;
  readonly #mutant: Mutant | undefined;
  readonly #stripes: readonly number[];
  readonly #unlisted: readonly number[];
  readonly #idle: Client;
  readonly #keepsCovered: boolean;

  constructor(options: UpdateManyOptions) {
    this.#options = options;
    this.#mutant = options.mutant;
    this.#stripes = Array.from({ length: options.stripes }, (_, i) => i);
    this.#unlisted = this.#stripes.map(() => -1);
    this.#keepsCovered = options.covered === true;
    this.#idle = {
      pc: 'idle',
      attempt: 0,
      high: this.#unlisted,
      root: undefined,
      at: 0,
      reads: [],
      numbers: [],
      put: 0,
      target: undefined,
    };
  }

  initial(): State {
    const each = <T>(value: T): readonly T[] => this.#stripes.map(() => value);
    return {
      root: { number: 0, horizon: 0, drain: 0, forgot: 0, through: each(0), nonces: each([]), values: each('') },
      records: each([]),
      snap: this.#unlisted,
      clients: this.#options.clients.map(() => this.#idle),
      reader: { pc: 'idle', need: [], high: this.#unlisted, root: undefined },
      drops: 0,
      former: [],
      bad: '',
    };
  }

  steps(state: State, to: To): void {
    const truth = truthOf(state);
    const checked: To = (label, next) => to(label, this.#checkGrowth(truth, next));
    for (let i = 0; i < state.clients.length; i++) this.#clientSteps(state, { i, truth }, checked);
    if (this.#options.reader) this.#readerSteps(state, truth, checked);
    this.#compactorSteps(state, truth, checked);
    if (state.drops < (this.#options.drops ?? 0) && state.root.number < this.#options.roots) this.#drop(state, truth, to);
  }

  /** What is true may only grow at its end. */
  #checkGrowth(truth: readonly string[], next: State): State {
    const after = truthOf(next);
    for (const s of this.#stripes) {
      const before = truth[s] as string;
      const now = after[s] as string;
      if (!now.startsWith(before)) return { ...next, bad: next.bad || `the value of key ${s} was [${before}], and became [${now}]` };
    }
    return next;
  }

  // ---- Clients

  #clientSteps(state: State, { i, truth }: { i: number; truth: readonly string[] }, to: To): void {
    const spec = this.#options.clients[i] as ClientSpec;
    const client = state.clients[i] as Client;
    if (isEnded(client.pc)) return;
    const go: Go = {
      become: (label, change, more = {}) =>
        to(`${spec.letter} ${label}`, { ...state, ...more, clients: state.clients.with(i, { ...client, ...change }) }),
      end: (label, pc, more) => go.become(label, { ...this.#idle, attempt: client.attempt, pc }, more),
      again: (label, more) => go.become(label, { ...this.#idle, attempt: client.attempt }, more),
      // Something of this attempt was put, so the next one needs a nonce of its own.
      anew: (label, more) => {
        const attempt = client.attempt + 1;
        go.become(label, { ...this.#idle, attempt, pc: attempt < (spec.attempts ?? 2) ? 'idle' : 'gave up' }, more);
      },
    };
    if (spec.crash === true) go.end('crashes', 'dead');
    switch (client.pc) {
      case 'idle':
        this.#list(state, client.high, (label, high, done) => go.become(label, { high, pc: done ? 'listed' : 'idle' }));
        break;
      case 'listed':
        go.become(`reads root${state.root.number}`, { pc: 'rooted', root: { ...state.root, nonces: [] } });
        break;
      case 'rooted':
        this.#plan(state, { spec, client }, go);
        break;
      case 'resolve':
        this.#resolve(state, { spec, client }, go);
        break;
      case 'secondary':
      case 'late secondary':
        this.#putSecondary(state, { spec, client }, go);
        break;
      case 'check':
        if (spec.stripes.slice(1).some((s) => numberAt(client.numbers, s) <= numberAt(state.root.through, s)))
          go.anew('finds a secondary covered');
        else go.become('finds its secondaries uncovered', { pc: 'primary' });
        break;
      case 'primary':
        this.#putPrimary(state, { spec, client, truth }, go);
        break;
      case 'post':
        this.#postCheck(state, { spec, client }, go);
        break;
    }
  }

  #list(state: State, high: readonly number[], to: (label: string, high: readonly number[], done: boolean) => void): void {
    if (!this.#options.torn) {
      to(
        'lists',
        this.#stripes.map((s) => highest(state, s)),
        true,
      );
      return;
    }
    const left = this.#stripes.filter((s) => high[s] === -1);
    for (const s of left) to(`lists stripe ${s}`, high.with(s, highest(state, s)), left.length === 1);
  }

  /** Reads, looks at the newest root again, and decides what to put where. */
  #plan(state: State, { spec, client }: { spec: ClientSpec; client: Client }, go: Go): void {
    const root = client.root as Root;
    const view = this.#view(state, { root, high: client.high, wanted: spec.stripes });
    const verdict = view === undefined ? 'again' : this.#validate(state.root, view, 'updater');
    if (view === undefined || verdict === 'again') {
      go.again('starts over');
      return;
    }
    if (verdict === 'wait') return;
    const undecided = this.#mutant === 'undecided not resolved' ? undefined : view.undecided.find((record) => record !== undefined);
    const plan: Partial<Client> = {
      high: this.#unlisted,
      root: undefined,
      at: root.number,
      reads: this.#stripes.map((s) => (spec.stripes.includes(s) ? view.values[s] : undefined)),
      numbers: this.#stripes.map((s) => (spec.stripes.includes(s) ? Math.max(numberAt(client.high, s), numberAt(root.through, s)) + 1 : 0)),
    };
    if (undecided === undefined) {
      go.become(`reads ${spec.stripes.map((s) => `[${view.values[s]}]`).join('')}`, { ...plan, pc: this.#firstPut(spec) });
    } else {
      const kept = this.#mutant === 'no new start after resolving' ? plan : { ...plan, reads: [], numbers: [] };
      go.become(`meets undecided ${undecided.nonce}`, { ...kept, pc: 'resolve', target: undecided });
    }
  }

  #firstPut(spec: ClientSpec): Pc {
    return this.#mutant !== 'primary first' && this.#recorded(spec).length > 1 ? 'secondary' : 'primary';
  }

  /** The stripes in which it puts a record, the primary's first: all that it has read. */
  #recorded({ stripes, writes = stripes }: ClientSpec): readonly number[] {
    return this.#mutant === 'stripes only read are left out' ? writes : stripes;
  }

  /** Takes the number that an undecided update needs, unless it has it; then starts over, whatever came of it. */
  #resolve(state: State, { spec, client }: { spec: ClientSpec; client: Client }, go: Go): void {
    if (this.#mutant === 'nobody resolves') {
      go.again('starts over');
      return;
    }
    const target = client.target as Rec;
    const link = target.links[0] as Link;
    const start = this.#mutant === 'no new start after resolving' ? 'on' : 'over';
    const then = (label: string, more: Partial<State> = {}): void => {
      if (start === 'over') go.again(label, more);
      else go.become(label, { pc: this.#firstPut(spec), target: undefined }, more);
    };
    if (this.#mutant === 'resolved by deleting') {
      const records = state.records.map((list) => list.filter((record) => record.nonce !== target.nonce || record.kind !== 'secondary'));
      then(`deletes ${target.nonce}`, { records });
      return;
    }
    const name = this.#name(state, link);
    if (name.taken) then(`finds ${link.s}/${link.n} taken`);
    if (name.free) then(`resolves ${target.nonce}`, this.#put(state, link.s, emptyRecord(link.n, `r${spec.letter}`, client.at)));
  }

  #putSecondary(state: State, { spec, client }: { spec: ClientSpec; client: Client }, go: Go): void {
    const [primary = 0, ...others] = this.#recorded(spec);
    const s = others[client.put] as number;
    const n = numberAt(client.numbers, s);
    const late = client.pc === 'late secondary';
    const name = this.#name(state, { s, n });
    if (name.taken) go[client.put > 0 || late ? 'anew' : 'again'](`finds ${s}/${n} taken`);
    if (!name.free) return;
    const put = client.put + 1;
    const record = this.#record({ spec, client }, { s, kind: 'secondary', links: [{ s: primary, n: numberAt(client.numbers, primary) }] });
    const after = late ? 'post' : this.#mutant === 'secondaries not checked' ? 'primary' : 'check';
    go.become(`puts secondary ${s}/${n}`, { put, pc: put === others.length ? after : client.pc }, this.#put(state, s, record));
  }

  #putPrimary(state: State, { spec, client, truth }: { spec: ClientSpec; client: Client; truth: readonly string[] }, go: Go): void {
    const [s = 0, ...others] = this.#recorded(spec);
    const n = numberAt(client.numbers, s);
    const name = this.#name(state, { s, n });
    if (name.taken) go[client.put > 0 ? 'anew' : 'again'](`finds ${s}/${n} taken`);
    if (!name.free) return;
    const links = others.map((other) => ({ s: other, n: numberAt(client.numbers, other) }));
    const drained = Math.max(state.root.horizon, state.root.drain);
    const genuine = n > numberAt(state.root.through, s);
    const record = {
      ...this.#record({ spec, client }, { s, kind: links.length > 0 ? 'primary' : 'single', links }),
      sure: genuine && client.at >= drained,
    };
    const bad = record.sure ? misread(record, truth) : '';
    const more = { ...this.#put(state, s, record), bad };
    const label = `puts ${record.kind} ${s}/${n}${genuine ? '' : ' (late)'}`;
    if (this.#mutant === 'no post-check') go.end(`${label}, acknowledged`, 'acknowledged', more);
    else go.become(label, { pc: this.#mutant === 'primary first' && links.length > 0 ? 'late secondary' : 'post' }, more);
  }

  #record({ spec, client }: { spec: ClientSpec; client: Client }, as: Pick<Rec, 'kind' | 'links'> & { s: number }): Rec {
    const nonce = `${spec.letter}${client.attempt}`;
    const changes = spec.writes?.includes(as.s) !== false;
    return {
      n: numberAt(client.numbers, as.s),
      nonce,
      root: client.at,
      kind: as.kind,
      links: as.links,
      value: changes ? `${client.reads[as.s]}${nonce}` : undefined,
      sure: false,
      reads: as.kind === 'secondary' ? [] : client.reads,
    };
  }

  #postCheck(state: State, { spec, client }: { spec: ClientSpec; client: Client }, go: Go): void {
    const s = this.#recorded(spec)[0] as number;
    const n = numberAt(client.numbers, s);
    const { horizon, drain, forgot, through } = state.root;
    const isForgotten = client.at < forgot && this.#mutant !== 'nothing is unknown after a drop';
    if (numberAt(through, s) >= n) {
      const nonces = state.root.nonces[s] as readonly string[];
      const nonce = nonces.at(n - numberAt(through, s) - 1);
      if (nonce === undefined || numberAt(through, s) - n >= nonces.length) go.end('cannot know', 'unknown');
      else if (nonce === `${spec.letter}${client.attempt}`) go.end('is acknowledged', 'acknowledged');
      else if (nonce === '' && isForgotten) go.end('cannot know', 'unknown');
      else go.anew('did not happen');
    } else if (client.at >= (this.#mutant === 'acknowledged in a drain' ? horizon : Math.max(horizon, drain))) {
      go.end('is acknowledged', 'acknowledged');
    } else if (isForgotten) {
      go.end('cannot know', 'unknown');
    } else if (client.at < horizon) {
      go.anew('did not happen');
    }
  }

  /** What a put may meet. A covered name may be there or gone, and come again by another late put: unless it is kept, it is both. */
  #name(state: State, { s, n }: Link): { taken: boolean; free: boolean } {
    if (!this.#keepsCovered && n <= numberAt(state.root.through, s)) return { taken: true, free: true };
    const taken = find(state, { s, n }) !== undefined;
    return { taken, free: !taken };
  }

  #put(state: State, s: number, record: Rec): Pick<State, 'records'> {
    if (!this.#keepsCovered && record.n <= numberAt(state.root.through, s)) return { records: state.records };
    const list = [...(state.records[s] as readonly Rec[]), record].sort((a, b) => a.n - b.n);
    return { records: state.records.with(s, list) };
  }

  // ---- Reading

  /** Undefined: the listing does not fit what is there; start over. `wanted`: several stripes are read as one state. */
  #view(state: State, from: { root: Root; high: readonly number[]; wanted: readonly number[] }): View | undefined {
    const { root, high, wanted } = from;
    const values = [...root.values];
    const lowest = this.#stripes.map(() => Number.POSITIVE_INFINITY);
    const deciding = [...lowest];
    const undecided: (Rec | undefined)[] = this.#stripes.map(() => undefined);
    let oldest = Number.POSITIVE_INFINITY;
    const uses = (s: number, n: number): void => {
      lowest[s] = Math.min(numberAt(lowest, s), n);
    };
    for (const s of wanted) {
      for (let n = numberAt(root.through, s) + 1; n <= numberAt(high, s); n++) {
        const record = find(state, { s, n });
        if (record === undefined) return undefined;
        uses(s, n);
        if (record.root < root.horizon && this.#mutant !== 'void records counted') continue;
        oldest = Math.min(oldest, record.root);
        const effective =
          record.kind === 'secondary'
            ? this.#isCommitted(state, { root, high, uses }, record)
            : this.#isWhole({ root, high, wanted }, record);
        if (effective === 'torn') return undefined;
        if (effective === undefined) {
          if (n === high[s]) undecided[s] = record;
          else if (wanted.length > 1 && this.#mutant !== 'followed undecided ignored') return undefined;
        } else if (effective && record.value !== undefined) {
          values[s] = record.value;
          deciding[s] = record.root;
        }
      }
    }
    return { values, lowest, oldest, deciding, undecided };
  }

  /** Whether a listing that shows a primary shows what belongs to it. */
  #isWhole({ root, high, wanted }: { root: Root; high: readonly number[]; wanted: readonly number[] }, record: Rec): true | 'torn' {
    if (wanted.length === 1 || this.#mutant === 'torn primary ignored') return true;
    return record.links.every(({ s, n }) => n <= numberAt(root.through, s) || n <= numberAt(high, s)) ? true : 'torn';
  }

  /** What a listing says of a secondary; undefined: undecided. */
  #isCommitted(
    state: State,
    { root, high, uses }: { root: Root; high: readonly number[]; uses: (s: number, n: number) => void },
    record: Rec,
  ): boolean | undefined | 'torn' {
    const link = record.links[0] as Link;
    if (link.n <= numberAt(root.through, link.s)) return false;
    if (link.n > numberAt(high, link.s)) return this.#mutant === 'undecided counts' ? true : undefined;
    const primary = find(state, link);
    if (primary === undefined) return 'torn';
    if (this.#mutant !== 'consulted primaries not validated') uses(link.s, link.n);
    return primary.nonce === record.nonce || this.#mutant === 'number decides, not nonce';
  }

  /** The second look, at the newest root (A13, B2). */
  #validate(newest: Root, view: View, who: 'reader' | 'updater'): Verdict {
    if (this.#mutant !== `${who} does not validate`) {
      if (this.#stripes.some((s) => numberAt(view.lowest, s) <= numberAt(newest.through, s))) return 'again';
      if (view.oldest < newest.horizon && this.#mutant !== 'void records counted') return 'again';
    }
    const waits = newest.drain > newest.horizon && this.#stripes.some((s) => numberAt(view.deciding, s) < newest.drain);
    return waits && this.#mutant !== `drain not awaited by ${who}s` ? 'wait' : 'valid';
  }

  #readerSteps(state: State, truth: readonly string[], to: To): void {
    const { reader } = state;
    const become = (label: string, change: Partial<Reader>, bad = ''): void =>
      to(`R ${label}`, { ...state, reader: { ...reader, ...change }, bad });
    const idle: Reader = { pc: 'idle', need: [], high: this.#unlisted, root: undefined };
    if (reader.pc === 'idle') {
      const need = reader.need.length === 0 ? truth : reader.need;
      this.#list(state, reader.high, (label, high, done) => become(label, { need, high, pc: done ? 'listed' : 'idle' }));
    } else if (reader.pc === 'listed') {
      become(`reads root${state.root.number}`, { pc: 'rooted', root: { ...state.root, nonces: [] } });
    } else {
      const view = this.#view(state, { root: reader.root as Root, high: reader.high, wanted: this.#stripes });
      const verdict = view === undefined ? 'again' : this.#validate(state.root, view, 'reader');
      if (verdict === 'wait') return;
      if (view === undefined || verdict === 'again') become('starts over', idle);
      else become(`returns ${view.values.map((value) => `[${value}]`).join('')}`, idle, this.#judgeRead(state, truth, view.values));
    }
  }

  #judgeRead(state: State, truth: readonly string[], values: readonly string[]): string {
    const text = `a read returned ${values.map((value) => `[${value}]`).join('')}`;
    for (const s of this.#stripes) {
      if (!(truth[s] as string).startsWith(values[s] as string)) return `${text}, but the truth is [${truth.join('][')}]`;
      if (!(values[s] as string).startsWith(state.reader.need[s] as string))
        return `${text}, but [${state.reader.need.join('][')}] was true before`;
    }
    const half = this.#halfDone(values);
    return half === undefined ? '' : `${text}: half of ${half}`;
  }

  // ---- Compactor

  #compactorSteps(state: State, truth: readonly string[], to: To): void {
    this.#deletions(state, to);
    if (this.#mutant !== 'nobody resolves') this.#resolutions(state, to);
    const { root, snap } = state;
    const numbered = this.#options.roots > 0;
    if (numbered && root.number >= this.#options.roots) return;
    const number = numbered ? root.number + 1 : 0;
    const draining = root.drain > root.horizon;
    const prefixes = this.#closedPrefixes(state);
    const publish = (label: string, through: readonly number[], change: Partial<Root>): void => {
      const { next, bad } = this.#absorb(state, through, truth);
      const keepsSnap = this.#mutant === 'drain finished with an old listing' && label.startsWith('drain');
      const records = this.#keepsCovered ? state.records : uncovered(state.records, through);
      to(`C ${label}`, { ...state, root: { ...next, number, ...change }, records, snap: keepsSnap ? snap : this.#unlisted, bad });
    };
    for (const through of prefixes) {
      if (through.some((n, s) => n > numberAt(root.through, s))) publish(`absorbs to ${through}`, through, {});
    }
    if (!numbered) return;
    if (draining || this.#mutant === 'drain finished with an old listing') {
      for (const s of this.#stripes) {
        if (snap[s] !== highest(state, s)) to(`C lists stripe ${s}`, { ...state, snap: snap.with(s, highest(state, s)) });
      }
    }
    if (!draining) {
      for (let drain = root.horizon + 1; drain <= number; drain++) {
        if (this.#mutant === 'one step to the horizon') {
          for (const through of prefixes) publish(`horizon ${drain}, absorbs to ${through}`, through, { horizon: drain, drain });
        } else {
          publish(`drain ${drain}`, root.through, { drain });
        }
      }
    } else if (snap.every((n) => n >= 0)) {
      for (const through of prefixes) {
        if (this.#isDrained(state, through))
          publish(`finishes drain ${root.drain}, absorbs to ${through}`, through, { horizon: root.drain });
      }
    }
  }

  /** Whether a root that covers these has covered everything below the drain that was listed. */
  #isDrained(state: State, through: readonly number[]): boolean {
    if (this.#mutant === 'drain finished with records left') return true;
    const { root, snap } = state;
    return this.#stripes.every((s) =>
      (state.records[s] as readonly Rec[]).every((record) => {
        if (record.n <= numberAt(through, s) || record.n > numberAt(snap, s) || record.root >= root.drain) return true;
        const link = record.links[0];
        return (
          this.#options.leaveUndecided === true &&
          record.kind === 'secondary' &&
          link !== undefined &&
          link.n > Math.max(numberAt(snap, link.s), numberAt(root.through, link.s))
        );
      }),
    );
  }

  /** Every set of prefixes, a stripe each, that holds only decided records, and of a committed update all or nothing. */
  #closedPrefixes(state: State): readonly (readonly number[])[] {
    let prefixes: number[][] = [[]];
    for (const s of this.#stripes) {
      const ends = [numberAt(state.root.through, s)];
      for (const record of state.records[s] as readonly Rec[]) {
        if (record.n <= numberAt(state.root.through, s)) continue;
        if (effectOf(state, record) === undefined && this.#mutant !== 'undecided absorbed') break;
        ends.push(record.n);
      }
      prefixes = prefixes.flatMap((prefix) => ends.map((end) => [...prefix, end]));
    }
    return this.#mutant === 'no closure' ? prefixes : prefixes.filter((prefix) => this.#isClosed(state, prefix));
  }

  #isClosed(state: State, prefix: readonly number[]): boolean {
    return this.#stripes.every((s) =>
      (state.records[s] as readonly Rec[]).every((record) => {
        if (record.n <= numberAt(state.root.through, s) || record.n > numberAt(prefix, s) || record.kind === 'single') return true;
        return effectOf(state, record) !== true || record.links.every((link) => link.n <= numberAt(prefix, link.s));
      }),
    );
  }

  #absorb(state: State, through: readonly number[], truth: readonly string[]): { next: Root; bad: string } {
    const { root } = state;
    const values = [...root.values];
    let bad = '';
    const nonces = this.#stripes.map((s) => {
      const kept = [...(root.nonces[s] as readonly string[])];
      for (const record of state.records[s] as readonly Rec[]) {
        if (record.n <= numberAt(root.through, s) || record.n > numberAt(through, s)) continue;
        const effective = effectOf(state, record) === true;
        kept.push(effective ? record.nonce : '');
        if (effective && !record.sure && record.kind !== 'secondary') bad ||= misread(record, truth);
        if (effective && record.value !== undefined) values[s] = record.value;
      }
      return kept.slice(Math.max(0, kept.length - this.#options.nonces));
    });
    return { next: { ...root, through, nonces, values }, bad };
  }

  #resolutions(state: State, to: To): void {
    for (const s of this.#stripes) {
      for (const record of state.records[s] as readonly Rec[]) {
        if (record.n <= numberAt(state.root.through, s) || effectOf(state, record) !== undefined) continue;
        const link = record.links[0] as Link;
        to(`C resolves ${record.nonce}`, { ...state, ...this.#put(state, link.s, emptyRecord(link.n, 'rC', state.root.number)) });
      }
    }
  }

  /** The namespace is dropped: nothing stays but the numbers. What was acknowledged is no longer owed. */
  #drop(state: State, truth: readonly string[], to: To): void {
    const number = state.root.number + 1;
    to('drops the namespace', {
      ...state,
      root: {
        number,
        horizon: number,
        drain: number,
        forgot: number,
        through: state.root.through,
        nonces: truth.map(() => []),
        values: truth.map(() => ''),
      },
      snap: this.#unlisted,
      clients: state.clients.map((client) => (client.pc === 'acknowledged' ? { ...client, pc: 'unknown' } : client)),
      reader: { ...state.reader, need: truth.map(() => '') },
      drops: state.drops + 1,
      former: truth,
    });
  }

  #deletions(state: State, to: To): void {
    for (const s of this.#stripes) {
      const list = state.records[s] as readonly Rec[];
      for (const { n } of list) {
        if (n > numberAt(state.root.through, s)) break;
        to(`C deletes ${s}/${n}`, {
          ...state,
          records: state.records.with(
            s,
            list.filter((record) => record.n !== n),
          ),
        });
      }
    }
  }

  // ---- Judging

  violation(state: State): string | undefined {
    if (state.bad !== '') return state.bad;
    for (const s of this.#stripes) {
      let expected = numberAt(state.root.through, s) + 1;
      for (const { n } of state.records[s] as readonly Rec[]) {
        if (n > numberAt(state.root.through, s) && n !== expected++) return `record ${s}/${n} follows a gap`;
      }
    }
    const truth = truthOf(state);
    const half = this.#halfDone(truth);
    if (half !== undefined) return `half of ${half} is true: [${truth.join('][')}]`;
    for (let i = 0; i < state.clients.length; i++) {
      for (const values of state.drops > 0 ? [truth, state.former] : [truth]) {
        const problem = this.#judgeClient(state.clients[i] as Client, this.#options.clients[i] as ClientSpec, {
          values,
          isOwed: values === truth,
        });
        if (problem !== undefined) return problem;
      }
    }
    return undefined;
  }

  #halfDone(values: readonly string[]): string | undefined {
    for (const { letter, stripes, writes = stripes, attempts = 2 } of this.#options.clients) {
      for (let attempt = 0; attempt < attempts; attempt++) {
        const nonce = `${letter}${attempt}`;
        const there = writes.filter((s) => (values[s] as string).includes(nonce)).length;
        if (there !== 0 && there !== writes.length) return nonce;
      }
    }
    return undefined;
  }

  #judgeClient(
    { pc, attempt }: Client,
    { letter, stripes, writes = stripes }: ClientSpec,
    of: { values: readonly string[]; isOwed: boolean },
  ): string | undefined {
    for (const s of writes) {
      const value = of.values[s] as string;
      const at = value.indexOf(letter);
      if (at === -1) {
        if (pc === 'acknowledged' && of.isOwed) return `${letter}${attempt} was acknowledged, and is not in [${value}]`;
        continue;
      }
      if (value.indexOf(letter, at + 1) !== -1) return `${letter} was applied twice: [${value}]`;
      if (Number(value[at + 1]) < attempt) return `${value.slice(at, at + 2)} did not happen, and is in [${value}]`;
    }
    return undefined;
  }

  finished({ root, records, clients, reader }: State): boolean {
    if (this.#options.roots > 0 && root.number >= this.#options.roots) return true;
    if (reader.pc !== 'idle' || reader.need.length > 0 || root.drain > root.horizon) return false;
    return (
      clients.every(({ pc }) => isEnded(pc)) &&
      this.#stripes.every((s) => (records[s] as readonly Rec[]).every(({ n }) => n <= numberAt(root.through, s)))
    );
  }
}

/** What a client's step may do: become something, end, start over, or start over with a new nonce. */
interface Go {
  become(label: string, change: Partial<Client>, more?: Partial<State>): void;
  end(label: string, pc: Ended, more?: Partial<State>): void;
  again(label: string, more?: Partial<State>): void;
  anew(label: string, more?: Partial<State>): void;
}

function isEnded(pc: Pc): pc is Ended {
  return pc === 'acknowledged' || pc === 'unknown' || pc === 'gave up' || pc === 'dead';
}

function numberAt(numbers: readonly number[], s: number): number {
  return numbers[s] as number;
}

function find(state: State, { s, n }: Link): Rec | undefined {
  return state.records[s]?.find((record) => record.n === n);
}

/** The highest number that a listing shows; a covered one counts as the last that is covered, which the root read after it will say. */
function highest(state: State, s: number): number {
  return Math.max(state.records[s]?.at(-1)?.n ?? 0, numberAt(state.root.through, s));
}

function emptyRecord(n: number, nonce: string, root: number): Rec {
  return { n, nonce, root, kind: 'single', links: [], value: undefined, sure: true, reads: [] };
}

/** A commit must rest on values that are true. */
function misread(record: Rec, truth: readonly string[]): string {
  const s = record.reads.findIndex((read, stripe) => read !== undefined && read !== truth[stripe]);
  return s === -1 ? '' : `${record.nonce} commits with [${record.reads[s]}] read of key ${s}, which is [${truth[s]}]`;
}

/** Whether an uncovered record takes effect, for one who sees everything; undefined: it is not decided. */
function effectOf(state: State, record: Rec): boolean | undefined {
  if (record.root < state.root.horizon) return false;
  if (record.kind !== 'secondary') return true;
  const link = record.links[0] as Link;
  if (link.n <= numberAt(state.root.through, link.s)) return false;
  const primary = find(state, link);
  return primary === undefined ? undefined : primary.nonce === record.nonce;
}

/** The values that nothing may take back: what roots hold, and the sure records above. */
function truthOf(state: State): readonly string[] {
  return state.root.values.map((base, s) => {
    let value = base;
    for (const record of state.records[s] as readonly Rec[]) {
      if (record.n > numberAt(state.root.through, s) && record.value !== undefined && isSure(state, record)) value = record.value;
    }
    return value;
  });
}

function isSure(state: State, record: Rec): boolean {
  if (record.root < state.root.forgot) return false;
  if (record.kind !== 'secondary') return record.sure;
  const link = record.links[0] as Link;
  if (link.n <= numberAt(state.root.through, link.s)) return false;
  const primary = find(state, link);
  return primary?.sure === true && primary.nonce === record.nonce;
}

function uncovered(records: State['records'], through: readonly number[]): State['records'] {
  return records.map((list, s) => list.filter(({ n }) => n > numberAt(through, s)));
}
