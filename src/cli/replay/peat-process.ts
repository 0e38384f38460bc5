/** Starts this command line as a process of its own. */
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import type { Readable, Writable } from 'node:stream';

/** This very program, wherever it was bundled to. */
const MAIN = process.argv[1] as string;

export interface PeatProcess {
  readonly stdin: Writable;
  readonly stdout: Readable;
  /** Resolves when the process has ended and all it wrote was read: the exit code, or the signal that killed it. */
  readonly ended: Promise<number | NodeJS.Signals>;
  kill(signal: NodeJS.Signals): void;
}

const alive = new Set<ChildProcessByStdio<Writable, Readable, null>>();

// Whatever ends this process (EPIPE, a bug), nothing that it started goes on alone.
process.once('exit', () => {
  for (const child of alive) child.kill('SIGKILL');
});

export function startPeat(args: readonly string[]): PeatProcess {
  const child = spawn(process.execPath, [...process.execArgv, MAIN, ...args], { stdio: ['pipe', 'pipe', 'inherit'] });
  alive.add(child);
  // If it dies, its exit code says so.
  child.stdin.on('error', () => undefined);
  const ended = new Promise<number | NodeJS.Signals>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code, signal) => {
      alive.delete(child);
      resolve(signal ?? code ?? 1);
    });
  });
  ended.catch(() => undefined);
  return { stdin: child.stdin, stdout: child.stdout, ended, kill: (signal) => child.kill(signal) };
}
