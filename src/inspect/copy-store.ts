/**
 * Copies a store: `peat backup` and `peat restore` are the same copy, made while others write.
 *
 * Order of the steps: the target must be empty → namespaces, one after the other → `peat.json` → a verification of the copy. `peat.json` is
 * written last, so what an interrupted copy leaves is no store. The copy has the source's constants and an id of its own: it is
 * another store, and what was noted of the one (append tokens, watch tokens) must not be taken for the other's.
 *
 * Each namespace is as it was at one time, which is not the same time for all of them.
 */
import { PeatError } from '../base/errors.ts';
import { randomId, type System } from '../base/system.ts';
import { encodeCheckedJson } from '../format/checked-json-encode.ts';
import { LOCK_DIR_FEATURE } from '../format/features.ts';
import { NAMESPACES_PREFIX, namespaceLayout, STORE_FILE } from '../format/layout.ts';
import { decodeStoreFile, newStoreFile, type StoreFile } from '../format/store-file.ts';
import type { Medium } from '../medium/medium.ts';
import { type CopiedNamespace, type CopyProgress, copyNamespace } from './copy-namespace.ts';
import type { Finding } from './finding.ts';
import { type VerifyReport, verifyStore } from './verify.ts';
import { UNREADABLE } from './verify-context.ts';

export interface CopyOptions {
  /** Only these. Default: all that are there. */
  readonly namespaces?: readonly string[] | undefined;
  readonly onProgress?: (progress: CopyProgress) => void;
  readonly signal?: AbortSignal | undefined;
}

export interface CopyReport {
  readonly storeId: string;
  readonly copiedFrom: string;
  readonly namespaces: readonly CopiedNamespace[];
  readonly bytes: number;
  /** Of the copy. */
  readonly verified: VerifyReport;
}

export async function readStoreFile(medium: Medium): Promise<StoreFile> {
  const bytes = await medium.get(STORE_FILE);
  if (bytes === undefined) throw new PeatError('STORE_NOT_FOUND', `there is no store at ${medium.description}`);
  return decodeStoreFile(bytes);
}

/** @throws PeatError `STORE_NOT_FOUND`, `NAMESPACE_NOT_FOUND`, `CORRUPT` (the source is damaged), `STORAGE`, `TEMPORARY` */
export async function copyStore(
  stores: { source: Medium; target: Medium; system: System },
  options: CopyOptions = {},
): Promise<CopyReport> {
  const { source, target, system } = stores;
  const file = await readStoreFile(source);
  await checkEmpty(target);
  const context = { ...stores, signal: options.signal, onProgress: options.onProgress ?? (() => {}) };
  const namespaces: CopiedNamespace[] = [];
  for (const name of options.namespaces ?? (await source.listFolders(NAMESPACES_PREFIX))) {
    const copied = await copyNamespace(context, namespaceLayout(name));
    if (copied !== undefined) namespaces.push(copied);
    else if (options.namespaces !== undefined) {
      throw new PeatError('NAMESPACE_NOT_FOUND', `there is no namespace ${name} at ${source.description}`, { namespace: name });
    }
  }
  const copy = copyOfStoreFile(file, target, system);
  if (!(await target.putIfAbsent(STORE_FILE, encodeCheckedJson(copy)))) {
    throw new PeatError('STORAGE', `somebody made a store at ${target.description} meanwhile`, { file: STORE_FILE });
  }
  const verified = await verifyCopy(context, namespaces);
  const bytes = namespaces.reduce((sum, { bytes }) => sum + bytes, 0);
  return { storeId: copy.storeId, copiedFrom: file.storeId, namespaces, bytes, verified };
}

async function checkEmpty(target: Medium): Promise<void> {
  const first = (await target.list(''))[0];
  if (first === undefined) return;
  throw new PeatError('STORAGE', `${target.description} is not empty: it has ${first.name}; give a new directory`, { file: first.name });
}

function copyOfStoreFile(file: StoreFile, target: Medium, system: System): StoreFile {
  const { constants, fileMode, directoryMode, group, readerFeatures, writerFeatures } = file;
  return {
    ...newStoreFile({
      storeId: randomId(system, 20),
      segments: target.canAppend ? 'appended' : 'framed',
      ...(fileMode === undefined ? {} : { fileMode }),
      ...(directoryMode === undefined ? {} : { directoryMode }),
      ...(group === undefined ? {} : { group }),
      constants,
      probed: { description: target.description, copiedFrom: file.storeId },
      createdAtMs: system.wallNowMs(),
    }),
    readerFeatures,
    // A copy lies elsewhere, and keeps its locks in itself.
    writerFeatures: writerFeatures.filter((feature) => feature !== LOCK_DIR_FEATURE),
  };
}

/** Counts in = counts out, and nothing damaged. */
async function verifyCopy(
  { target, system, signal }: { target: Medium; system: System; signal: AbortSignal | undefined },
  copied: readonly CopiedNamespace[],
): Promise<VerifyReport> {
  const damage: Finding[] = [];
  const onFinding = (finding: Finding): void => {
    if (finding.severity === 'damage') damage.push(finding);
  };
  const report = await verifyStore({ medium: target, system }, { onFinding, signal });
  const unread = damage.find(({ code }) => code === UNREADABLE);
  // What else was found may be for want of what could not be read.
  if (unread !== undefined) {
    throw new PeatError('STORAGE', `the copy was made, but not verified: ${unread.file}: ${unread.what}`, { file: unread.file });
  }
  const first = damage[0];
  if (first !== undefined) throw new PeatError('CORRUPT', `the copy is damaged: ${first.file}: ${first.what}`, { file: first.file });
  for (const { namespace, root, tables, entries, frames, deltas, records, recordDeltas } of copied) {
    const found = report.namespaces.find((census) => census.namespace === namespace);
    const isSame =
      found?.root === root &&
      found.tables === tables &&
      found.entries === entries &&
      found.tailFrames === frames &&
      found.tailDeltas === deltas &&
      found.tailRecords === records &&
      found.recordDeltas === recordDeltas;
    if (!isSame) {
      throw new PeatError('CORRUPT', `the copy of ${namespace} does not have what was copied: ${JSON.stringify(found)}`, { namespace });
    }
  }
  return report;
}
