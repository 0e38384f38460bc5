/** The options of `npm run bench`. */
import { tmpdir } from 'node:os';
import { parseArgs } from 'node:util';
import { PEERS, type PeerName } from '../peers/peer.ts';
import { SUITES } from '../suites/index.ts';
import type { Scale } from './suite.ts';

export interface BenchOptions {
  readonly suites: readonly string[];
  /** Only cases whose names contain it. */
  readonly caseText: string | undefined;
  /** Only these. */
  readonly peers: readonly PeerName[] | undefined;
  readonly scale: Scale;
  readonly rounds: number;
  readonly seed: number;
  /** For a trial. */
  readonly timeoutMs: number;
  /** Where the reports go. */
  readonly out: string | undefined;
  /** Where the stores are made: what is measured is this file system. */
  readonly dir: string;
  readonly json: boolean;
}

const SCALES: readonly Scale[] = ['smoke', 'small', 'full'];
const ROUNDS: Readonly<Record<Scale, number>> = { smoke: 1, small: 3, full: 5 };

/** @throws RangeError that shows the value. */
export function benchOptions(args: readonly string[] = process.argv.slice(2)): BenchOptions {
  const { values } = parseArgs({
    args: [...args],
    options: {
      suite: { type: 'string', multiple: true, default: [] },
      case: { type: 'string' },
      peers: { type: 'string' },
      scale: { type: 'string', default: 'small' },
      rounds: { type: 'string' },
      seed: { type: 'string', default: '1' },
      timeout: { type: 'string', default: '600' },
      out: { type: 'string' },
      dir: { type: 'string', default: tmpdir() },
      json: { type: 'boolean', default: false },
    },
  });
  const scale = oneOf('--scale', values.scale, SCALES);
  const asked = values.suite.flatMap((names) => names.split(',')).map((name) => oneOf('--suite', name, SUITES));
  return {
    suites: asked.length === 0 ? SUITES : asked,
    caseText: values.case,
    peers: values.peers?.split(',').map((name) => oneOf('--peers', name, PEERS)),
    scale,
    rounds: values.rounds === undefined ? ROUNDS[scale] : wholeNumber('--rounds', values.rounds, 1),
    seed: wholeNumber('--seed', values.seed, 0),
    timeoutMs: wholeNumber('--timeout', values.timeout, 1) * 1000,
    out: values.out,
    dir: values.dir,
    json: values.json,
  };
}

function oneOf<T extends string>(option: string, value: string, known: readonly T[]): T {
  const found = known.find((one) => one === value);
  if (found === undefined) throw new RangeError(`${option} must be one of ${known.join(', ')}, got ${JSON.stringify(value)}`);
  return found;
}

function wholeNumber(option: string, text: string, least: number): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < least)
    throw new RangeError(`${option} must be a whole number from ${least}, got ${JSON.stringify(text)}`);
  return value;
}
