/**
 * Repairs a store: `peat.json`, then each namespace. What is damaged is copied to `quarantine/` before anything is changed; whatever
 * could be lost is said before it is done. The rest of the store goes on working meanwhile.
 *
 * What `peat.json` said and nothing else tells can't be repaired. A store whose locks are elsewhere (`lockDir`) is not given a new one, as far as
 * the old one still shows that: processes that run go on with the locks that they know, new ones would lock in the store, and two would
 * hold the same lock.
 */
import { isPeatError, PeatError } from '../base/errors.ts';
import { show } from '../base/key.ts';
import { randomId, type System } from '../base/system.ts';
import { encodeCheckedJson } from '../format/checked-json-encode.ts';
import { checkWriterFeatures, LOCK_DIR_FEATURE } from '../format/features.ts';
import { namespaceLayout, STORE_FILE } from '../format/layout.ts';
import { DEFAULT_CONSTANTS, decodeStoreFile, newStoreFile } from '../format/store-file.ts';
import type { Medium } from '../medium/medium.ts';
import { mendCheckedJson } from './mend.ts';
import { quarantine } from './quarantine.ts';
import { MisplacedError } from './rebuild-root.ts';
import { planRepair, type RepairAction, repairNamespace } from './repair-namespace.ts';
import { parseStoreName } from './store-names.ts';
import { namespaceNames } from './verify.ts';

export type { RepairAction } from './repair-namespace.ts';

export interface RepairOptions {
  /** Do it. Default false: only say what would be done. */
  readonly apply?: boolean;
  readonly namespaces?: readonly string[] | undefined;
  readonly onAction?: (action: RepairAction) => void;
  readonly signal?: AbortSignal | undefined;
}

export interface RepairReport {
  readonly applied: boolean;
  readonly actions: readonly RepairAction[];
  /** Roots that were put. */
  readonly roots: readonly { readonly namespace: string; readonly root: number }[];
}

/** @throws PeatError `STORE_NOT_FOUND`, `NAMESPACE_NOT_FOUND`, `UNSUPPORTED_VERSION`, `LOCK_TIMEOUT`, `STORAGE`, `TEMPORARY` */
export async function repairStore(stores: { medium: Medium; system: System }, options: RepairOptions = {}): Promise<RepairReport> {
  const { apply = false, onAction = () => {}, signal } = options;
  const listed = await stores.medium.list('', { signal });
  if (listed.length === 0) throw new PeatError('STORE_NOT_FOUND', `there is no store at ${stores.medium.description}`);
  const names = namespaceNames(listed);
  const missing = options.namespaces?.find((name) => !names.includes(name));
  if (missing !== undefined) throw new PeatError('NAMESPACE_NOT_FOUND', `there is no namespace ${missing}`, { namespace: missing });
  const actions: RepairAction[] = [];
  const roots: RepairReport['roots'][number][] = [];
  const note = (action: RepairAction): void => {
    actions.push(action);
    onAction(action);
  };
  const storeFile = await repairStoreFile(stores, { apply, names: listed.map(({ name }) => name) });
  if (storeFile !== undefined) note(storeFile);
  for (const namespace of options.namespaces ?? names) {
    const context = { ...stores, layout: namespaceLayout(namespace), signal };
    // The election is not disturbed where there is nothing to repair.
    let done: Awaited<ReturnType<typeof planRepair>>;
    try {
      const plan = await planRepair(context);
      done = apply && plan.actions.length > 0 ? await repairNamespace(context) : plan;
    } catch (error) {
      if (!(error instanceof MisplacedError)) throw error;
      note({
        file: context.layout.root,
        what: `${error.message}, as a copy or a link`,
        does: 'nothing: take that folder away',
        lost: undefined,
        isRefused: true,
      });
      continue;
    }
    for (const action of done.actions) note(action);
    if (done.root !== undefined) roots.push({ namespace, root: done.root });
  }
  return { applied: apply, actions, roots };
}

/** Undefined if it is whole. */
async function repairStoreFile(
  { medium, system }: { medium: Medium; system: System },
  { apply, names }: { apply: boolean; names: readonly string[] },
): Promise<RepairAction | undefined> {
  const bytes = await medium.get(STORE_FILE);
  try {
    if (bytes !== undefined) {
      checkWriterFeatures(decodeStoreFile(bytes), STORE_FILE);
      return undefined;
    }
  } catch (error) {
    if (!isPeatError(error, 'CORRUPT')) throw error;
  }
  const { repaired, action } = rebuildStoreFile(bytes, { names, system, medium });
  if (!apply || repaired === undefined) return action;
  if (bytes !== undefined) {
    await quarantine(medium, STORE_FILE);
    await medium.delete([STORE_FILE]);
  }
  if (!(await medium.putIfAbsent(STORE_FILE, repaired))) decodeStoreFile((await medium.get(STORE_FILE)) ?? Buffer.alloc(0));
  return action;
}

/** No bytes if it is refused. */
function rebuildStoreFile(
  bytes: Buffer | undefined,
  { names, system, medium }: { names: readonly string[]; system: System; medium: Medium },
): { repaired: Buffer | undefined; action: RepairAction } {
  const mended = bytes === undefined ? undefined : mendCheckedJson(bytes);
  if (mended !== undefined) {
    const does = `put byte ${mended.offset} right, which makes it whole`;
    return { repaired: mended.bytes, action: { file: STORE_FILE, what: 'one byte of it is wrong', does, lost: undefined } };
  }
  const lockDir = bytes === undefined ? undefined : lockDirIn(bytes.toString('utf8'));
  if (lockDir !== undefined) return { repaired: undefined, action: refusal(lockDir) };
  // What wrote the log tells how; where there is none, what suits the medium.
  const kinds = new Set(names.map((name) => parseStoreName(name).kind));
  const isFramed = kinds.has('segment-part') || (!kinds.has('segment') && !medium.canAppend);
  const segments = isFramed ? 'framed' : 'appended';
  const file = newStoreFile({
    storeId: randomId(system, 20),
    segments,
    constants: DEFAULT_CONSTANTS,
    probed: { description: medium.description, rebuiltBy: 'peat repair' },
    createdAtMs: system.wallNowMs(),
  });
  return {
    repaired: encodeCheckedJson(file),
    action: {
      file: STORE_FILE,
      what: bytes === undefined ? 'it is not there' : 'it is damaged',
      does: `make it anew: ${segments} segments, the default constants, a new store id`,
      lost:
        'its id, file modes and group; that it was for a single host, and where its locks are, if not in the store. Where it had a lockDir, or ' +
        'constants other than the defaults, stop all processes before you go on: those that run lock in that directory, and new ones in the store',
    },
  };
}

/** Where a damaged file says that locks are, in words; undefined if it says nothing of that. */
function lockDirIn(text: string): string | undefined {
  const field = /"lockDir":("(?:[^"\\]|\\.)*")/.exec(text)?.[1];
  if (field === undefined) return text.includes('"lockDir') || text.includes(`"${LOCK_DIR_FEATURE}"`) ? 'in another place' : undefined;
  try {
    return `in ${show(JSON.parse(field) as string)}, as far as that is not damaged, too`;
  } catch {
    return 'in another place';
  }
}

function refusal(lockDir: string): RepairAction {
  return {
    file: STORE_FILE,
    what: `it is damaged, and the locks of this store are not in the store, but ${lockDir}`,
    does:
      'nothing: with a new one, processes that run and those that start would lock in two places. Restore the file from a backup. Where there is ' +
      'none, stop all processes, take the file away, and repair again: then locks are in the store, and their tokens begin anew',
    lost: undefined,
    isRefused: true,
  };
}
