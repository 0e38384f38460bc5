/**
 * Histories of a true store, made at random: each operation takes effect at one moment between its invocation and its end. Blind writes, updates,
 * reads of one and of several keys, snapshots that are read twice, deletions, and what a watch tells. With the log that belongs to it.
 */
import { NO_WRITER, type Stamp } from '../../src/base/stamp.ts';
import { stampText } from '../../src/datastore/update.ts';
import type { Operation, Value, Values } from './history.ts';
import type { LoggedBatch } from './log-archive.ts';

export interface TrueHistory {
  readonly operations: Operation[];
  readonly log: LoggedBatch[];
}

const CLIENTS = 5;
const KEYS = ['d0', 'd1', 'd2', 'd3', 'c0', 'c1'];
const BLIND_KEYS = KEYS.filter((key) => key.startsWith('d'));

interface Planned {
  readonly id: string;
  readonly client: string;
  readonly kind: string;
  readonly invokedAt: number;
  readonly effectAt: number;
  readonly endedAt: number;
  readonly isKilled: boolean;
}

/** @param random from 0 up to 1 @param count of operations, about */
export function trueHistory(random: () => number, count: number): TrueHistory {
  const planned = plan(random, count).sort((a, b) => a.effectAt - b.effectAt);
  const store = new TrueStore(random);
  for (const one of planned) store.apply(one);
  return store.history(Math.max(...planned.map(({ endedAt }) => endedAt)));
}

function plan(random: () => number, count: number): Planned[] {
  const kinds = ['put', 'put', 'delete', 'batch', 'batch', 'get', 'get', 'getEntry', 'scan', 'getMany', 'getMany', 'snapshot', 'update'];
  const freeAt = Array.from({ length: CLIENTS }, () => random() * 10);
  const lives = freeAt.map(() => 0);
  return Array.from({ length: count }, (_, n): Planned => {
    const p = Math.floor(random() * CLIENTS);
    const invokedAt = (freeAt[p] as number) + random() * 5;
    const endedAt = invokedAt + random() ** 3 * 20;
    freeAt[p] = endedAt;
    const client = `p${p}.${lives[p]}`;
    const isKilled = random() < 0.02;
    if (isKilled) lives[p] = (lives[p] as number) + 1;
    const effectAt = invokedAt + random() * (endedAt - invokedAt);
    return {
      id: `${client}/${n}`,
      client,
      kind: kinds[Math.floor(random() * kinds.length)] as string,
      invokedAt,
      effectAt,
      endedAt,
      isKilled,
    };
  });
}

class TrueStore {
  readonly #random: () => number;
  readonly #state = new Map<string, { value: Value; stamp: Stamp }>();
  readonly #operations: Operation[] = [];
  readonly #log: LoggedBatch[] = [];
  #moments = 0;

  constructor(random: () => number) {
    this.#random = random;
  }

  apply(planned: Planned): void {
    const { kind, isKilled } = planned;
    // What a killed client would have read nobody knows; of what it wrote half has taken effect.
    if (kind === 'update') this.#update(planned);
    else if (kind === 'put' || kind === 'delete' || kind === 'batch') this.#write(planned, isKilled && this.#random() < 0.5);
    else if (!isKilled) this.#read(planned);
  }

  #some(keys: readonly string[], count: number): string[] {
    return [...new Set(Array.from({ length: count }, () => keys[Math.floor(this.#random() * keys.length)] as string))];
  }

  #write(planned: Planned, isLost: boolean): void {
    const keys = this.#some(BLIND_KEYS, planned.kind === 'batch' ? 3 : 1);
    const isDeletion = (): boolean => planned.kind === 'delete' || (planned.kind === 'batch' && this.#random() < 0.3);
    const writes: Values = Object.fromEntries(keys.map((key) => [key, isDeletion() ? null : planned.id]));
    const [segment, end] = [`segment-${planned.client}`, this.#log.length];
    this.#note(planned, { reads: {}, writes, details: { handle: 0, ...(planned.isKilled ? {} : { token: `mixed:${segment}@${end}` }) } });
    if (isLost) return;
    const stamp = { time: Math.floor(planned.effectAt * 1e6), writer: planned.client, sub: 0 };
    this.#log.push({ segment, end, stamp, writes });
    for (const [key, value] of Object.entries(writes)) this.#set(planned, key, { value, stamp });
  }

  #update(planned: Planned): void {
    if (planned.isKilled) return;
    const [key] = this.#some(['c0', 'c1'], 1) as [string];
    const { value, stamp: read } = this.#state.get(key) ?? { value: null, stamp: { time: 0, writer: NO_WRITER, sub: 0 } };
    const stamp = { ...read, sub: read.sub + 1 };
    this.#note(planned, { reads: { [key]: value }, writes: { [key]: planned.id }, stamp: stampText(stamp) });
    this.#set(planned, key, { value: planned.id, stamp });
  }

  #set({ effectAt }: Planned, key: string, to: { value: Value; stamp: Stamp }): void {
    this.#state.set(key, to);
    this.#moment('event', effectAt + 1, { [key]: to.value });
  }

  #moment(what: string, at: number, reads: Values = {}): void {
    const client = 'watcher';
    this.#operations.push({
      id: `${client}/${this.#moments++}`,
      client,
      what,
      invokedAt: at,
      endedAt: at,
      outcome: 'ok',
      reads,
      writes: {},
    });
  }

  #values(keys: readonly string[]): Values {
    return Object.fromEntries(keys.map((key) => [key, this.#state.get(key)?.value ?? null]));
  }

  #read(planned: Planned): void {
    const { kind, id, endedAt } = planned;
    const reads = this.#values(kind === 'scan' || kind === 'snapshot' ? KEYS : this.#some(KEYS, kind === 'getMany' ? 4 : 1));
    if (kind !== 'snapshot') {
      const [[key, value]] = Object.entries(reads) as [[string, Value]];
      const stamp = kind === 'getEntry' && value !== null ? stampText(this.#state.get(key)?.stamp as Stamp) : undefined;
      this.#note(planned, { reads, writes: {}, ...(stamp === undefined ? {} : { stamp }) });
      return;
    }
    this.#note(planned, { reads: {}, writes: {} });
    for (const n of [1, 2]) {
      const times = { invokedAt: endedAt, endedAt: endedAt + n * 10 };
      this.#operations.push({
        ...this.#made(planned),
        ...times,
        id: `${id}-${n}`,
        what: 'snapshot scan',
        reads,
        writes: {},
        details: { view: id },
      });
    }
  }

  #note(planned: Planned, effect: Pick<Operation, 'reads' | 'writes'> & Partial<Operation>): void {
    this.#operations.push({ ...this.#made(planned), ...effect });
  }

  #made({ id, client, kind, invokedAt, endedAt, isKilled }: Planned): Omit<Operation, 'reads' | 'writes'> {
    return {
      id,
      client,
      what: kind,
      invokedAt,
      endedAt: isKilled ? Number.POSITIVE_INFINITY : endedAt,
      outcome: isKilled ? 'unknown' : 'ok',
    };
  }

  history(endedAt: number): TrueHistory {
    this.#moment('watching', -1);
    this.#moment('watched', endedAt + 100);
    const operation = {
      id: 'end/0',
      client: 'end',
      what: 'final',
      invokedAt: endedAt + 200,
      endedAt: endedAt + 201,
      outcome: 'ok',
    } as const;
    this.#operations.push({ ...operation, reads: this.#values(KEYS), writes: {} });
    const operations = this.#operations.sort((a, b) => a.invokedAt - b.invokedAt);
    return { operations, log: this.#log };
  }
}
