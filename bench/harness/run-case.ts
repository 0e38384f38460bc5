/** Runs a case: round by round, each peer in turn, the first one changing from round to round. */
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { Latencies, type LatencyCounts } from '../../src/cli/replay/latencies.ts';
import { peerNamed } from '../peers/index.ts';
import type { Job, PeerName } from '../peers/peer.ts';
import type { CaseReport, FigureReport, PeerReport } from './report.ts';
import { spreadOf } from './statistics.ts';
import type { Case, Ending, Figure, Outcome, Suite } from './suite.ts';
import { runTrial, type TrialOutcome } from './trial.ts';

export interface CaseOptions {
  readonly rounds: number;
  readonly seed: number;
  /** Where trials get their directories; each is removed after its trial. */
  readonly directory: string;
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
  readonly onProgress: (what: string) => void;
}

/** Throughput and latencies are made of outcomes; these are the quantiles that are told. */
const QUANTILES: readonly (readonly [string, number])[] = [
  ['p50', 0.5],
  ['p99', 0.99],
  ['p99.9', 0.999],
];
const THROUGHPUT: Figure = { unit: '/s', better: 'more', together: 'sum' };
const LATENCY: Figure = { unit: 'µs', better: 'less', together: 'max' };

export async function runCase(suite: Suite, one: Case, options: CaseOptions): Promise<CaseReport> {
  const takings = new Map<PeerName, Takings>();
  const able: PeerName[] = [];
  for (const name of one.peers) {
    const cannot = suite.cannot ?? (await whyNot(name, jobsOf(one)));
    takings.set(name, new Takings(suite, name, cannot));
    if (cannot === undefined) able.push(name);
  }
  const rounds = Math.min(options.rounds, one.roundsMax ?? suite.roundsMax ?? options.rounds);
  for (let round = 0; round < rounds; round++) {
    for (let turn = 0; turn < able.length; turn++) {
      // Whoever comes first in one round does not in the next: what the one before leaves behind (dirty pages) hits each in turn.
      const name = able[(turn + round) % able.length] as PeerName;
      if (round >= (one.peerRoundsMax?.[name] ?? rounds)) continue;
      options.onProgress(`${suite.name}: ${one.name}: ${name}, round ${round + 1} of ${rounds}`);
      const directory = join(options.directory, `${suite.name}-${name}-${round}`);
      mkdirSync(directory, { recursive: true });
      try {
        const outcome = await runTrial({
          suite: suite.name,
          peer: name,
          params: one.params,
          processes: one.processes,
          directory,
          seed: options.seed,
          parts: [...(suite.prepare ? (['prepare'] as const) : []), 'run', ...(suite.check ? (['check'] as const) : [])],
          tender: one.isTended === true ? (await peerNamed(name)).tender?.(directory) : undefined,
          timeoutMs: options.timeoutMs,
          signal: options.signal,
        });
        takings.get(name)?.add(outcome);
      } catch (error) {
        options.signal.throwIfAborted();
        takings.get(name)?.fail(error);
      } finally {
        rmSync(directory, { recursive: true, force: true });
      }
    }
  }
  return {
    name: one.name,
    processes: one.processes,
    params: one.params,
    results: [...takings.values()].map((taken) => taken.report()),
  };
}

const jobsOf = ({ processes, needs = [] }: Case): Job[] => [...needs, ...(processes > 1 ? (['processes'] as const) : [])];

async function whyNot(name: PeerName, jobs: readonly Job[]): Promise<string | undefined> {
  const { cannot } = await peerNamed(name);
  return jobs.map((job) => cannot[job]).find((reason) => reason !== undefined);
}

/** What the trials of one peer give. */
class Takings {
  readonly #suite: Suite;
  readonly #peer: PeerName;
  readonly #cannot: string | undefined;
  readonly #failures: string[] = [];
  readonly #figures = new Map<string, { readonly figure: Figure; readonly rounds: number[] }>();
  readonly #latencies = new Map<string, Latencies>();
  readonly #checksums = new Set<string>();
  readonly #endings: Ending[][] = [];

