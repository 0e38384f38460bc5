/** Runs git, and turns its failures into errors that say what git said. Kills it when the signal is aborted. */
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import type { Readable, Writable } from 'node:stream';

export interface GitProcess {
  readonly stdin: Writable;
  readonly stdout: Readable;
  /** Resolves when git has ended well. @throws Error with git's message */
  readonly done: Promise<void>;
  kill(): void;
}

export function startGit(repository: string, args: readonly string[], signal: AbortSignal): GitProcess {
  // What git looks up for people (quoting, renames, languages) is settled by arguments and by this.
  const env = { ...process.env, LC_ALL: 'C', GIT_OPTIONAL_LOCKS: '0', GIT_TERMINAL_PROMPT: '0' };
  const child: ChildProcessByStdio<Writable, Readable, Readable> = spawn('git', ['-C', repository, ...args], {
    stdio: ['pipe', 'pipe', 'pipe'],
    env,
    signal,
  });
  let message = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    message = `${message}${text}`.slice(-2000);
  });
  // If git ends early, its exit code says so better than EPIPE.
  child.stdin.on('error', () => undefined);
  const done = new Promise<void>((resolve, reject) => {
    child.on('error', (error: NodeJS.ErrnoException) => {
      reject(error.code === 'ENOENT' ? new Error('git is needed to read a checkout, and was not found') : error);
    });
    child.on('close', (code, killedBy) => {
      if (code === 0) resolve();
      else reject(new Error(`git ${args[0]} failed (${killedBy ?? `exit code ${code}`}): ${message.trim()}`));
    });
  });
  done.catch(() => undefined);
  return { stdin: child.stdin, stdout: child.stdout, done, kill: () => child.kill() };
}

/** The whole output of a short command. */
export async function gitText(repository: string, args: readonly string[], signal: AbortSignal): Promise<string> {
  const git = startGit(repository, args, signal);
  git.stdin.end();
  const pieces: Buffer[] = [];
  for await (const piece of git.stdout) pieces.push(piece as Buffer);
  await git.done;
  return Buffer.concat(pieces).toString('utf8').trimEnd();
}
