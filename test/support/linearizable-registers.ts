/**
 * Keys as registers: checks that a history of updates, reads, compare-and-sets, and of updates and reads of several keys at once, is
 * linearizable.
 *
 * Histories of different keys are checked apart, since a history is linearizable exactly if that of each object is (Herlihy and Wing,
 * 1990). Keys that one operation touched together are one object.
 *
 * What may be checked so: keys that are only updated, or that one process writes blindly. Blind writes of several processes are ordered by
 * their stamps, not by real time; for these, see `history-blind.ts`.
 */
import { describeOperation, type Operation, type Value, type Values } from './history.ts';
import { checkLinearizable, type SequentialObject } from './linearizable.ts';

/** A state is its values in the order of the keys. */
function registers(keys: readonly string[], initial: Values): SequentialObject<readonly Value[], Operation> {
  const indexOf = new Map(keys.map((key, i) => [key, i]));
  const at = (key: string): number => indexOf.get(key) as number;
  return {
    initial: keys.map((key) => initial[key] ?? null),
    apply: (state, { reads, writes }) => {
      for (const key in reads) if (state[at(key)] !== reads[key]) return undefined;
      const written = Object.entries(writes);
      if (written.length === 0) return state;
      const next = [...state];
      for (const [key, value] of written) next[at(key)] = value;
      return next;
    },
    keyOf: (state) => JSON.stringify(state),
  };
}

/** What is not linearizable in a history, in words; an empty list if everything is. */
export function linearizabilityProblems(
  history: readonly Operation[],
  options: { readonly initial?: Values; readonly configurationsMax?: number } = {},
): string[] {
  const { initial = {}, ...limits } = options;
  const problems: string[] = [];
  for (const { keys, operations } of objectsOf(history)) {
    const verdict = checkLinearizable(registers(keys, initial), operations, limits);
    if (verdict.kind === 'linearizable') continue;
    const name = keys.join(', ');
    if (verdict.kind === 'undecided') {
      problems.push(`${name}: not decided after ${verdict.configurations} configurations`);
      continue;
    }
    const { order, state, stuck } = verdict;
    const show = (some: readonly Operation[]): string => some.map((one) => `\n    ${describeOperation(one)}`).join('');
    problems.push(
      `${name}: not linearizable; ${order.length} of ${operations.length} operations can be placed, at most up to${show(order.slice(-5))}\n  which leaves ${JSON.stringify(state)}; next would have to be one of${show(stuck)}`,
    );
  }
  return problems;
}

/** Groups of keys that operations touched together, with the operations that can have had an effect. */
function objectsOf(history: readonly Operation[]): { keys: string[]; operations: Operation[] }[] {
  const parents = new Map<string, string>();
  const rootOf = (key: string): string => {
    let root = key;
    for (let up = parents.get(root); up !== undefined && up !== root; up = parents.get(root)) root = up;
    parents.set(key, root);
    return root;
  };
  const effective = history.filter(({ outcome }) => outcome !== 'fail');
  for (const operation of effective) {
    const [first, ...others] = keysOf(operation);
    if (first !== undefined) rootOf(first);
    for (const key of others) parents.set(rootOf(key), rootOf(first as string));
  }
  const objects = new Map<string, { keys: string[]; operations: Operation[] }>();
  const objectOf = (key: string): { keys: string[]; operations: Operation[] } => {
    const root = rootOf(key);
    const object = objects.get(root) ?? { keys: [], operations: [] };
    objects.set(root, object);
    return object;
  };
  for (const key of parents.keys()) objectOf(key).keys.push(key);
  for (const operation of effective) {
    const [first] = keysOf(operation);
    if (first !== undefined) objectOf(first).operations.push(operation);
  }
  return [...objects.values()];
}

function keysOf({ reads, writes }: Operation): string[] {
  return [...new Set([...Object.keys(reads), ...Object.keys(writes)])];
}
