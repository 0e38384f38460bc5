/** A file that holds entries as one JSON object; it is read and replaced as a whole. */
import { closeSync, existsSync, fsyncSync, openSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import type { Link } from './link.ts';
import type { Entry, PeerSnapshot, ScanRange, Value } from './peer.ts';

export type JsonMap = Map<string, Value>;

export function readJsonMap(path: string): JsonMap {
  if (!existsSync(path)) return new Map();
  return new Map(Object.entries(JSON.parse(readFileSync(path, 'utf8')) as Record<string, Value>));
}

/** As {@link readJsonMap}, from behind a link. */
export async function fetchJsonMap(path: string, link: Link | undefined): Promise<JsonMap> {
  await link?.transfer(existsSync(path) ? statSync(path).size : 0);
  return readJsonMap(path);
}

/** As {@link writeJsonMap}, from behind a link. */
export async function sendJsonMap(path: string, entries: JsonMap, link: Link | undefined): Promise<void> {
  writeJsonMap(path, entries);
  await link?.transfer(statSync(path).size);
}

/** Whole or not at all, and durable: a temporary file, synced and renamed, then the directory synced. */
export function writeJsonMap(path: string, entries: JsonMap): void {
  const temporary = `${path}.${process.pid}.tmp`;
  const fd = openSync(temporary, 'w');
  try {
    writeFileSync(fd, JSON.stringify(Object.fromEntries(entries)));
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
  renameSync(temporary, path);
  const folder = openSync(dirname(path), 'r');
  try {
    fsyncSync(folder);
  } finally {
    closeSync(folder);
  }
}

export function* inOrder(entries: JsonMap, { prefix = '' }: ScanRange = {}): Iterable<Entry> {
  const keys = [...entries.keys()].filter((key) => key.startsWith(prefix)).sort();
  for (const key of keys) yield { key, value: entries.get(key) as Value };
}

export function* keysInOrder(entries: JsonMap, range?: ScanRange): Iterable<string> {
  for (const { key } of inOrder(entries, range)) yield key;
}

export function snapshotOf(entries: JsonMap): PeerSnapshot {
  return { get: (key) => entries.get(key), close: () => {} };
}
