/**
 * Notes what a process does to a store, each step in its file `<directory>/<client>.history` before the next one (`history.ts` says how it is
 * read). Plain JavaScript, since the processes that tests start use it.
 */
import { openSync, writeSync } from 'node:fs';
import { join } from 'node:path';

/**
 * @typedef {import('./history.ts').HistoryLine} HistoryLine
 * @typedef {import('./history.ts').Details} Details
 * @typedef {{ reads?: Record<string, string | null>, writes?: Record<string, string | null>, details?: Details }} Effect
 * @typedef {Effect & { stamp?: string | undefined }} Seen
 */

/** Codes that say that an operation had no effect. */
export const NO_EFFECT = ['LOCK_TIMEOUT', 'UPDATE_TIMEOUT', 'TEMPORARY', 'SNAPSHOT_EXPIRED'];

/** CLOCK_MONOTONIC in nanoseconds: the processes of a machine share it. */
const now = () => Number(process.hrtime.bigint());

export class Recorder {
  #file = -1;
  #noted = 0;

  /** @param {{ histories?: string | undefined, client: string }} options without a directory nothing can be noted */
  constructor({ histories, client }) {
    if (histories !== undefined) this.#file = openSync(join(histories, `${client}.history`), 'ax');
  }

  /** @param {HistoryLine} line */
  #note(line) {
    writeSync(this.#file, `${JSON.stringify(line)}\n`);
  }

  /**
   * Runs an operation. What it throws is noted, and is the caller's if nobody expects it.
   *
   * @param {string} what
   * @param {(id: string, attempt: (effect: Effect) => void) => Promise<Seen>} run
   * @param {(id: string) => Effect} [effect] if it is known before
   * @returns {Promise<{ id: string, isOk: boolean }>}
   */
  async operation(what, run, effect = () => ({})) {
    const id = String(this.#noted++);
    this.#note({ step: 'invoke', id, at: now(), what, ...effect(id) });
    try {
      const seen = await run(id, (tried) => this.#note({ step: 'try', id, ...tried }));
      this.#note({ step: 'ok', id, at: now(), .../** @type {{ stamp?: string }} */ (seen) });
      return { id, isOk: true };
    } catch (error) {
      const code = /** @type {{ code?: string }} */ (error).code ?? String(error);
      this.#note({ step: NO_EFFECT.includes(code) ? 'fail' : 'unknown', id, at: now(), code });
      if (!NO_EFFECT.includes(code) && code !== 'OUTCOME_UNKNOWN') throw error;
      return { id, isOk: false };
    }
  }

  /** Notes what was learnt at one moment. @param {string} what @param {Effect} effect */
  moment(what, effect) {
    const id = String(this.#noted++);
    const at = now();
    this.#note({ step: 'invoke', id, at, what, ...effect });
    this.#note({ step: 'ok', id, at });
  }
}
