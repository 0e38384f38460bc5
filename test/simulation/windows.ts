/** Kinds of calls between which and the next ones others may do what matters; `scenario.ts` picks one, and processes sleep there. */
import type { StorageCall } from '../support/power-cut-storage.ts';

type Test = (op: StorageCall['op'], name: string) => boolean;

const TESTS = {
  'log list': (op, name) => op === 'list' && name.endsWith('/log/'),
  'root list': (op, name) => op === 'list' && name.endsWith('/root/'),
  'root get': (op, name) => op === 'get' && name.includes('/root/'),
  'root put': (op, name) => op === 'putIfAbsent' && name.includes('/root/'),
  'frame get': (op, name) => op === 'get' && name.includes('/log/') && !isRecord(name),
  'frame put': (op, name) => (op === 'putIfAbsent' && name.includes('/log/') && !isRecord(name)) || op === 'openAppend' || op === 'sync',
  'segment begin': (op) => op === 'openAppend',
  sync: (op) => op === 'sync',
  'record get': (op, name) => op === 'get' && isRecord(name),
  'record put': (op, name) => op === 'putIfAbsent' && isRecord(name),
  'table list': (op, name) => op === 'list' && name.endsWith('/shard/'),
  'table put': (op, name) => op === 'putIfAbsent' && name.includes('/shard/'),
  'table get': (op, name) => op === 'get' && name.includes('/shard/'),
  delete: (op) => op === 'delete',
} satisfies Record<string, Test>;

export type WindowName = keyof typeof TESTS;
/** Those that a seed picks from. */
export const WINDOWS = (Object.keys(TESTS) as WindowName[]).filter((name) => name !== 'segment begin' && name !== 'sync');

export function isAt(window: WindowName | undefined, { op, name }: StorageCall): boolean {
  return window !== undefined && TESTS[window](op, name);
}

function isRecord(name: string): boolean {
  return /\/log\/s\d+-/.test(name);
}
