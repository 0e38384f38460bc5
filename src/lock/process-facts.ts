/**
 * Who this process is, and whether another one still lives (rules C, "Dead holder").
 *
 * A process can be judged by its number only where the number means the same: under the same boot of the same kernel,
 * and in the same PID namespace (containers on one machine share the boot, not the numbers). There it is alive while its
 * number *and* its start time match, for numbers are used again. Everywhere else the answer is `unknown`, and only its
 * beats tell. What can't be checked for sure is `unknown` too, never `dead` or `alive`: a wrong `dead` takes a lock from
 * a living holder, a wrong `alive` keeps a lock for ever.
 */
import { readFileSync, readlinkSync } from 'node:fs';
import { hostname, networkInterfaces } from 'node:os';

/** What tells one process of the world from another; stands in its tickets. */
export interface HolderIdentity {
  /** For people; nothing is decided by it. */
  readonly host: string;
  /** Names one boot of one kernel; on systems that have no such name, one machine as well as possible. */
  readonly bootId: string;
  /** "" where the system has none. */
  readonly pidNamespace: string;
  readonly pid: number;
  /** Clock ticks from boot to the process's start; null where the system doesn't tell. */
  readonly startTime: number | null;
}

export function isSameProcess(a: HolderIdentity, b: HolderIdentity): boolean {
  return a.bootId === b.bootId && a.pidNamespace === b.pidNamespace && a.pid === b.pid && a.startTime === b.startTime;
}

/** `stopped`: suspended by a signal; it may go on at any time. */
export type ProcessState = 'alive' | 'dead' | 'stopped' | 'unknown';

export interface ProcessFacts {
  readonly self: HolderIdentity;
  stateOf(identity: HolderIdentity): ProcessState;
}

interface ProcStat {
  readonly pid: number;
  readonly state: string;
  readonly startTime: number;
}

/**
 * The fields of `/proc/<pid>/stat` that matter; undefined if the text is something else. The second field is the
 * program's name in parentheses, which may itself hold spaces and parentheses: what follows is counted from the last ")".
 */
export function parseProcStat(text: string): ProcStat | undefined {
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  const pid = Number.parseInt(text, 10);
  const state = fields[0];
  const startTime = Number(fields[19]);
  if (!Number.isSafeInteger(pid) || state?.length !== 1 || !Number.isSafeInteger(startTime)) return undefined;
  return { pid, state, startTime };
}

let nodeFacts: ProcessFacts | undefined;

/** The facts of this process, read once. */
export function nodeProcessFacts(): ProcessFacts {
  if (nodeFacts === undefined) {
    const self = readSelf();
    nodeFacts = { self, stateOf: (identity) => stateOf(identity, self) };
  }
  return nodeFacts;
}

function readSelf(): HolderIdentity {
  const stat = readStat('self');
  // A /proc that counts processes otherwise than this process does (the host's, mounted into a container) is no help.
  if (stat?.pid === process.pid) {
    try {
      return {
        host: hostname(),
        bootId: readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim(),
        pidNamespace: readlinkSync('/proc/self/ns/pid'),
        pid: process.pid,
        startTime: stat.startTime,
      };
    } catch {
      // Go on as on a system without /proc.
    }
  }
  return { host: hostname(), bootId: machineId(), pidNamespace: '', pid: process.pid, startTime: null };
}

/**
 * Where the kernel doesn't name its boots: the host's name and its network addresses. They need not be the same for
 * ever: when they change, processes from before and after don't know each other, and go by beats.
 */
function machineId(): string {
  const addresses = new Set<string>();
  for (const list of Object.values(networkInterfaces())) {
    for (const { internal, mac } of list ?? []) if (!internal) addresses.add(mac);
  }
  return [hostname(), ...[...addresses].sort()].join(' ');
}

function stateOf(identity: HolderIdentity, self: HolderIdentity): ProcessState {
  if (identity.bootId !== self.bootId || identity.pidNamespace !== self.pidNamespace) return 'unknown';
  const stat = self.startTime === null ? undefined : readStat(identity.pid);
  // Without a start time, a process of that number may be another one: only its absence tells something. So it is
  // without /proc, and where /proc hides other users' processes.
  if (stat === undefined || identity.startTime === null) return exists(identity.pid) ? 'unknown' : 'dead';
  if (stat.startTime !== identity.startTime) return 'dead';
  switch (stat.state) {
    case 'Z':
    case 'X':
      return 'dead';
    case 'T':
      return 'stopped';
    default:
      return 'alive';
  }
}

function readStat(pid: number | 'self'): ProcStat | undefined {
  try {
    return parseProcStat(readFileSync(`/proc/${pid}/stat`, 'latin1'));
  } catch {
    return undefined;
  }
}

function exists(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // EPERM: it is there, and another user's.
    return (error as NodeJS.ErrnoException).code !== 'ESRCH';
  }
}
