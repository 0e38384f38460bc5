/**
 * What may be read of keys that a single process writes, in the order of its calls.
 *
 * Of the writes of a key, the newest one that was acknowledged before a read began is the oldest that it may show; any later one that was
 * called before it ended, and did not fail, may be shown, too. What a read has shown, no read that begins after its end may fall behind.
 * A write that failed must never be shown. All moments are numbers of one sequence.
 */

/** What stands at a key: the number of the write that put it there, or nothing. */
export type Shown = number | undefined;

export interface Write {
  readonly key: string;
  /** Tells writes apart; all of a batch share it. Its value holds it. */
  readonly id: number;
  /** False if it deletes. */
  readonly puts: boolean;
  /** 0: never. */
  readonly expiresAtMs: number;
  /** Survives a power cut once it is acknowledged. */
  readonly isDurable: boolean;
  /** Its place among the writes of its key. */
  readonly index: number;
  readonly calledAt: number;
  state: 'pending' | 'acknowledged' | 'unknown' | 'failed';
  acknowledgedAt: number;
}

export interface ReadSpan {
  readonly from: number;
  readonly to: number;
  /** What the reader's wall clock showed at its earliest. */
  readonly wallMs: number;
  /** The latest that any wall clock has shown. */
  readonly latestWallMs: number;
}

interface Floor {
  readonly at: number;
  readonly index: number;
}

interface KeyHistory {
  readonly writes: Write[];
  /** What reads have shown, and when they ended; both ascending. */
  floors: Floor[];
}

export class OwnKeys {
  readonly #keys = new Map<string, KeyHistory>();
  readonly #byId = new Map<string, Write>();

  get names(): readonly string[] {
    return [...this.#keys.keys()];
  }

  call(facts: Omit<Write, 'index' | 'state' | 'acknowledgedAt'>): Write {
    const history = this.#of(facts.key);
    const write: Write = { ...facts, index: history.writes.length, state: 'pending', acknowledgedAt: Number.POSITIVE_INFINITY };
    history.writes.push(write);
    this.#byId.set(`${write.key} ${write.id}`, write);
    return write;
  }

  /** @returns what is wrong with that, if it is */
  fail(write: Write): string | undefined {
    write.state = 'failed';
    const shown = this.#of(write.key).floors.some(({ index }) => index === write.index);
    return shown ? `write ${write.id} of ${write.key} failed, and was read before` : undefined;
  }

  /** @returns what is wrong with a read, if anything is */
  check(key: string, shown: Shown, span: ReadSpan): string | undefined {
    const history = this.#of(key);
    const floor = history.floors.findLast(({ at }) => at <= span.from)?.index ?? -1;
    const acknowledged = history.writes.findLast(({ state, acknowledgedAt }) => state === 'acknowledged' && acknowledgedAt <= span.from);
    const lowest = Math.max(floor, acknowledged?.index ?? -1);
    const possible = history.writes.filter(
      (write) => write.index >= lowest && write.state !== 'failed' && write.calledAt <= span.to && mayShow(write, shown, span),
    );
    const mayBeUntouched = lowest === -1 && shown === undefined;
    const [first] = possible;
    if (first === undefined && !mayBeUntouched) return this.#explain(key, shown, { lowest, floor });
    if (first !== undefined && !mayBeUntouched && first.index > floor) history.floors.push({ at: span.to, index: first.index });
    return undefined;
  }

  /** What was not acknowledged may vanish, even if it was read; and all that was not made durable. */
  powerCut(): void {
    for (const history of this.#keys.values()) {
      for (const write of history.writes) {
        if (write.state === 'pending' || (write.state === 'acknowledged' && !write.isDurable)) write.state = 'unknown';
      }
      const durable = history.writes.findLast(({ state }) => state === 'acknowledged')?.index ?? -1;
      history.floors = history.floors.filter(({ index }) => index <= durable);
    }
  }

  #of(key: string): KeyHistory {
    let history = this.#keys.get(key);
    if (history === undefined) {
      history = { writes: [], floors: [] };
      this.#keys.set(key, history);
    }
    return history;
  }

  #explain(key: string, shown: Shown, { lowest, floor }: { lowest: number; floor: number }): string {
    const { writes } = this.#of(key);
    const describe = ({ id, puts, state, expiresAtMs }: Write): string =>
      `${puts ? 'put' : 'delete'} ${id}${expiresAtMs === 0 ? '' : `, expires ${expiresAtMs}`} (${state})`;
    const found = shown === undefined ? 'nothing' : `${shown}, which is ${describeFound(this.#byId.get(`${key} ${shown}`), writes)}`;
    const least = lowest === -1 ? 'nothing' : describe(writes[lowest] as Write);
    const why = floor === lowest && floor !== -1 ? ', which was read before' : '';
    return `${key} reads ${found}; it has to be at least ${least}${why}; its latest writes: ${writes.slice(-6).map(describe).join(' · ')}`;
  }
}

function describeFound(write: Write | undefined, writes: readonly Write[]): string {
  return write === undefined ? 'of no write' : `write ${write.index} of ${writes.length}, ${write.state}`;
}

function mayShow({ id, puts, expiresAtMs }: Write, shown: Shown, { wallMs, latestWallMs }: ReadSpan): boolean {
  if (shown !== undefined) return id === shown && puts && (expiresAtMs === 0 || wallMs < expiresAtMs);
  return !puts || (expiresAtMs !== 0 && latestWallMs >= expiresAtMs);
}
