/** What else a figure depends on: versions of the runtime and of the libraries. */
import { readFileSync } from 'node:fs';
import { versionOf } from '../peers/versions.ts';

const PEAT = new URL('../../../package.json', import.meta.url);

export function environmentVersions(): Record<string, string> {
  const libraries = ['better-sqlite3', 'lmdb', 'classic-level', 'msgpackr'];
  return {
    peatlog: (JSON.parse(readFileSync(PEAT, 'utf8')) as { version: string }).version,
    node: process.versions.node,
    v8: process.versions.v8,
    ...Object.fromEntries(libraries.map((name) => [name, versionOf(name)])),
  };
}
