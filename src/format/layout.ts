/**
 * Names of everything in a store. The only place where names are put together or taken apart, and where
 * what a user calls a namespace or a lock is checked before it becomes part of one.
 */
import { show } from '../base/key.ts';

export const STORE_FILE = 'peat.json';
export const TMP_PREFIX = 'tmp/';
export const NAMESPACES_PREFIX = 'ns/';

const NAMESPACE_NAME = /^[a-z0-9][a-z0-9._-]{0,127}$/;

export function isNamespaceName(name: string): boolean {
  return NAMESPACE_NAME.test(name);
}

/** @throws TypeError if it is not a string. @throws RangeError if it is not a valid name. */
export function checkNamespaceName(name: unknown): string {
  if (typeof name !== 'string') throw new TypeError(`a namespace name must be a string, got ${show(name)}`);
  if (!NAMESPACE_NAME.test(name)) throw new RangeError(`a namespace name must match [a-z0-9][a-z0-9._-]{0,127}, got ${show(name)}`);
  return name;
}

export function padNumber(n: number): string {
  return String(n).padStart(20, '0');
}

const NUMBER = /^\d{20}$/;

function parseNumber(text: string): number | undefined {
  if (!NUMBER.test(text)) return undefined;
  const n = Number(text);
  return Number.isSafeInteger(n) ? n : undefined;
}

/** The prefixes of one namespace. */
export interface NamespaceLayout {
  readonly namespace: string;
  readonly root: string;
  readonly log: string;
  readonly shard: string;
}

export function namespaceLayout(namespace: string): NamespaceLayout {
  const base = `${NAMESPACES_PREFIX}${namespace}/`;
  return { namespace, root: `${base}root/`, log: `${base}log/`, shard: `${base}shard/` };
}

export function rootName(layout: NamespaceLayout, n: number): string {
  return layout.root + padNumber(n);
}

/** The number of a root from its whole name; undefined if it is no root's name. */
export function parseRootName(layout: NamespaceLayout, name: string): number | undefined {
  return name.startsWith(layout.root) ? parseNumber(name.slice(layout.root.length)) : undefined;
}

/** A segment: `<R:020>-<writer>-<n>`, R being the newest root that its writer had seen. */
export interface SegmentId {
  readonly root: number;
  readonly writer: string;
  readonly sequence: number;
}

const SEGMENT = /^(\d{20})-([0-9a-v]{16})-(\d{1,9})$/;

export function segmentIdText(id: SegmentId): string {
  return `${padNumber(id.root)}-${id.writer}-${id.sequence}`;
}

export function parseSegmentId(text: string): SegmentId | undefined {
  const match = SEGMENT.exec(text);
  if (match === null) return undefined;
  const root = parseNumber(match[1] as string);
  if (root === undefined) return undefined;
  return { root, writer: match[2] as string, sequence: Number(match[3]) };
}

/** Object k of a segment on a medium without append: `<segment>/<k:08>`. */
export function segmentPartName(segmentName: string, part: number): string {
  return `${segmentName}/${String(part).padStart(8, '0')}`;
}

/** A read-modify-write record: `s<stripe>-<n:020>`, numbered without gaps a stripe, from 1. */
export interface RecordId {
  readonly stripe: number;
  readonly number: number;
}

const NUMBER_DIGITS = 20;
const STRIPE_DIGITS_MAX = 9;
/** Numbers that no stripe comes to are no records': the next one could not be told from others any more. */
const RECORD_NUMBER_MAX = 2 ** 48;

export function recordText({ stripe, number }: RecordId): string {
  return `s${stripe}-${padNumber(number)}`;
}

export function recordName(layout: NamespaceLayout, id: RecordId): string {
  return layout.log + recordText(id);
}

/** A log may have thousands of records, which each update lists: so without a regular expression, which takes four times as long. */
export function parseRecordText(text: string): RecordId | undefined {
  const dash = text.length - NUMBER_DIGITS - 1;
  if (dash < 2 || dash > 1 + STRIPE_DIGITS_MAX || text[0] !== 's' || text[dash] !== '-') return undefined;
  const stripe = digits(text, 1, dash);
  const number = digits(text, dash + 1, text.length);
  if (stripe === undefined || number === undefined || number > RECORD_NUMBER_MAX) return undefined;
  return text[1] === '0' && dash > 2 ? undefined : { stripe, number };
}

function digits(text: string, from: number, to: number): number | undefined {
  let value = 0;
  for (let i = from; i < to; i++) {
    const digit = text.charCodeAt(i) - 48;
    if (digit < 0 || digit > 9) return undefined;
    value = value * 10 + digit;
  }
  return value;
}

/** A file of tables: `<N:020>-<pass>-<i>`, N being the root it was made for. */
export interface TableFileId {
  readonly root: number;
  readonly pass: string;
  readonly index: number;
}

const TABLE_FILE = /^(\d{20})-([0-9a-v]{20})-(\d{1,9})$/;

export function tableFileText(id: TableFileId): string {
  return `${padNumber(id.root)}-${id.pass}-${id.index}`;
}

export function parseTableFile(text: string): TableFileId | undefined {
  const match = TABLE_FILE.exec(text);
  if (match === null) return undefined;
  const root = parseNumber(match[1] as string);
  if (root === undefined) return undefined;
  return { root, pass: match[2] as string, index: Number(match[3]) };
}

/** What a lock guards; the kinds keep their names apart. */
export type LockKind = 'user' | 'compactor' | 'stripe' | 'structural';

export const LOCK_KINDS: readonly LockKind[] = ['user', 'compactor', 'stripe', 'structural'];

export const LOCKS_PREFIX = 'lock/';

/** Where the locks of a kind lie, a folder each. */
export function lockKindPrefix(kind: LockKind): string {
  return `${LOCKS_PREFIX}${kind}/`;
}

/** Lock names are a user's text: everything but letters, digits, "_" and "-" is written %XX, byte by byte. */
export function lockPrefix(kind: LockKind, name: string): string {
  let encoded = '';
  for (const byte of Buffer.from(name, 'utf8')) {
    const character = String.fromCharCode(byte);
    encoded += /[A-Za-z0-9_-]/.test(character) ? character : `%${byte.toString(16).padStart(2, '0')}`;
  }
  return `${lockKindPrefix(kind)}${encoded}/`;
}

/** The kind and the name of a lock from its prefix; undefined if it is none that `lockPrefix` makes. */
export function parseLockPrefix(prefix: string): { readonly kind: LockKind; readonly name: string } | undefined {
  const [top, kindText, encoded = ''] = prefix.split('/');
  const kind = LOCK_KINDS.find((known) => known === kindText);
  if (`${top}/` !== LOCKS_PREFIX || kind === undefined) return undefined;
  const bytes = encoded.replaceAll(/%([0-9a-f]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
  const name = Buffer.from(bytes, 'latin1').toString('utf8');
  // A folder that someone else made may have any name: only one that comes back as it is is a lock's.
  return encoded !== '' && lockPrefix(kind, name) === prefix ? { kind, name } : undefined;
}
