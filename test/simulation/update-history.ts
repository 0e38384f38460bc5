/**
 * What was read and written of keys that are updated, as operations for the checker of linearizability. Each value is written once, so that
 * what was read tells by whom.
 */
import type { Operation, Value } from '../support/history.ts';
import { linearizabilityProblems } from '../support/linearizable-registers.ts';

export interface Draft {
  readonly id: string;
  readonly client: string;
  readonly what: string;
  readonly invokedAt: number;
  endedAt: number;
  outcome: Operation['outcome'];
  code: string | undefined;
  reads: Record<string, Value>;
  writes: Record<string, Value>;
}

/** Enough for what the scenarios make; what is not decided by then is counted, and taken for sound. */
const CONFIGURATIONS_MAX = 200_000;

export class UpdateHistory {
  readonly #drafts: Draft[] = [];
  readonly #writers = new Map<string, Draft>();

  get size(): number {
    return this.#drafts.length;
  }

  begin(client: string, what: string, invokedAt: number): Draft {
    const draft: Draft = {
      id: `${what}-${this.#drafts.length}`,
      client,
      what,
      invokedAt,
      endedAt: Number.POSITIVE_INFINITY,
      outcome: 'unknown',
      code: undefined,
      reads: {},
      writes: {},
    };
    this.#drafts.push(draft);
    return draft;
  }

  /** What an operation would write if it took effect now. */
  tries(draft: Draft, { reads, writes }: Pick<Draft, 'reads' | 'writes'>): void {
    draft.reads = reads;
    draft.writes = writes;
    for (const value of Object.values(writes)) if (value !== null) this.#writers.set(value, draft);
  }

  /** Reads that showed what no one was told yet say nothing about what is there after a power cut. */
  powerCut(): void {
    for (let i = this.#drafts.length - 1; i >= 0; i--) {
      const { outcome, reads, writes } = this.#drafts[i] as Draft;
      if (outcome !== 'ok' || Object.keys(writes).length > 0) continue;
      const isLasting = (value: Value): boolean => value === null || this.#writers.get(value)?.outcome === 'ok';
      if (!Object.values(reads).every(isLasting)) this.#drafts.splice(i, 1);
    }
  }

  /** Values that were read, and written by nobody, or by one who was told that it had failed. */
  check(): { problems: string[]; undecided: number } {
    const problems: string[] = [];
    for (const { id, reads, outcome } of this.#drafts) {
      if (outcome !== 'ok') continue;
      for (const [key, value] of Object.entries(reads)) {
        if (value === null) continue;
        const writer = this.#writers.get(value);
        if (writer === undefined) problems.push(`${id} read ${value} at ${key}, which nobody wrote`);
        else if (writer.outcome === 'fail')
          problems.push(`${id} read ${value} at ${key}, of ${writer.id}, which failed with ${writer.code}`);
      }
    }
    if (problems.length > 0) return { problems, undecided: 0 };
    const history = this.#drafts.map((draft): Operation => ({ ...draft, endedAt: draft.outcome === 'ok' ? draft.endedAt : Infinity }));
    const found = linearizabilityProblems(history, { configurationsMax: CONFIGURATIONS_MAX });
    const undecided = found.filter((problem) => problem.includes(': not decided after'));
    return { problems: found.filter((problem) => !undecided.includes(problem)), undecided: undecided.length };
  }
}
