/**
 * Looks for endless runs of a structural model in which somebody waits for ever. `explore.ts` tells that nobody is ever trapped; this
 * tells that nobody can be passed over without end.
 *
 * A run counts if it is weakly fair: a process that could go on from some point on at all times does so. It ends up in a
 * strongly connected part of the graph, in which each process moves, or is idle or can't move somewhere. So the question is
 * whether there is such a part in which the one that waits does nothing but wait. Graphs here are small: a state's key is its JSON.
 */
import type { State, StructuralModel } from './structural.ts';

export interface Fairness {
  readonly states: number;
  /** True if there is a fair run in which from some point on nobody holds, although somebody wants to. */
  readonly livelock: boolean;
  /** Who may wait for ever in a fair run. */
  readonly starving: readonly string[];
}

/** Deaths are no part of an endless run: there are only so many. */
export function fairness(model: StructuralModel): Fairness {
  const graph = graphOf(model);
  const { processes } = model;
  const situation = (at: number, who: string): string => model.situation(graph.states[at] as State, who);
  const isIdle = (at: number): boolean => processes.every((who) => situation(at, who) === 'idle');
  const nobodyHolds = (at: number): boolean => !isIdle(at) && processes.every((who) => situation(at, who) !== 'holds');
  const has = (keep: (at: number) => boolean): boolean => components(graph, keep).some((component) => isFair(model, graph, component));
  return {
    states: graph.states.length,
    livelock: has(nobodyHolds),
    starving: processes.filter((who) => has((at) => situation(at, who) === 'busy')),
  };
}

interface Edge {
  readonly who: string;
  readonly to: number;
}

interface Graph {
  readonly states: readonly State[];
  readonly edges: readonly (readonly Edge[])[];
}

function graphOf(model: StructuralModel): Graph {
  const numbers = new Map<string, number>([[JSON.stringify(model.initial), 0]]);
  const states: State[] = [model.initial];
  const edges: Edge[][] = [];
  for (let at = 0; at < states.length; at++) {
    const out: Edge[] = [];
    model.stepsOf(states[at] as State, (who, _label, next) => {
      const key = JSON.stringify(next);
      let number = numbers.get(key);
      if (number === undefined) {
        number = states.length;
        numbers.set(key, number);
        states.push(next);
      }
      if (who !== 'death') out.push({ who, to: number });
    });
    edges.push(out);
  }
  return { states, edges };
}

function isFair(model: StructuralModel, { states, edges }: Graph, component: ReadonlySet<number>): boolean {
  const moving = new Set<string>();
  for (const at of component) for (const edge of edges[at] ?? []) if (component.has(edge.to)) moving.add(edge.who);
  if (moving.size === 0) return false;
  return model.processes.every((who) => {
    if (moving.has(who)) return true;
    for (const at of component) {
      // Nobody is bound to begin; the thief is bound to take what it can.
      if (who !== 'thief' && model.situation(states[at] as State, who) === 'idle') return true;
      if (!edges[at]?.some((edge) => edge.who === who)) return true;
    }
    return false;
  });
}

/** The strongly connected components of the part of the graph that `keep` keeps (Tarjan's algorithm, without recursion). */
function components({ states, edges }: Graph, keep: (at: number) => boolean): Set<number>[] {
  const kept = states.map((_, at) => keep(at));
  const index = new Int32Array(states.length).fill(-1);
  const low = new Int32Array(states.length);
  const isOpen = new Uint8Array(states.length);
  const open: number[] = [];
  const found: Set<number>[] = [];
  let count = 0;
  const enter = (at: number, work: { at: number; edge: number }[]): void => {
    index[at] = low[at] = count++;
    open.push(at);
    isOpen[at] = 1;
    work.push({ at, edge: 0 });
  };
  for (let root = 0; root < states.length; root++) {
    if (!kept[root] || index[root] !== -1) continue;
    const work: { at: number; edge: number }[] = [];
    enter(root, work);
    for (let top = work.at(-1); top !== undefined; top = work.at(-1)) {
      const { at } = top;
      const edge = edges[at]?.[top.edge++];
      if (edge !== undefined) {
        if (!kept[edge.to]) continue;
        if (index[edge.to] === -1) enter(edge.to, work);
        else if (isOpen[edge.to] === 1) low[at] = Math.min(low[at] as number, index[edge.to] as number);
        continue;
      }
      work.pop();
      const below = work.at(-1);
      if (below !== undefined) low[below.at] = Math.min(low[below.at] as number, low[at] as number);
      if (low[at] !== index[at]) continue;
      const component = new Set<number>();
      for (let member = open.pop(); member !== undefined; member = open.pop()) {
        isOpen[member] = 0;
        component.add(member);
        if (member === at) break;
      }
      found.push(component);
    }
  }
  return found;
}
