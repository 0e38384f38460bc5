/**
 * The time of a medium across a network, as far as the dates of its answers tell it. Nothing is sent for it.
 *
 * It goes on by the difference between each answer's date and that of the answer before, in whichever direction: so the time between
 * two answers is never shown shorter than their dates are apart. A clock that is set back, and an old answer that comes late, look
 * like time that has passed, which at worst costs a look too many.
 */
export class MediumTime {
  #lastDateMs: number | undefined;
  #passedMs = 0;
  #firstDateMs = 0;
  #isTold = false;

  /** An answer has come. Undefined if that told no date; then the time is not known until one does. */
  note(dateMs: number | undefined): number | undefined {
    this.#isTold = dateMs !== undefined && Number.isFinite(dateMs);
    if (dateMs === undefined || !Number.isFinite(dateMs)) return undefined;
    if (this.#lastDateMs === undefined) this.#firstDateMs = dateMs;
    else this.#passedMs += Math.abs(dateMs - this.#lastDateMs);
    this.#lastDateMs = dateMs;
    return this.lastAnsweredAtMs();
  }

  /** The medium's time at the latest answer, as milliseconds since 1970 were there no steps back. */
  lastAnsweredAtMs(): number | undefined {
    return this.#isTold ? this.#firstDateMs + this.#passedMs : undefined;
  }
}
