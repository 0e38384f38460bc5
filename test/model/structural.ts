/**
 * A model of named locks against the structural lock (rule C6). A queue is a list of live tickets here: that it serves in
 * order, one exclusive holder or several shared ones, is shown by `tickets.ts`.
 *
 * What is in it:
 * - Named lockers. Each has groups of names: a group is one call of `locks()` (sorted, all or nothing), and each further
 *   group is a call made while the earlier ones are held (nested). For each name of a group a locker puts its ticket and waits
 *   for its turn; then it lists the structural lock. If that listing shows a live ticket, it gives back all of the group,
 *   waits until none is live, and starts the group over. It lets go of its groups in the order of `release`.
 * - Structural lockers. Each puts its ticket, waits for its turn, then looks at the names, one at a time, and waits for those
 *   who are there (`clear`). It may take a named lock itself while it holds (`inside`).
 * - Deaths: whoever is dead holds nothing, and its tickets are stolen one by one.
 *
 * All go on for ever. What must hold: a structural holder overlaps no other holder (its own lock inside apart), nor do named
 * holders that conflict; and somebody can always move. `fairness.ts` then looks for runs in which every
 * process that could go on does so now and then, and yet nobody ever holds again, or one of them never does.
 *
 * What it shows beyond that is in `structural.test.ts` and in decision 0019.
 */
import type { Model } from './explore.ts';

export type StructuralMutant =
  | 'onlyHolder'
  | 'lookFirst'
  | 'namesFirst'
  | 'stay'
  | 'precheck'
  | 'noWait'
  | 'giveBackOne'
  | 'unsorted'
  | 'clearBeforeTurn';

export interface NamedLocker {
  /** Names, each exclusive unless it ends in "~": then shared. */
  readonly groups: readonly (readonly string[])[];
}

export interface StructuralLocker {
  /** A name that it takes while it holds the structural lock. */
  readonly inside?: string;
}

export interface StructuralOptions {
  readonly named: readonly NamedLocker[];
  readonly structural: readonly StructuralLocker[];
  /**
   * What a structural locker waits for at its turn. `listed`, as it is built: it lists all names, one after the other, and waits until all
   * tickets that it met are gone. The others wait at each name before they look at the next: until it has no live ticket; until those seen there
   * at first are gone; until the lowest one seen at first is gone; or until it has none, and the round over all names met none at all.
   */
  readonly clear?: 'listed' | 'empty' | 'seen' | 'lowest' | 'round';
  /** When a named locker lists the structural lock: after all names were taken, as it is built, or at the turn of each, or of the first alone. */
  readonly look?: 'last' | 'each' | 'first';
  /** What a named locker that holds something already does about live structural tickets: as always, or goes on. */
  readonly nested?: 'giveBack' | 'pass';
  /** Earlier groups are held until later ones are released, or they go in any order. */
  readonly release?: 'stack' | 'free';
  /** What a structural holder that takes a named lock does: as always; overlooks its own ticket; overlooks all while its own is the lowest. */
  readonly insideRule?: 'asAlways' | 'ignoreOwn' | 'passWhileHolding';
  readonly deaths?: number;
  readonly mutant?: StructuralMutant;
}

type NamedPc = 'idle' | 'enqueue' | 'wait' | 'check' | 'giveBack' | 'paused' | 'hold' | 'release' | 'dead';

interface Named {
  readonly pc: NamedPc;
  /** The group that is being taken or released, and the name in it. */
  readonly group: number;
  readonly at: number;
  /** The groups that it holds, as bits; and the next one to take. */
  readonly held: number;
  readonly next: number;
}

type StructuralPc = 'idle' | 'enqueue' | 'wait' | 'clear' | 'hold' | 'dead';
type InsidePc = 'none' | 'wait' | 'check' | 'paused' | 'hold';

interface Structural {
  readonly pc: StructuralPc;
  /** The next name to clear. */
  readonly at: number;
  /** Tickets that it met and that are still live; undefined before it looked. */
  readonly seen: readonly string[] | undefined;
  /** No live ticket was met in this round. */
  readonly clean: boolean;
  /** Names known when the round began; only a mutant knows fewer than all. */
  readonly known: number;
  readonly inside: InsidePc;
}

