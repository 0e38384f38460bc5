/**
 * A model of table files, the roots that name them, and snapshots: rules A2, A3 and A14, and what a snapshot promises.
 *
 * The log is a count of writes; a table holds a run of them. A root names tables that hold the writes 1 to `through`, each once. Time passes
 * in ticks, and what happens in one tick takes no time. Of time a state has only what somebody can measure.
 *
 * Who acts: compactors, each with so many passes, which stall or die between any two steps; roots that are old enough go, so that a
 * compactor which slept may put a number again; one handle, which reads, takes a snapshot, and reads that as long as it may.
 *
 * What is checked in every state: the files that the newest root names are there; a snapshot's files are there until it is as old as the
 * retention; and it shows what it showed when it was taken. A read that finds a table of an older root gone starts over, as it may.
 *
 * Reductions: reading the newest root is one step, as lanes.ts shows. A file is there as a whole or not at all. A pass writes one table: all
 * new writes, or all that there are.
 * The listings for `dropped`, and for what may be deleted, are made at the moment at which they are used: an earlier one shows files that have
 * gone since, and lacks only such as were made for later roots, or for none.
 */
import { type Model, modelOf } from './explore.ts';

export type Mutant =
  | 'tables of passes under way are garbage'
  | 'dropped tables go at once'
  | 'dropped tables are not noted'
  | 'dropped tables are noted once'
  | 'failed passes delete their tables'
  | 'tables are used again under another number'
  | 'commit not confirmed'
  | 'cleanup does not look again'
  | 'gaps count in full'
  | 'the tail is not copied';

export interface TablesOptions {
  readonly roots: number;
  readonly writes: number;
  /** How many passes each compactor makes. */
  readonly passes: readonly number[];
  /** So many newest roots are kept in any case; default 1. */
  readonly kept?: number;
  readonly snapshot?: boolean;
  readonly jumps?: number;
  readonly mutants?: readonly Mutant[];
}

/** In ticks. A jump of the medium's clock counts as a gap, too, and takes as much of the retention. */
const CONSTANTS = { gapMax: 1, retention: 2 };
const JUMP: number = CONSTANTS.retention;

interface Table {
  /** The root that it was made for, then the pass. */
  readonly file: string;
  readonly madeFor: number;
  readonly from: number;
  readonly to: number;
}

interface Root {
  readonly number: number;
  readonly through: number;
  readonly tables: readonly Table[];
  readonly dropped: readonly { readonly file: string; readonly by: number }[];
}

interface Compactor {
  readonly pc: 'idle' | 'rooted' | 'written' | 'put' | 'committed' | 'cleaning' | 'ended';
  readonly pass: number;
  readonly base: Root | undefined;
  readonly table: Table | undefined;
  readonly root: Root | undefined;
  /** What it will delete. */
  readonly files: readonly Table[];
}

interface Snapshot {
  readonly root: Root;
  /** The last write of its tail; and ghost, of that when it was taken. */
  readonly upTo: number;
  readonly shown: number;
  readonly age: number;
}

export interface State {
  readonly writes: number;
  readonly jumps: number;
  /** Ascending. */
  readonly roots: readonly Root[];
  readonly ages: readonly number[];
  readonly gap: number;
  readonly files: readonly Table[];
  readonly compactors: readonly Compactor[];
  /** One is taken, at any time. */
  readonly snapshot: Snapshot | 'none' | 'expired';
}

type To = (label: string, next: State) => void;

const IDLE: Omit<Compactor, 'pass'> = { pc: 'idle', base: undefined, table: undefined, root: undefined, files: [] };

export function tables(options: TablesOptions): Model<State> {
  return modelOf('tables', new Tables(options), { live: false });
}

class Tables {
  readonly #options: TablesOptions;
  readonly #mutants: ReadonlySet<Mutant>;

  constructor(options: TablesOptions) {
    this.#options = options;
    this.#mutants = new Set(options.mutants);
  }

  initial(): State {
    return {
      writes: 0,
      jumps: 0,
      roots: [{ number: 0, through: 0, tables: [], dropped: [] }],
      ages: [0],
      gap: 0,
      files: [],
      compactors: this.#options.passes.map(() => ({ ...IDLE, pass: 0 })),
      snapshot: 'none',
    };
  }

