/** Counts the system calls of a program between its marks, as strace shows them. */

export const CALL_KINDS = [
  'creates',
  'links',
  'removals',
  'syncs',
  'listings',
  'stats',
  'opens',
  'reads',
  'writes',
  'locks',
  'all',
] as const;
export type CallKind = (typeof CALL_KINDS)[number];

export const BEGIN_MARK = 'peat-bench: begin';
export const END_MARK = 'peat-bench: end';

/** What strace has to show. */
export const TRACED: string = [
  'openat,open,creat,link,linkat,rename,renameat,renameat2,unlink,unlinkat,rmdir,mkdir,mkdirat,fsync,fdatasync,msync,sync_file_range',
  'getdents64,stat,lstat,fstat,newfstatat,statx,read,pread64,preadv,write,pwrite64,pwritev,writev,ftruncate,fallocate,fcntl,flock',
].join();

const KINDS: readonly (readonly [Exclude<CallKind, 'all' | 'locks' | 'creates'>, RegExp])[] = [
  ['links', /^(link|linkat|rename|renameat|renameat2)$/],
  ['removals', /^(unlink|unlinkat|rmdir)$/],
  ['syncs', /^(fsync|fdatasync|msync|sync_file_range)$/],
  ['listings', /^getdents64$/],
  ['stats', /^(stat|lstat|fstat|newfstatat|statx)$/],
  ['opens', /^(openat|open)$/],
  ['reads', /^(read|pread64|preadv)$/],
  ['writes', /^(write|pwrite64|pwritev|writev|ftruncate|fallocate)$/],
];

const LINE = /^\d+\s+(\w+)\((.*)$/;
/** The pipes and counters by which Node's threads wake each other, and the descriptors of the marks. */
const INTERNAL = /^\d+<(pipe|anon_inode|socket):/;

/** Counts by kind, over all that was done between two marks. */
export function countBetweenMarks(log: string): Map<CallKind, number> {
  let isBetween = false;
  return count(log, (rest) => {
    const isMark = rest.includes(BEGIN_MARK) || rest.includes(END_MARK);
    if (isMark) isBetween = rest.includes(BEGIN_MARK);
    return isBetween && !isMark && !INTERNAL.test(rest);
  });
}

/** Counts by kind what has to do with a directory. */
export function countIn(directory: string, log: string): Map<CallKind, number> {
  return count(log, (rest) => rest.includes(directory));
}

function count(log: string, isCounted: (rest: string) => boolean): Map<CallKind, number> {
  const counts = new Map<CallKind, number>();
  for (const line of log.split('\n')) {
    const [, call, rest] = LINE.exec(line) ?? [];
    if (call === undefined || rest === undefined || !isCounted(rest)) continue;
    for (const kind of kindsOf(call, rest)) counts.set(kind, (counts.get(kind) ?? 0) + 1);
  }
  return counts;
}

function kindsOf(call: string, rest: string): CallKind[] {
  const kinds: CallKind[] = ['all'];
  if (/^(creat|mkdir|mkdirat)$/.test(call) || rest.includes('O_CREAT')) kinds.push('creates');
  // Locks of the kernel, and files that serve as locks.
  if (call === 'flock' || (call === 'fcntl' && /F_(OFD_)?SETLK/.test(rest)) || /[/.]lock\b/.test(rest)) kinds.push('locks');
  const kind = KINDS.find(([, pattern]) => pattern.test(call))?.[0];
  return kind === undefined ? kinds : [...kinds, kind];
}
