/** What `peat verify` has to say about a file: where, what, what it means, and what to do. */

/**
 * `damage`: bytes or files are not what was written. `warning`: nothing is lost, but someone should look. `info`: the normal
 * traces of a store that is in use, or of processes that died.
 */
export type Severity = 'damage' | 'warning' | 'info';

export interface Finding {
  readonly severity: Severity;
  /** Stable, for programs: `root-damaged`, `block-damaged`, `torn-tail` ... */
  readonly code: string;
  /** Name within the store. */
  readonly file: string;
  readonly offset?: number;
  /** How many bytes are concerned. */
  readonly bytes?: number;
  readonly what: string;
  readonly meaning: string;
  readonly action: string;
}

/** Receives findings as they come, and counts them. */
export class Findings {
  readonly counts: Record<Severity, number> = { damage: 0, warning: 0, info: 0 };
  readonly #onFinding: (finding: Finding) => void;

  constructor(onFinding: (finding: Finding) => void) {
    this.#onFinding = onFinding;
  }

  add(finding: Finding): void {
    this.counts[finding.severity]++;
    this.#onFinding(finding);
  }
}

/** One finding as a paragraph for people. */
export function findingText(finding: Finding): string {
  const { severity, file, offset, what, meaning, action } = finding;
  const place = offset === undefined ? file : `${file} at byte ${offset}`;
  return `${severity}: ${place}: ${what}\n  means: ${meaning}\n  do: ${action}`;
}