  steps(state: State, to: To): void {
    to('a tick', this.#later(state));
    if (state.jumps < (this.#options.jumps ?? 0))
      to("the medium's clock jumps", { ...state, jumps: state.jumps + 1, gap: this.#gap(state.gap + JUMP) });
    if (state.writes < this.#options.writes) to('a write', { ...state, writes: state.writes + 1 });
    for (let i = 0; i < state.compactors.length; i++) this.#compactorSteps(state, i, to);
    this.#rootDeletions(state, to);
    if (this.#options.snapshot === true) this.#handleSteps(state, to);
  }

  #later(state: State): State {
    const { snapshot } = state;
    return {
      ...state,
      gap: this.#gap(state.gap + 1),
      snapshot: typeof snapshot === 'string' ? snapshot : this.#older(snapshot, state.jumps),
    };
  }

  #older(snapshot: Snapshot, jumps: number): State['snapshot'] {
    const age = snapshot.age + 1;
    return age + jumps * CONSTANTS.gapMax >= CONSTANTS.retention ? 'expired' : { ...snapshot, age };
  }

  #gap(ticks: number): number {
    return Math.min(ticks, this.#has('gaps count in full') ? CONSTANTS.retention : CONSTANTS.gapMax);
  }

  #has(mutant: Mutant): boolean {
    return this.#mutants.has(mutant);
  }

  // ---- Compactors

  #compactorSteps(state: State, i: number, to: To): void {
    const compactor = state.compactors[i] as Compactor;
    const name = `C${i}`;
    const go = (label: string, change: Partial<Compactor>, more: Partial<State> = {}): void =>
      to(`${name} ${label}`, { ...state, ...more, compactors: state.compactors.with(i, { ...compactor, ...change }) });
    const pass = compactor.pass + 1;
    const end = (label: string, more: Partial<State> = {}): void =>
      go(label, { ...IDLE, pass, pc: pass < (this.#options.passes[i] ?? 0) ? 'idle' : 'ended' }, more);
    if (compactor.pc === 'written' || compactor.pc === 'put' || compactor.pc === 'cleaning') end('dies');
    switch (compactor.pc) {
      case 'idle':
        go(`reads root${newestOf(state).number}`, { pc: 'rooted', base: newestOf(state) });
        break;
      case 'rooted':
        this.#write(state, { compactor, name }, go);
        break;
      case 'written':
        this.#put(state, compactor, { go, end });
        break;
      case 'put':
        this.#confirm(state, compactor, { go, end });
        break;
      case 'committed':
        this.#judge(state, compactor, { go, end });
        break;
      case 'cleaning': {
        const [file, ...files] = compactor.files as [Table, ...Table[]];
        const left = { files: state.files.filter((other) => other.file !== file.file) };
        if (files.length === 0) end(`deletes ${file.file}`, left);
        else go(`deletes ${file.file}`, { files }, left);
        break;
      }
      case 'ended':
        break;
    }
  }

  /** A table of what is new, or of all; or none at all, for a root that keeps house. */
  #write(state: State, { compactor, name }: { compactor: Compactor; name: string }, go: Go): void {
    const base = compactor.base as Root;
    const number = base.number + 1;
    if (number > this.#options.roots) return;
    const { table: mine } = compactor;
    if (mine !== undefined) {
      // Only a mutant has one from its last try.
      go(`takes ${mine.file} again`, { pc: 'written' });
      return;
    }
    const write = (label: string, from: number): void => {
      const table: Table = { file: `${number}${name}${compactor.pass}`, madeFor: number, from, to: state.writes };
      go(`${label} ${table.file}`, { pc: 'written', table }, { files: [...state.files, table].sort(byFile) });
    };
    if (state.writes > base.through) write('writes', base.through);
    const areThere = base.tables.every(({ file }) => state.files.some((other) => other.file === file));
    if (base.tables.length > 0 && areThere && state.writes + base.tables.length > base.through + 1) write('merges', 0);
    if (state.gap > 0) go('has nothing to write', { pc: 'written' });
  }

  /** The next root, with `dropped` by a listing of the tables. */
  #rootOn(state: State, { base, table }: { base: Root; table: Table | undefined }): Root {
    const number = base.number + 1;
    const isPushed = table === undefined || table.from > 0 || base.tables.length === 0;
    const tables = [...(isPushed ? base.tables : []), ...(table === undefined ? [] : [table])];
    const isNamed = (file: string): boolean => tables.some((other) => other.file === file);
    const known = this.#has('dropped tables are noted once') ? [] : base.dropped;
    const dropped = known.filter(({ file }) => state.files.some((other) => other.file === file));
    const newly = base.tables.filter(({ file }) => !isNamed(file)).map(({ file }) => ({ file, by: number }));
    const all = this.#has('dropped tables are not noted') ? dropped : [...dropped, ...newly];
    return { number, through: table?.to ?? base.through, tables, dropped: all };
  }

  #put(state: State, compactor: Compactor, { go, end }: { go: Go; end: End }): void {
    const root = this.#rootOn(state, { base: compactor.base as Root, table: compactor.table });
    const newest = newestOf(state);
    if (state.roots.some(({ number }) => number === root.number)) {
      this.#fail(state, compactor, { label: `finds root${root.number} taken`, go, end });
      return;
    }
    const roots = [...state.roots, root].sort((a, b) => a.number - b.number);
    if (root.number < newest.number) {
      go(`puts root${root.number} again`, { pc: 'put', base: undefined, root }, { roots });
      return;
    }
    const ages = [...state.ages.map((age) => Math.min(age + state.gap, CONSTANTS.retention)), 0];
    go(`puts root${root.number}`, { pc: 'put', base: undefined, root }, { roots, ages, gap: 0 });
  }

  /** A14: it leaves its table where it is. */
  #fail(state: State, compactor: Compactor, { label, go, end }: { label: string; go: Go; end: End }): void {
    const { table } = compactor;
    if (table !== undefined && this.#has('failed passes delete their tables')) {
      end(`${label}, and deletes ${table.file}`, { files: state.files.filter(({ file }) => file !== table.file) });
    } else if (table !== undefined && this.#has('tables are used again under another number') && newestOf(state).through === table.from) {
      go(`${label}, and tries again`, { ...IDLE, pc: 'rooted', base: newestOf(state), table });
    } else {
      end(label);
    }
  }

  #confirm(state: State, compactor: Compactor, { go, end }: { go: Go; end: End }): void {
    const isNewest = newestOf(state).number === compactor.root?.number;
    if (isNewest || this.#has('commit not confirmed')) go('has committed', { pc: 'committed', table: undefined });
    else this.#fail(state, compactor, { label: 'finds its root overtaken', go, end });
  }

  /** A14: which of the listed files may go, by the root that it has put. */
  #judge(state: State, compactor: Compactor, { go, end }: { go: Go; end: End }): void {
    const root = compactor.root as Root;
    if (newestOf(state).number !== root.number && !this.#has('cleanup does not look again')) {
      end('finds a newer root');
      return;
    }
    const files = state.files.filter(({ file, madeFor }) => {
      if (madeFor > root.number && !this.#has('tables of passes under way are garbage')) return false;
      if (root.tables.some((table) => table.file === file)) return false;
      const dropped = root.dropped.find((other) => other.file === file);
      if (dropped === undefined || this.#has('dropped tables go at once')) return true;
      return (state.ages[dropped.by] as number) >= CONSTANTS.retention;
    });
    if (files.length === 0) end('has nothing to delete');
    else go(`may delete ${files.map(({ file }) => file).join(' ')}`, { pc: 'cleaning', files, root: undefined });
  }

  /** A3. */
  #rootDeletions(state: State, to: To): void {
    const newest = newestOf(state).number;
    for (const { number } of state.roots) {
      if (number > newest - (this.#options.kept ?? 1) || (state.ages[number] as number) < CONSTANTS.retention) continue;
      to(`root${number} goes`, { ...state, roots: state.roots.filter((root) => root.number !== number) });
    }
  }

  // ---- The handle

  #handleSteps(state: State, to: To): void {
    const { snapshot, writes } = state;
    const root = newestOf(state);
    if (snapshot === 'none') to('takes a snapshot', { ...state, snapshot: { root, upTo: writes, shown: writes, age: 0 } });
    if (typeof snapshot === 'string' || !this.#has('the tail is not copied')) return;
    // A read of the same handle adds to the tail that it has, until there is a newer root.
    if (snapshot.root.number === root.number) to('reads', { ...state, snapshot: { ...snapshot, upTo: writes } });
  }

  violation(state: State): string | undefined {
    const { files, snapshot } = state;
    const newest = newestOf(state);
    const isGone = ({ file }: Table): boolean => !files.some((other) => other.file === file);
    const missing = newest.tables.find(isGone);
    if (missing !== undefined) return `root${newest.number} names ${missing.file}, which is gone`;
    let covered = 0;
    for (const { from, to } of newest.tables) {
      if (from !== covered) return `root${newest.number} has ${covered} writes, then those after ${from}`;
      covered = to;
    }
    if (covered !== newest.through) return `root${newest.number} has ${covered} writes instead of ${newest.through}`;
    if (typeof snapshot === 'string') return undefined;
    const lost = snapshot.root.tables.find(isGone);
    if (lost !== undefined) return `a snapshot of root${snapshot.root.number} needs ${lost.file}, which is gone`;
    return snapshot.upTo === snapshot.shown ? undefined : `a snapshot showed ${snapshot.shown} writes, and shows ${snapshot.upTo}`;
  }

  finished(): boolean {
    return true;
  }
}

type Go = (label: string, change: Partial<Compactor>, more?: Partial<State>) => void;
type End = (label: string, more?: Partial<State>) => void;

function newestOf({ roots }: State): Root {
  return roots.at(-1) as Root;
}

function byFile(a: Table, b: Table): number {
  return a.file < b.file ? -1 : 1;
}
