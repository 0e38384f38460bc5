/** Histories made at random by a true register: each operation takes effect at one moment between its invocation and its end. */
import type { Operation, Value } from './history.ts';

export interface RandomHistoryOptions {
  readonly clients: number;
  readonly operations: number;
  readonly keys: readonly string[];
  /** How many of a thousand operations write without reading, fail, or end without anybody knowing how. Default 0. */
  readonly blind?: number;
  readonly failing?: number;
  readonly unknown?: number;
  /** How many of a thousand touch two keys at once. Default 0. */
  readonly pairs?: number;
}

interface Planned {
  readonly draft: Omit<Operation, 'reads' | 'writes'>;
  readonly kind: 'read' | 'update' | 'blind';
  readonly keys: readonly string[];
  /** Undefined: never. */
  readonly effectAt: number | undefined;
}

/** Each value written is new. @param random from 0 up to 1 */
export function randomHistory(random: () => number, options: RandomHistoryOptions): Operation[] {
  const planned = plan(random, options);
  const inOrder = planned.filter(({ effectAt }) => effectAt !== undefined).sort((a, b) => (a.effectAt as number) - (b.effectAt as number));
  const state = new Map<string, Value>();
  const done = new Map<Planned, Operation>();
  for (const one of inOrder) done.set(one, applyTo(state, one));
  // What a failed one, or one that died before its effect, had read last does not matter; it looks as if it might have happened.
  return planned.map((one) => done.get(one) ?? applyTo(new Map(state), one));
}

function plan(random: () => number, options: RandomHistoryOptions): Planned[] {
  const { clients, operations, keys, blind = 0, failing = 0, unknown = 0, pairs = 0 } = options;
  const happens = (perMille: number): boolean => random() * 1000 < perMille;
  const pick = (): string => keys[Math.floor(random() * keys.length)] as string;
  const freeAt = Array.from({ length: clients }, () => random() * 10);
  return Array.from({ length: operations }, (_, n): Planned => {
    const client = Math.floor(random() * clients);
    const invokedAt = (freeAt[client] as number) + random() * 5;
    const endedAt = invokedAt + random() ** 3 * 20;
    freeAt[client] = endedAt;
    const outcome = happens(failing) ? 'fail' : happens(unknown) ? 'unknown' : 'ok';
    const effects = {
      ok: invokedAt + random() * (endedAt - invokedAt),
      fail: undefined,
      unknown: happens(500) ? invokedAt + random() ** 2 * 100 : undefined,
    };
    const isPair = happens(pairs);
    return {
      draft: { id: `${n}`, client: `c${client}`, what: '', invokedAt, endedAt: outcome === 'unknown' ? Infinity : endedAt, outcome },
      kind: happens(blind) && !isPair ? 'blind' : happens(300) ? 'read' : 'update',
      keys: isPair ? [...new Set([pick(), pick()])] : [pick()],
      effectAt: effects[outcome],
    };
  });
}

function applyTo(state: Map<string, Value>, { draft, kind, keys }: Planned): Operation {
  const read = keys.map((key) => [key, state.get(key) ?? null] as const);
  const written = kind === 'read' ? [] : keys.map((key) => [key, `v${draft.id}`] as const);
  for (const [key, value] of written) state.set(key, value);
  return { ...draft, what: kind, reads: Object.fromEntries(kind === 'blind' ? [] : read), writes: Object.fromEntries(written) };
}
