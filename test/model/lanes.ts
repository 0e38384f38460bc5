/**
 * A model of the segments and roots of a namespace: rules A1 to A13. Blind writes, last writer wins.
 *
 * Who acts: writers, each with a list of puts and deletes, which may stall between any two steps and stop for ever; compactors; a zombie,
 * that is one which slept so long that the number of its root was used and deleted; who deletes what roots allow; one reader that
 * reads again and again. In `framed` a segment is a folder of objects, which are deleted one by one, may be missed by a listing that runs
 * while they are put, and may come again after they were deleted.
 *
 * What is checked in every state: what is visible is at least the newest write that took effect, that is, was acknowledged, absorbed,
 * or shown by a read (nothing at all is right if that was a delete); what its writer holds for dead has not taken effect; a read returns at
 * least what had taken effect when it began; a process that has read a write makes only newer ones. `finished`: from every state everyone can
 * still come to an end.
 *
 * Reductions, and why they lose nothing:
 * - One compactor stands for all: see lanes-compactor.ts. What an old root allows to delete, the newest allows, too.
 * - What a real root does at once (absorbs, drains, forgets, drops a tombstone), here several roots do one after the other. One root for all
 *   is the same as roots between which nobody looks, but for the bound on their number.
 * - A frame is there or not: tears, damage, and what a power cut takes are left out.
 * - Files of segments are listed at one moment: a name that comes or goes meanwhile may be listed or not, which is an earlier or a later
 *   moment for this name; and with more than one, each is judged by its own.
 * - A writer that gives up and one that never goes on again are the same.
 * - Validation is that of rule A13, which lets through more than the code does: that starts over for any newer root.
 * - Deleted roots are kept in a state only if somebody might still get one.
 * - Of the ghosts, what can't matter any more is left out (`canonical`).
 */
import { type Model, modelOf } from './explore.ts';
import { compactorSteps, zombieSteps } from './lanes-compactor.ts';
import { readerSteps } from './lanes-reader.ts';
import {
  deletes,
  IDLE_READER,
  IDLE_ZOMBIE,
  type LanesOptions,
  newestOf,
  type Root,
  Rules,
  type State,
  type To,
  textOf,
  visible,
  type Write,
  type Writer,
} from './lanes-state.ts';
import { NEW_WRITER, writerSteps } from './lanes-writers.ts';

export function lanes(options: LanesOptions): Model<State> {
  return modelOf('lanes', new Lanes(options), { live: options.live === true });
}

const ROOT_0: Root = { number: 0, horizon: 0, drain: 0, forgot: 0, base: 0, baseAt: 0, absorbed: [], maxStamp: 0, dropFloor: 0 };

class Lanes {
  readonly #rules: Rules;

  constructor(options: LanesOptions) {
    this.#rules = new Rules(options);
  }

  initial(): State {
    return {
      roots: [ROOT_0],
      segments: [],
      begun: undefined,
      snap: undefined,
      writers: this.#rules.options.writers.map(() => NEW_WRITER),
      reader: IDLE_READER,
      zombie: IDLE_ZOMBIE,
      deleted: [],
      duplicates: this.#rules.options.duplicates ?? 0,
      effective: [],
      dead: [],
      bad: '',
    };
  }

  steps(state: State, to: To): void {
    const rules = this.#rules;
    const next: To = (label, after) => to(label, this.#canonical(after));
    writerSteps(rules, state, next);
    compactorSteps(rules, state, next);
    if (rules.options.reader === true) readerSteps(rules, state, next);
    if (rules.options.zombie === true) zombieSteps(rules, state, next);
  }

  /** Without what can't make a difference any more. */
  #canonical(state: State): State {
    const writers = state.writers.map((writer) => this.#canonicalWriter(writer));
    const newest = state.effective.at(-1);
    const newestDelete = state.effective.findLast(deletes);
    const effective = state.effective.filter(
      (write) => write === newest || write === newestDelete || writers.some((writer) => writer.write === write),
    );
    return { ...state, writers, effective, dead: state.dead.filter((write) => mayComeBack(state, write)) };
  }

  #canonicalWriter(writer: Writer): Writer {
    const { pc, sealed, retries, segment, count } = writer;
    const retriesMax = this.#rules.options.retries ?? 1;
    if (pc === 'ended' || (pc === 'dead' && retries >= retriesMax) || (pc === 'done' && (sealed || count === 0)))
      return { ...NEW_WRITER, pc: 'ended' };
    // Only its seal may still come.
    return pc === 'done' ? { ...NEW_WRITER, pc, segment, count } : writer;
  }

  violation(state: State): string | undefined {
    if (state.bad !== '') return state.bad;
    const revived = state.dead.find((write) => state.effective.includes(write));
    if (revived !== undefined) return `${textOf(revived)} was judged dead, and took effect`;
    const newest = state.effective.at(-1) ?? 0;
    const shown = visible(state);
    if (shown === 0 && newest !== 0 && !deletes(newest)) return `${textOf(newest)} is lost`;
    if (shown !== 0 && shown < newest) return `${textOf(newest)} is undone: ${textOf(shown)} shows`;
    return this.#judgeRead(state);
  }

  #judgeRead({ reader, effective }: State): string | undefined {
    const { pc, need, best } = reader;
    if (pc !== 'returns' || best >= need) return undefined;
    const isDropped = deletes(need) || effective.some((write) => deletes(write) && write > need);
    return best === 0 && isDropped ? undefined : `a read returned ${textOf(best)}, and missed ${textOf(need)}`;
  }

  finished(state: State): boolean {
    const { writers, reader, zombie } = state;
    const { number, drain, horizon } = newestOf(state);
    // Whoever waits for a drain, waits for a root beyond the bounds.
    if (number >= this.#rules.options.roots && drain > horizon) return true;
    return isOver(reader.pc) && isOver(zombie.pc) && writers.every(({ pc }) => pc === 'done' || isOver(pc));
  }
}

function isOver(pc: string): boolean {
  return pc === 'idle' || pc === 'ended';
}

/** Whether a dead write is still where somebody might find it. */
function mayComeBack({ segments, reader, effective, deleted }: State, write: Write): boolean {
  return (
    effective.includes(write) ||
    reader.best === write ||
    segments.some(({ frames }) => frames.includes(write)) ||
    deleted.some((object) => object.write === write)
  );
}
