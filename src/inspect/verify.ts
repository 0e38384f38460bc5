/**
 * Verifies a store: every checksum, order, reference and count, in files that may be written and compacted meanwhile. It
 * writes nothing.
 *
 * A damaged byte of any file is found, or can do no harm: `docs/format.md` lists what is not found, "Bytes that no checksum covers".
 */
import { isPeatError, PeatError } from '../base/errors.ts';
import type { System } from '../base/system.ts';
import { decodeCheckedJson } from '../format/checked-json.ts';
import { NAMESPACES_PREFIX, namespaceLayout, STORE_FILE } from '../format/layout.ts';
import { DEFAULT_CONSTANTS, decodeStoreFile, type StoreFile } from '../format/store-file.ts';
import type { ListedObject, Medium } from '../medium/medium.ts';
import { type Finding, Findings, type Severity } from './finding.ts';
import { parseStoreName } from './store-names.ts';
import { Meter, type NamespaceCensus, readObject, type VerifyContext, type VerifyProgress } from './verify-context.ts';
import { verifyNamespace } from './verify-namespace.ts';

export interface VerifyOptions {
  /** Only these namespaces. Default: all, and the locks. */
  readonly namespaces?: readonly string[] | undefined;
  readonly onFinding?: (finding: Finding) => void;
  readonly onProgress?: (progress: VerifyProgress) => void;
  readonly signal?: AbortSignal | undefined;
}

export interface VerifyReport {
  /** False if there is damage. */
  readonly clean: boolean;
  readonly counts: Readonly<Record<Severity, number>>;
  readonly files: number;
  readonly bytes: number;
  readonly namespaces: readonly NamespaceCensus[];
}

/** @throws PeatError `STORE_NOT_FOUND` if nothing is there, `NAMESPACE_NOT_FOUND`, `UNSUPPORTED_VERSION`, `STORAGE` if the store can't be listed. */
export async function verifyStore(stores: { medium: Medium; system: System }, options: VerifyOptions = {}): Promise<VerifyReport> {
  const findings = new Findings(options.onFinding ?? (() => {}));
  const meter = new Meter(options.onProgress ?? (() => {}));
  const base = { ...stores, findings, meter, signal: options.signal };
  const listed = await stores.medium.list('', { signal: options.signal });
  if (listed.length === 0) throw new PeatError('STORE_NOT_FOUND', `there is no store at ${stores.medium.description}`);
  const names = namespaceNames(listed);
  const missing = options.namespaces?.find((name) => !names.includes(name));
  if (missing !== undefined) throw new PeatError('NAMESPACE_NOT_FOUND', `there is no namespace ${missing}`, { namespace: missing });
  const file = await verifyStoreFile(base);
  const context: VerifyContext = { ...base, constants: file?.constants ?? DEFAULT_CONSTANTS };
  const namespaces: NamespaceCensus[] = [];
  for (const name of options.namespaces ?? names) namespaces.push(await verifyNamespace(context, namespaceLayout(name)));
  if (options.namespaces === undefined) await verifyOthers(context, listed);
  return { clean: findings.counts.damage === 0, counts: findings.counts, files: meter.files, bytes: meter.bytes, namespaces };
}

export function namespaceNames(listed: readonly ListedObject[]): string[] {
  const names = new Set<string>();
  for (const { name } of listed) {
    if (!name.startsWith(NAMESPACES_PREFIX)) continue;
    const what = parseStoreName(name);
    if ('namespace' in what) names.add(what.namespace);
  }
  return [...names].sort();
}

async function verifyStoreFile(context: Omit<VerifyContext, 'constants'>): Promise<StoreFile | undefined> {
  const { findings } = context;
  const bytes = await readObject(context, STORE_FILE);
  if (bytes === 'unreadable') return undefined;
  const action = 'restore the file from a backup; or peat repair';
  if (bytes === 'absent') {
    const meaning = 'the store can not be opened; or this is a backup that was not finished';
    findings.add({ severity: 'damage', code: 'store-file-missing', file: STORE_FILE, what: 'it is not there', meaning, action });
    return undefined;
  }
  try {
    return decodeStoreFile(bytes);
  } catch (error) {
    if (!isPeatError(error, 'CORRUPT')) throw error;
    findings.add({
      severity: 'damage',
      code: 'store-file-damaged',
      file: STORE_FILE,
      ...(error.offset === undefined ? {} : { offset: error.offset }),
      what: error.message.replace(`${STORE_FILE}: `, ''),
      meaning: 'the store can not be opened',
      action,
    });
    return undefined;
  }
}

/** Locks, temporary files, and what is no file of a store. */
async function verifyOthers(context: VerifyContext, listed: readonly ListedObject[]): Promise<void> {
  const { findings, meter } = context;
  meter.begin('locks', '');
  for (const { name } of listed) {
    const { kind } = parseStoreName(name);
    switch (kind) {
      case 'ticket':
      case 'marker':
        await verifyTicket(context, name, kind);
        break;
      case 'beat':
      case 'floor':
        findings.add(note('lock-file', name, `a lock's ${kind}`, 'its name says all; what stands in it is read by nobody'));
        break;
      case 'tmp':
        findings.add(
          note('temporary', name, 'a temporary file', 'a file that is being put, or one whose writer died; it is swept after an hour'),
        );
        break;
      case 'quarantine':
        findings.add(
          note('quarantine', name, 'a copy of a damaged file', 'peat repair took it before it changed anything; it may be deleted'),
        );
        break;
      case 'unknown':
        findings.add({
          ...note('unknown-file', name, 'no file of a store', 'nobody reads it; a stray copy, or one of a newer release'),
          severity: 'warning',
          action: 'look at it; it may be deleted if it is none of yours',
        });
        break;
      default:
        break;
    }
  }
}

function note(code: string, file: string, what: string, meaning: string): Finding {
  return { severity: 'info', code, file, what, meaning, action: 'nothing' };
}

async function verifyTicket(context: VerifyContext, name: string, kind: 'ticket' | 'marker'): Promise<void> {
  const bytes = await readObject(context, name);
  // Released, and swept, since it was listed.
  if (typeof bytes === 'string') return;
  try {
    decodeCheckedJson(bytes, name);
    const what = kind === 'ticket' ? 'a ticket of a lock' : 'the end of a ticket';
    context.findings.add(note('lock-file', name, what, 'a process holds the lock, waits for it, or did until lately'));
  } catch (error) {
    if (!isPeatError(error, 'CORRUPT')) throw error;
    context.findings.add({
      severity: 'warning',
      code: `${kind}-damaged`,
      file: name,
      ...(error.offset === undefined ? {} : { offset: error.offset }),
      what: error.message.replace(`${name}: `, ''),
      meaning: "the queue goes by names, so its order stands; a damaged ticket's holder is judged by its beats alone",
      action: 'nothing; it is swept with the queue',
    });
  }
}