  constructor(suite: Suite, peer: PeerName, cannot: string | undefined) {
    this.#suite = suite;
    this.#peer = peer;
    this.#cannot = cannot;
  }

  fail(error: unknown): void {
    this.#failures.push(error instanceof Error ? error.message : String(error));
  }

  add({ ran, checked }: TrialOutcome): void {
    const outcomes = [...ran, checked];
    const throughput = throughputOf(ran);
    if (throughput !== undefined) this.#note('throughput', THROUGHPUT, throughput);
    for (const [kind, counts] of latenciesOf(ran)) this.#addLatencies(kind, counts);
    const told = new Set(outcomes.flatMap(({ figures = {} }) => Object.keys(figures)));
    for (const name of told) {
      if (!(name in this.#suite.figures)) throw new Error(`the suite ${this.#suite.name} does not say what its figure ${name} is`);
    }
    for (const [name, figure] of Object.entries(this.#suite.figures)) {
      if (!told.has(name)) continue;
      const values = outcomes.map(({ figures }) => figures?.[name]).filter((value) => value !== undefined);
      this.#note(name, figure, figure.together === 'sum' ? values.reduce((sum, value) => sum + value, 0) : Math.max(...values));
    }
    const endings = ran.map(({ ending }) => ending).filter((ending) => ending !== undefined);
    if (endings.length > 0) this.#endings.push(endings.sort((a, b) => a.seconds - b.seconds));
    for (const { checksum } of outcomes) if (checksum !== undefined) this.#checksums.add(checksum);
  }

  #addLatencies(kind: string, counts: Latencies): void {
    const all = this.#latencies.get(kind) ?? new Latencies();
    this.#latencies.set(kind, all);
    all.merge(counts.toJSON());
    for (const [name, share] of QUANTILES) this.#note(`${kind} ${name}`, LATENCY, counts.quantileMs(share) * 1000);
    this.#note(`${kind} max`, LATENCY, counts.maxMs * 1000);
  }

  #note(name: string, figure: Figure, value: number): void {
    const noted = this.#figures.get(name) ?? { figure, rounds: [] };
    this.#figures.set(name, noted);
    noted.rounds.push(value);
  }

  report(): PeerReport {
    const figures: Record<string, FigureReport> = {};
    for (const [name, { figure, rounds }] of this.#figures) {
      figures[name] = { unit: figure.unit, better: figure.better, ...spreadOf(rounds), rounds };
    }
    const latencies: Record<string, LatencyCounts> = {};
    for (const [kind, counts] of this.#latencies) latencies[kind] = counts.toJSON();
    const [checksum, other] = this.#checksums;
    const failures =
      other === undefined ? this.#failures : [...this.#failures, `read back differently from round to round: ${checksum}, ${other}`];
    return {
      peer: this.#peer,
      ...(this.#cannot === undefined ? {} : { cannot: this.#cannot }),
      failures,
      figures,
      latencies,
      ...(this.#endings.length === 0 ? {} : { endings: this.#endings }),
      ...(checksum === undefined ? {} : { checksum }),
    };
  }
}

/** All that was done, over the time from the first start to the last end. */
function throughputOf(outcomes: readonly Outcome[]): number | undefined {
  const timed = outcomes.filter(({ operations, span }) => operations !== undefined && span !== undefined);
  if (timed.length === 0) return undefined;
  const fromMs = Math.min(...timed.map(({ span }) => span?.fromMs ?? Number.NaN));
  const toMs = Math.max(...timed.map(({ span }) => span?.toMs ?? Number.NaN));
  return timed.reduce((sum, { operations = 0 }) => sum + operations, 0) / ((toMs - fromMs) / 1000);
}

function latenciesOf(outcomes: readonly Outcome[]): Map<string, Latencies> {
  const merged = new Map<string, Latencies>();
  for (const { latencies = {} } of outcomes) {
    for (const [kind, counts] of Object.entries(latencies)) {
      const all = merged.get(kind) ?? new Latencies();
      merged.set(kind, all);
      all.merge(counts);
    }
  }
  return merged;
}
