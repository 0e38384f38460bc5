/** What a name in a store stands for: the reverse of `format/layout.ts`, for tools that meet every file. */
import {
  NAMESPACES_PREFIX,
  parseRecordText,
  parseSegmentId,
  parseTableFile,
  type RecordId,
  STORE_FILE,
  TMP_PREFIX,
} from '../format/layout.ts';

export const QUARANTINE_PREFIX = 'quarantine/';

export type StoreName =
  | { readonly kind: 'store-file' }
  | { readonly kind: 'root'; readonly namespace: string; readonly number: number }
  | { readonly kind: 'segment'; readonly namespace: string; readonly segment: string }
  | { readonly kind: 'segment-part'; readonly namespace: string; readonly segment: string; readonly part: number }
  | { readonly kind: 'record'; readonly namespace: string; readonly record: RecordId }
  | { readonly kind: 'table-file'; readonly namespace: string; readonly file: string }
  | { readonly kind: 'ticket' | 'marker' | 'beat' | 'floor'; readonly lock: string; readonly number: number }
  | { readonly kind: 'tmp' }
  /** `of` is the name that the copy was taken from. */
  | { readonly kind: 'quarantine'; readonly of: string }
  | { readonly kind: 'unknown' };

const UNKNOWN: StoreName = { kind: 'unknown' };
const NAMESPACED = /^ns\/([a-z0-9][a-z0-9._-]{0,127})\/(root|log|shard)\/(.+)$/;
const ROOT_NUMBER = /^\d{20}$/;
const PART = /^(.+)\/(\d{8,9})$/;
const LOCK = /^(lock\/(?:user|compactor|stripe|structural)\/[^/]+\/)(?:(\d{20})(\.done|\.beat-\d{8,15})?|floor-(\d{20}))$/;
/** Where one file was taken out more than once, later copies have a number. */
const COPY_NUMBER = /~\d+$/;

/** The name is relative to the store, as a medium lists it. */
export function parseStoreName(name: string): StoreName {
  if (name === STORE_FILE) return { kind: 'store-file' };
  if (name.startsWith(NAMESPACES_PREFIX)) return parseNamespaced(name);
  if (name.startsWith(TMP_PREFIX) && !name.slice(TMP_PREFIX.length).includes('/')) return { kind: 'tmp' };
  if (name.startsWith(QUARANTINE_PREFIX)) {
    const of = name.slice(QUARANTINE_PREFIX.length).replace(COPY_NUMBER, '');
    return parseStoreName(of).kind === 'unknown' ? UNKNOWN : { kind: 'quarantine', of };
  }
  return parseLockName(name);
}

function parseNamespaced(name: string): StoreName {
  const match = NAMESPACED.exec(name);
  if (match === null) return UNKNOWN;
  const [, namespace, folder, rest] = match as unknown as [string, string, string, string];
  if (folder === 'root') return ROOT_NUMBER.test(rest) ? { kind: 'root', namespace, number: Number(rest) } : UNKNOWN;
  if (folder === 'shard') return parseTableFile(rest) === undefined ? UNKNOWN : { kind: 'table-file', namespace, file: rest };
  if (parseSegmentId(rest) !== undefined) return { kind: 'segment', namespace, segment: rest };
  const record = parseRecordText(rest);
  if (record !== undefined) return { kind: 'record', namespace, record };
  const part = PART.exec(rest);
  if (part === null || parseSegmentId(part[1] as string) === undefined) return UNKNOWN;
  return { kind: 'segment-part', namespace, segment: part[1] as string, part: Number(part[2]) };
}

function parseLockName(name: string): StoreName {
  const match = LOCK.exec(name);
  if (match === null) return UNKNOWN;
  const [, lock, number, suffix, floor] = match as unknown as [string, string, string | undefined, string | undefined, string | undefined];
  if (floor !== undefined) return { kind: 'floor', lock, number: Number(floor) };
  const kind = suffix === undefined ? 'ticket' : suffix === '.done' ? 'marker' : 'beat';
  return { kind, lock, number: Number(number) };
}

/** The part of a path that is a name in a store: the longest end of it that means something. Undefined if none does. */
export function storeNameOfPath(path: string): string | undefined {
  const steps = path.split(/[/\\]/).filter((step) => step !== '' && step !== '.');
  for (let i = 0; i < steps.length; i++) {
    const name = steps.slice(i).join('/');
    if (parseStoreName(name).kind !== 'unknown') return name;
  }
  return undefined;
}
