/** What an actor tells the director now and then: latencies, failures, memory. */

/** A message of an actor. */
export interface Report {
  /** Milliseconds of each operation since the last report, by kind. */
  readonly latencies: Readonly<Record<string, readonly number[]>>;
  /** Failures, and answers that can't be true. */
  readonly problems: readonly string[];
}

export class Telemetry {
  #latencies: Record<string, number[]> = {};
  #problems: string[] = [];

  /** Times an operation. */
  async time<T>(kind: string, operation: () => Promise<T>): Promise<T> {
    const startMs = performance.now();
    const result = await operation();
    this.#latencies[kind] ??= [];
    this.#latencies[kind].push(performance.now() - startMs);
    return result;
  }

  /** Notes what must not be. */
  problem(text: string): void {
    this.#problems.push(text);
  }

  expect(isTrue: boolean, text: () => string): void {
    if (!isTrue) this.problem(text());
  }

  /** Everything since the last call. */
  take(): Report {
    const report = { latencies: this.#latencies, problems: this.#problems };
    this.#latencies = {};
    this.#problems = [];
    return report;
  }
}