export interface State {
  /** For each name its live tickets: "<owner>.<group>:<name>" and "~" if shared. Owners are n0, n1, ... and s0, s1, ... */
  readonly queues: readonly (readonly string[])[];
  /** Live structural tickets: numbers of structural lockers. */
  readonly queue: readonly number[];
  readonly named: readonly Named[];
  readonly structural: readonly Structural[];
  readonly deathsLeft: number;
}

const NAMED_IDLE: Named = { pc: 'idle', group: 0, at: 0, held: 0, next: 0 };
const STRUCTURAL_IDLE: Structural = { pc: 'idle', at: 0, seen: undefined, clean: true, known: -1, inside: 'none' };

/** Calls back with each step: who makes it, or "death", which nobody is bound to. */
export type Step = (who: string, label: string, next: State) => void;

export class StructuralModel implements Model<State> {
  readonly name: string;
  readonly initial: State;
  readonly processes: readonly string[];
  readonly #options: StructuralOptions;
  readonly #names: readonly string[];

  constructor(name: string, options: StructuralOptions) {
    this.name = name;
    this.#options = options;
    const names = [
      ...options.named.flatMap((locker) => locker.groups.flat().map(bare)),
      ...options.structural.flatMap((locker) => locker.inside ?? []),
    ];
    this.#names = [...new Set(names)].sort();
    this.processes = [...options.named.map((_, i) => `n${i}`), ...options.structural.map((_, j) => `s${j}`), 'thief'];
    this.initial = {
      queues: this.#names.map(() => []),
      queue: [],
      named: options.named.map(() => NAMED_IDLE),
      structural: options.structural.map(() => STRUCTURAL_IDLE),
      deathsLeft: options.deaths ?? 0,
    };
  }

  steps(state: State, to: (label: string, next: State) => void): void {
    this.stepsOf(state, (who, label, next) => to(`${who} ${label}`, next));
  }

  stepsOf(state: State, to: Step): void {
    state.named.forEach((_, i) => {
      this.#namedSteps(state, i, to);
    });
    state.structural.forEach((_, j) => {
      this.#structuralSteps(state, j, to);
      this.#insideSteps(state, j, to);
    });
    this.#deaths(state, to);
  }

