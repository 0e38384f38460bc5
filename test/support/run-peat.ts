/** Runs the built command line, as users do. PEAT_DIST names the build; default: the project's. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { resolve } from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';

const dist = resolve(process.env['PEAT_DIST'] ?? fileURLToPath(new URL('../../dist', import.meta.url)));

export const PEAT_MAIN: string = `${dist}/lib/peat.js`;

export interface Ran {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  readonly stdin?: string | Buffer;
  readonly cwd?: string;
  /** Beside the environment of the tests. */
  readonly env?: Readonly<Record<string, string>>;
}

export async function runPeat(args: readonly string[], options: RunOptions = {}): Promise<Ran> {
  const env = { ...process.env, ...options.env };
  const child = spawn(process.execPath, [PEAT_MAIN, ...args], { stdio: ['pipe', 'pipe', 'pipe'], cwd: options.cwd, env });
  child.stdin.on('error', () => undefined);
  child.stdin.end(options.stdin ?? '');
  const [stdout, stderr, [code]] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, 'close') as Promise<[number | null]>,
  ]);
  return { code, stdout, stderr };
}
