/** `peat.json`: what all processes that share a store must agree on. Written once, by whoever creates the store. */
import { corrupt } from '../base/errors.ts';
import { decodeCheckedJson } from './checked-json.ts';
import { checkFeatures, FORMAT_VERSION, LOCK_DIR_FEATURE } from './features.ts';
import { STORE_FILE } from './layout.ts';

/** Constants of the protocol; they live in the store and never in a process's options. */
export interface StoreConstants {
  /** How long what a root names stays readable after a newer root dropped it. */
  readonly retentionMs: number;
  /** How long after its expiry a put stays in the tables. */
  readonly graceMs: number;
  /** A drain starts only at roots of this age, in time and in numbers. */
  readonly drainAgeMs: number;
  readonly drainAgeRoots: number;
  /** Roots older than the newest this many may go, once they are `retentionMs` old. */
  readonly rootsKept: number;
  /** Age of the root on which the deletion of a segment may rest. */
  readonly segmentGraceMs: number;
  /** How many read-modify-write slots a namespace has, and how keys are spread over them. */
  readonly stripes: number;
  readonly stripeHash: 'murmur3-32';
}

export const DEFAULT_CONSTANTS: StoreConstants = {
  retentionMs: 15 * 60_000,
  graceMs: 5 * 60_000,
  drainAgeMs: 15 * 60_000,
  drainAgeRoots: 64,
  rootsKept: 64,
  segmentGraceMs: 60_000,
  stripes: 64,
  stripeHash: 'murmur3-32',
};

export interface StoreFile {
  readonly format: number;
  readonly storeId: string;
  readonly readerFeatures: readonly string[];
  readonly writerFeatures: readonly string[];
  /** Whether writers append to a file or publish each group of frames as an object. */
  readonly segments: 'appended' | 'framed';
  readonly fileMode?: number;
  readonly directoryMode?: number;
  readonly group?: number;
  /** Declares that processes of one host only use the store. */
  readonly singleHost?: boolean;
  /** Where lock files are, under `<lockDir>/<storeId>/`; an absolute path. Without it they are in the store. Only with `singleHost`. */
  readonly lockDir?: string;
  readonly constants: StoreConstants;
  readonly probed: Readonly<Record<string, unknown>>;
  readonly createdAtMs: number;
}

export function newStoreFile(facts: Omit<StoreFile, 'format' | 'readerFeatures' | 'writerFeatures'>): StoreFile {
  // A release that doesn't know of it would lock in another place.
  const writerFeatures = facts.lockDir === undefined ? [] : [LOCK_DIR_FEATURE];
  return { format: FORMAT_VERSION, readerFeatures: [], writerFeatures, ...facts };
}

/** @throws PeatError `CORRUPT` or `UNSUPPORTED_VERSION`. */
export function decodeStoreFile(bytes: Buffer): StoreFile {
  const json = decodeCheckedJson(bytes, STORE_FILE) as StoreFile | null;
  if (typeof json?.storeId !== 'string') throw corrupt(STORE_FILE, 0, 'it describes no store');
  checkFeatures(json, STORE_FILE);
  const constants = new Map<string, unknown>(Object.entries(json.constants ?? {}));
  for (const [name, value] of Object.entries(DEFAULT_CONSTANTS)) {
    // All that this release counts with; what a later one has besides is behind a feature.
    const given = constants.get(name);
    if (typeof given !== typeof value || (typeof given === 'number' && !(given >= 0))) throw corrupt(STORE_FILE, 0, `it has no ${name}`);
  }
  return json;
}
