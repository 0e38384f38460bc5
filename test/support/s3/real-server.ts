/**
 * The real server of the project `s3`: started before its first test, where this machine can, and gone after the last. The server ends
 * by itself if the tests are killed.
 *
 * `PEAT_TEST_S3=off` goes without.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import type { TestProject } from 'vitest/node';

export interface RealServer {
  /** For the names of tests. */
  readonly name?: string;
  /** The environment with which a process reaches it. */
  readonly env?: Readonly<Record<string, string>>;
  /** Why there is none. */
  readonly skipped?: string;
}

declare module 'vitest' {
  export interface ProvidedContext {
    realS3: RealServer;
  }
}

const script = fileURLToPath(new URL('./ceph.sh', import.meta.url));
/** Fetching the programs, the first time, takes longest. */
const START_MS_MAX = 900_000;

export type ServerCommand = 'up' | 'down' | 'pause' | 'resume' | 'stop' | 'start';

/** Runs `ceph.sh`; returns what it printed. */
export async function serverCommand(command: ServerCommand, directory: string): Promise<string> {
  const env = { ...process.env, PEAT_CEPH_OWNER: String(process.pid) };
  const child = spawn('bash', [script, command, directory], { env, stdio: ['ignore', 'pipe', 'pipe'], timeout: START_MS_MAX });
  const [output, messages, [code]] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, 'close') as Promise<[number | null]>,
  ]);
  if (code !== 0) throw new Error(messages.trim().split('\n').at(-1) ?? `ceph.sh ${command} ended with ${code}`);
  return output;
}

/** Starts a server in a directory. @returns the environment with which a process reaches it */
export async function startServer(directory: string): Promise<Readonly<Record<string, string>>> {
  const lines = (await serverCommand('up', directory)).trim().split('\n');
  return Object.fromEntries(lines.map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]));
}

export default async function setup(project: TestProject): Promise<(() => Promise<void>) | undefined> {
  if (process.env['PEAT_TEST_S3'] === 'off') {
    skip(project, 'PEAT_TEST_S3=off');
    return undefined;
  }
  const directory = mkdtempSync(join(tmpdir(), 'peat-s3-'));
  try {
    const env = await startServer(directory);
    project.provide('realS3', { name: `a bucket of ${env['PEAT_TEST_SERVER']}`, env });
  } catch (error) {
    skip(project, (error as Error).message);
  }
  return async () => {
    await serverCommand('down', directory);
    rmSync(directory, { recursive: true, force: true });
  };
}

function skip(project: TestProject, why: string): void {
  project.provide('realS3', { skipped: why });
  console.log(`skipped: contracts on a real S3 server (${why}); the tests in test/s3 run on a strict server in memory`);
}