  violation(state: State): string | undefined {
    const holders: string[] = [];
    state.named.forEach((locker, i) => {
      this.#options.named[i]?.groups.forEach((group, g) => {
        if ((locker.held & (1 << g)) !== 0) holders.push(...group.map((name) => `n${i} ${name}`));
      });
    });
    state.structural.forEach(({ inside, pc }, j) => {
      if (inside === 'hold' && pc !== 'dead') holders.push(`s${j} ${this.#options.structural[j]?.inside}`);
    });
    const global = state.structural.flatMap((locker, j) => (locker.pc === 'hold' ? [`s${j}`] : []));
    if (global.length > 1) return `two structural holders: ${global.join(', ')}`;
    const beside = holders.find((holder) => global.length > 0 && !holder.startsWith(`${global[0]} `));
    if (beside !== undefined) return `structural holder ${global[0]} overlaps ${beside}`;
    for (const [i, a] of holders.entries()) {
      const b = holders.slice(i + 1).find((other) => conflict(a, other));
      if (b !== undefined) return `holders overlap: ${a}, ${b}`;
    }
    let canMove = false;
    this.stepsOf(state, (who) => {
      canMove ||= who !== 'death';
    });
    const allDead = [...state.named, ...state.structural].every((locker) => locker.pc === 'dead');
    return canMove || allDead ? undefined : 'deadlock';
  }

  /** Holds whatever it wants to hold at most; `idle`: wants nothing, `busy`: on its way. */
  situation(state: State, who: string): 'idle' | 'busy' | 'holds' {
    const index = Number(who.slice(1));
    const locker = who.startsWith('n') ? state.named[index] : state.structural[index];
    if (locker === undefined || locker.pc === 'dead') return 'idle';
    if (locker.pc === 'hold' || ('held' in locker && locker.held !== 0)) return 'holds';
    return locker.pc === 'idle' && !('inside' in locker && locker.inside !== 'none') ? 'idle' : 'busy';
  }

  #group(i: number, g: number): readonly string[] {
    const group = this.#options.named[i]?.groups[g] ?? [];
    return this.#options.mutant === 'unsorted' ? group : group.toSorted();
  }

  #namedSteps(state: State, i: number, to: Step): void {
    const locker = state.named[i] as Named;
    const { mutant } = this.#options;
    const { pc, group, at, held } = locker;
    const names = this.#group(i, group);
    const name = names[at] as string;
    const ticket = `n${i}.${group}:${name}`;
    const x = this.#names.indexOf(bare(name));
    const go = (label: string, next: Partial<Named>, from: State = state): void =>
      to(`n${i}`, label, { ...from, named: from.named.with(i, { ...locker, ...next }) });
    switch (pc) {
      case 'idle':
        if (mutant === 'precheck' && state.queue.length > 0) return;
        go('begins', { pc: 'enqueue' });
        return;
      case 'enqueue':
        go(`queues for ${name}`, { pc: 'wait' }, putTicket(state, x, ticket));
        return;
      case 'wait':
        if (!isTurn(state.queues[x] as readonly string[], ticket)) return;
        if (this.#looksAt(at, names.length)) {
          go(`has its turn at ${name}`, { pc: 'check' });
        } else {
          this.#advance(locker, names, go);
        }
        return;
      case 'check':
        if (this.#mayPass(state, locker)) {
          this.#advance(locker, names, go);
          return;
        }
        if (mutant !== 'stay') go('meets a structural ticket', { pc: 'giveBack' });
        return;
      case 'giveBack': {
        const after = removeTicket(state, x, ticket);
        const isLast = at === 0 || mutant === 'giveBackOne';
        go(`gives ${name} back`, isLast ? { pc: 'paused' } : { at: at - 1 }, after);
        return;
      }
      case 'paused':
        if (state.queue.length === 0 || mutant === 'noWait') go('goes again', { pc: 'enqueue', at: mutant === 'giveBackOne' ? at : 0 });
        return;
      case 'hold':
        this.#holdSteps(i, locker, go);
        return;
      case 'release': {
        const after = removeTicket(state, x, ticket);
        if (at > 0) {
          go(`releases ${name}`, { at: at - 1 }, after);
          return;
        }
        go(`releases ${name}`, held === 0 ? NAMED_IDLE : { pc: 'hold', group: 0, at: 0 }, after);
        return;
      }
      case 'dead':
        return;
    }
  }

  /** Whether a locker lists the structural lock at the turn of this name. */
  #looksAt(at: number, count: number): boolean {
    const { look = 'last', mutant } = this.#options;
    if (mutant === 'precheck') return false;
    return look === 'each' || (look === 'last' ? at === count - 1 : at === 0);
  }

  #mayPass(state: State, { held }: Named): boolean {
    const { mutant, nested = 'giveBack' } = this.#options;
    if (state.queue.length === 0) return true;
    if (mutant === 'onlyHolder') return state.structural[state.queue[0] as number]?.pc !== 'hold';
    return held !== 0 && nested === 'pass';
  }

  #advance({ group, at, held }: Named, names: readonly string[], go: (label: string, next: Partial<Named>) => void): void {
    if (at + 1 < names.length) {
      go(`has ${names[at]}`, { pc: 'enqueue', at: at + 1 });
      return;
    }
    go(`HOLDS ${names.join(' and ')}`, { pc: 'hold', group: 0, at: 0, held: held | (1 << group), next: group + 1 });
  }

  #holdSteps(i: number, { held, next }: Named, go: (label: string, next: Partial<Named>) => void): void {
    const groups = this.#options.named[i]?.groups ?? [];
    if (next < groups.length) go('wants more', { pc: 'enqueue', group: next, at: 0 });
    for (let g = groups.length - 1; g >= 0; g--) {
      if ((held & (1 << g)) === 0) continue;
      go(`lets go of ${groups[g]?.join(' and ')}`, { pc: 'release', group: g, at: this.#group(i, g).length - 1, held: held & ~(1 << g) });
      if (this.#options.release !== 'free') return;
    }
  }

  #structuralSteps(state: State, j: number, to: Step): void {
    const locker = state.structural[j] as Structural;
    const { mutant } = this.#options;
    const go = (label: string, next: Partial<Structural>, queue: readonly number[] = state.queue): void =>
      to(`s${j}`, label, { ...state, queue, structural: state.structural.with(j, { ...locker, ...next }) });
    const known = state.queues.reduce((set, queue, x) => (queue.length > 0 ? set | (1 << x) : set), 0);
    switch (locker.pc) {
      case 'idle':
        if (locker.inside !== 'none') return;
        if (mutant === 'namesFirst') {
          go('lists the names', { pc: 'enqueue', known });
          return;
        }
        if (mutant === 'lookFirst' && known !== 0) return;
        if (mutant === 'lookFirst') {
          go('looks at all names', { pc: 'enqueue', known });
          return;
        }
        go('queues', { pc: mutant === 'clearBeforeTurn' ? 'clear' : 'wait' }, [...state.queue, j]);
        return;
      case 'enqueue':
        go('queues', { pc: 'wait' }, [...state.queue, j]);
        return;
      case 'wait':
        if (state.queue[0] !== j) return;
        if (mutant === 'clearBeforeTurn') {
          go('HOLDS', { ...STRUCTURAL_IDLE, pc: 'hold' });
        } else {
          go('has its turn', { pc: 'clear' });
        }
        return;
      case 'clear':
        this.#clear(state, locker, go);
        return;
      case 'hold':
        // While it is on its way to the lock inside it stays; then it lets go of either first.
        if (locker.inside === 'none' || locker.inside === 'hold') {
          const queue = state.queue.filter((other) => other !== j);
          go('releases', { ...STRUCTURAL_IDLE, inside: locker.inside }, queue);
        }
        return;
      case 'dead':
        return;
    }
  }

  #clear(state: State, locker: Structural, go: (label: string, next: Partial<Structural>) => void): void {
    const { clear = 'listed', mutant } = this.#options;
    const { at, seen, clean, known } = locker;
    if (at === this.#names.length) {
      if (clear === 'listed' && seen?.length !== 0 && seen !== undefined) return;
      if (clear === 'round' && !clean) {
        go('makes another round', { at: 0, clean: true });
        return;
      }
      if (mutant === 'clearBeforeTurn') {
        go('waits', { pc: 'wait', at: 0, seen: undefined });
      } else {
        go('HOLDS', { ...STRUCTURAL_IDLE, pc: 'hold' });
      }
      return;
    }
    const queue = state.queues[at] as readonly string[];
    const isKnown = (known & (1 << at)) !== 0;
    if (clear === 'listed') {
      go(`lists ${this.#names[at]}`, { at: at + 1, seen: isKnown ? [...(seen ?? []), ...queue] : (seen ?? []) });
      return;
    }
    if (queue.length === 0 || seen?.length === 0 || !isKnown) {
      go(`finds ${this.#names[at]} clear`, { at: at + 1, seen: undefined });
      return;
    }
    if (clear === 'round' && clean) {
      go(`waits for ${this.#names[at]}`, { clean: false });
      return;
    }
    if ((clear === 'lowest' || clear === 'seen') && seen === undefined) {
      go(`waits for ${this.#names[at]}`, { seen: clear === 'seen' ? queue : queue.slice(0, 1) });
    }
  }

  /** A named lock taken by a structural holder. */
  #insideSteps(state: State, j: number, to: Step): void {
    const locker = state.structural[j] as Structural;
    const name = this.#options.structural[j]?.inside;
    if (name === undefined || locker.pc === 'dead') return;
    const x = this.#names.indexOf(name);
    const ticket = `s${j}.0:${name}`;
    const go = (label: string, inside: InsidePc, from: State = state): void =>
      to(`s${j}`, label, { ...from, structural: from.structural.with(j, { ...(from.structural[j] as Structural), inside }) });
    switch (locker.inside) {
      case 'none':
        if (locker.pc === 'hold') go(`queues for ${name} inside`, 'wait', putTicket(state, x, ticket));
        return;
      case 'wait':
        if (isTurn(state.queues[x] as readonly string[], ticket)) go(`has its turn at ${name} inside`, 'check');
        return;
      case 'check':
        if (this.#insideMayPass(state, j)) {
          go(`HOLDS ${name} inside`, 'hold');
          return;
        }
        go(`gives ${name} back inside`, 'paused', removeTicket(state, x, ticket));
        return;
      case 'paused':
        if (this.#insideMayPass(state, j)) go(`queues for ${name} inside again`, 'wait', putTicket(state, x, ticket));
        return;
      case 'hold':
        go(`releases ${name} inside`, 'none', removeTicket(state, x, ticket));
        return;
    }
  }

  #insideMayPass({ queue }: State, j: number): boolean {
    const { insideRule = 'asAlways' } = this.#options;
    if (insideRule === 'passWhileHolding' && queue[0] === j) return true;
    return queue.every((other) => insideRule === 'ignoreOwn' && other === j);
  }

  #deaths(state: State, to: Step): void {
    const { named, structural, deathsLeft } = state;
    const isDead = (ticket: string): boolean => {
      const owner = Number(/\d+/.exec(ticket)?.[0]);
      return (ticket.startsWith('n') ? named[owner] : structural[owner])?.pc === 'dead';
    };
    state.queues.forEach((queue, x) => {
      for (const ticket of queue) if (isDead(ticket)) to('thief', `takes ${ticket} of ${this.#names[x]}`, removeTicket(state, x, ticket));
    });
    for (const j of state.queue) {
      if (structural[j]?.pc === 'dead') to('thief', `takes s${j}`, { ...state, queue: state.queue.filter((other) => other !== j) });
    }
    if (deathsLeft === 0) return;
    const after = { ...state, deathsLeft: deathsLeft - 1 };
    named.forEach((locker, i) => {
      if (locker.pc !== 'idle' && locker.pc !== 'dead')
        to('death', `of n${i}`, { ...after, named: named.with(i, { ...NAMED_IDLE, pc: 'dead' }) });
    });
    structural.forEach((locker, j) => {
      if (locker.pc === 'idle' || locker.pc === 'dead') return;
      to('death', `of s${j}`, { ...after, structural: structural.with(j, { ...STRUCTURAL_IDLE, pc: 'dead' }) });
    });
  }
}

function bare(name: string): string {
  return name.replace('~', '');
}

function conflict(a: string, b: string): boolean {
  const [ownerA, nameA = ''] = a.split(' ');
  const [ownerB, nameB = ''] = b.split(' ');
  return ownerA !== ownerB && bare(nameA) === bare(nameB) && !(nameA.endsWith('~') && nameB.endsWith('~'));
}

function isTurn(queue: readonly string[], ticket: string): boolean {
  const ahead = queue.slice(0, queue.indexOf(ticket));
  return ticket.endsWith('~') ? ahead.every((other) => other.endsWith('~')) : ahead.length === 0;
}

function putTicket(state: State, x: number, ticket: string): State {
  return { ...state, queues: state.queues.with(x, [...(state.queues[x] as readonly string[]), ticket]) };
}

/** A structural locker that has seen this ticket waits for it no longer; one that is put later is another. */
function removeTicket(state: State, x: number, ticket: string): State {
  const queue = (state.queues[x] as readonly string[]).filter((other) => other !== ticket);
  const structural = state.structural.map((locker) =>
    locker.seen?.includes(ticket) ? { ...locker, seen: locker.seen.filter((other) => other !== ticket) } : locker,
  );
  return { ...state, queues: state.queues.with(x, queue), structural };
}
