/**
 * The lock table of the product: every site where it acquires a lock, with what that lock guards and why, and beside it what traces
 * tell of its waits and holds. A trace of an older or newer release may name sites that this one does not know: they get rows of their own.
 */
import type { LockSite } from './lock-sites.ts';
import { parseTraceLine, type Smell, type TraceRecord } from './trace-record.ts';

/** `long`: held for longer than was asked about. The others were seen while it was held. */
export type AuditSmell = Smell | 'long';

export interface AuditOptions {
  readonly sites: readonly LockSite[];
  /** What counts as a long hold. Default: 1,000, and only where a lock is not meant to be held for as long as some work takes. */
  readonly longMs?: number | undefined;
}

/** By nearest rank. */
export interface Quantiles {
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
}

export interface AuditFigures {
  /** Attempts, whatever came of them. */
  readonly count: number;
  /** How often each outcome came: see `TraceRecord.outcome`. */
  readonly outcomes: Readonly<Record<string, number>>;
  /** Undefined where nothing was traced, as the next one where nothing was held. */
  readonly waitMs: Quantiles | undefined;
  readonly holdMs: Quantiles | undefined;
  /** Holds that smell so; only those that there were. */
  readonly smells: Readonly<Partial<Record<AuditSmell, number>>>;
}

export interface AuditRow extends AuditFigures {
  readonly site: LockSite;
  readonly isRegistered: boolean;
  /** By where programs asked for it, the most frequent first; nothing for locks that the engine takes by itself. */
  readonly callSites: readonly (AuditFigures & { readonly callSite: string })[];
}

const LONG_MS = 1000;

export class LockAudit {
  readonly #longMs: number | undefined;
  readonly #sites = new Map<string, TracedSite>();
  /** Lines of which something was made, and lines that were none of a trace's. */
  lines = 0;
  skipped = 0;

  constructor(options: AuditOptions) {
    this.#longMs = options.longMs;
    for (const site of options.sites) this.#add(site, true);
  }

  addLine(line: string): void {
    if (line.trim() === '') return;
    const record = parseTraceLine(line);
    if (record === undefined) {
      this.skip();
      return;
    }
    this.lines++;
    this.#add(foreignSite(record), false).add(record);
  }

  /** A line that is known to be none of a trace's. */
  skip(): void {
    this.skipped++;
  }

  /** The registered sites in their order, then the others. */
  rows(): AuditRow[] {
    return [...this.#sites.values()].map(({ site, isRegistered, figures, callSites }) => ({
      site,
      isRegistered,
      ...figures.summary(),
      callSites: [...callSites]
        .map(([callSite, own]) => ({ callSite, ...own.summary() }))
        .sort((a, b) => b.count - a.count || (a.callSite < b.callSite ? -1 : 1)),
    }));
  }

  #add(site: LockSite, isRegistered: boolean): TracedSite {
    let traced = this.#sites.get(site.id);
    if (traced === undefined) {
      traced = new TracedSite({ site, isRegistered, longMs: this.#longMs ?? (isShort(site) ? LONG_MS : Number.POSITIVE_INFINITY) });
      this.#sites.set(site.id, traced);
    }
    return traced;
  }
}

/** Nobody should wait long for a stripe. The other locks are held for as long as a caller's work, or a compactor, takes. */
function isShort({ kind }: LockSite): boolean {
  return kind === 'stripe';
}

function foreignSite({ site, mode }: TraceRecord): LockSite {
  return { id: site, kind: 'user', mode: mode === 'shared' ? 'shared' : 'exclusive', guards: 'not registered in this release', why: '' };
}

class TracedSite {
  readonly site: LockSite;
  readonly isRegistered: boolean;
  readonly figures: Figures;
  readonly callSites = new Map<string, Figures>();
  readonly #longMs: number;

  constructor(options: { site: LockSite; isRegistered: boolean; longMs: number }) {
    this.site = options.site;
    this.isRegistered = options.isRegistered;
    this.#longMs = options.longMs;
    this.figures = new Figures(options.longMs);
  }

  add(record: TraceRecord): void {
    this.figures.add(record);
    if (record.callSite === null) return;
    let own = this.callSites.get(record.callSite);
    if (own === undefined) {
      own = new Figures(this.#longMs);
      this.callSites.set(record.callSite, own);
    }
    own.add(record);
  }
}

class Figures {
  readonly #longMs: number;
  readonly #waitsMs: number[] = [];
  readonly #holdsMs: number[] = [];
  readonly #outcomes = new Map<string, number>();
  readonly #smells = new Map<AuditSmell, number>();

  constructor(longMs: number) {
    this.#longMs = longMs;
  }

  add({ outcome, waitMs, holdMs, smells }: TraceRecord): void {
    this.#waitsMs.push(waitMs);
    countUp(this.#outcomes, outcome);
    for (const smell of smells) countUp(this.#smells, smell);
    if (holdMs === null) return;
    this.#holdsMs.push(holdMs);
    if (holdMs > this.#longMs) countUp(this.#smells, 'long');
  }

  summary(): AuditFigures {
    return {
      count: this.#waitsMs.length,
      outcomes: Object.fromEntries(this.#outcomes),
      waitMs: quantiles(this.#waitsMs),
      holdMs: quantiles(this.#holdsMs),
      smells: Object.fromEntries(this.#smells),
    };
  }
}

function countUp<K>(counts: Map<K, number>, key: K): void {
  counts.set(key, (counts.get(key) ?? 0) + 1);
}

function quantiles(values: readonly number[]): Quantiles | undefined {
  if (values.length === 0) return undefined;
  const sorted = [...values].sort((a, b) => a - b);
  const at = (share: number): number => sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] as number;
  return { p50: at(0.5), p99: at(0.99), max: at(1) };
}
