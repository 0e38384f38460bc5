/** What the parts of a verification share: the store, where findings go, and how far it is. */
import { isPeatError, PeatError } from '../base/errors.ts';
import type { System } from '../base/system.ts';
import type { StoreConstants } from '../format/store-file.ts';
import type { ByteRange, Medium } from '../medium/medium.ts';
import type { Findings } from './finding.ts';

export interface VerifyProgress {
  readonly part: 'roots' | 'tables' | 'log' | 'locks';
  readonly namespace: string;
  readonly bytes: number;
  readonly files: number;
}

/** What was found in a namespace, for people and for comparing copies. */
export interface NamespaceCensus {
  readonly namespace: string;
  readonly root: number | undefined;
  readonly state: 'live' | 'dropped' | 'unreadable' | 'none';
  readonly roots: number;
  readonly shards: number;
  readonly tables: number;
  /** Entries in the tables of the newest root. */
  readonly entries: number;
  readonly segments: number;
  /** Of the log beyond what the root has absorbed. */
  readonly tailFrames: number;
  readonly tailDeltas: number;
  readonly tornBytes: number;
  /** Files of read-modify-write records. */
  readonly records: number;
  /** Of these, those that the root has not absorbed, and their deltas. */
  readonly tailRecords: number;
  readonly recordDeltas: number;
}

export interface VerifyContext {
  readonly medium: Medium;
  readonly system: System;
  readonly constants: StoreConstants;
  readonly findings: Findings;
  readonly signal: AbortSignal | undefined;
  readonly meter: Meter;
}

export class Meter {
  bytes = 0;
  files = 0;
  readonly #onProgress: (progress: VerifyProgress) => void;
  #part: VerifyProgress['part'] = 'roots';
  #namespace = '';

  constructor(onProgress: (progress: VerifyProgress) => void) {
    this.#onProgress = onProgress;
  }

  begin(part: VerifyProgress['part'], namespace: string): void {
    this.#part = part;
    this.#namespace = namespace;
  }

  count(bytes: number): void {
    this.bytes += bytes;
    this.files++;
    this.#onProgress({ part: this.#part, namespace: this.#namespace, bytes: this.bytes, files: this.files });
  }
}

/** The code of a finding that says nothing of the bytes: the medium could not read them. */
export const UNREADABLE = 'unreadable';

/** The bytes of an object; undefined if it is not there, or can't be read, which is reported. */
export async function readObject(
  { medium, findings, signal, meter }: Pick<VerifyContext, 'medium' | 'findings' | 'signal' | 'meter'>,
  name: string,
  range?: ByteRange,
): Promise<Buffer | 'absent' | 'unreadable'> {
  signal?.throwIfAborted();
  try {
    const bytes = await medium.get(name, range);
    meter.count(bytes?.length ?? 0);
    return bytes ?? 'absent';
  } catch (error) {
    if (!(error instanceof PeatError) || !isPeatError(error, 'STORAGE')) throw error;
    findings.add({
      severity: 'damage',
      code: UNREADABLE,
      file: name,
      ...(range === undefined ? {} : { offset: range.offset }),
      what: `the medium can't read it: ${error.message}`,
      meaning: 'the storage itself fails; what stands in the file may be lost',
      action: 'check the disk; then peat repair, or restore a backup',
    });
    return 'unreadable';
  }
}
