import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { type HolderIdentity, nodeProcessFacts, parseProcStat } from '../../../src/lock/process-facts.ts';

const REST = '1 2 3 0 -1 4194304 100 0 0 0 0 0 0 0 20 0 1 0 115794 3133440 358';

describe('/proc/<pid>/stat', () => {
  it('is read from the last parenthesis on, whatever the program is called', () => {
    for (const name of ['cat', 'tmux: server', 'a) Z (b', ')', 'x) T 1 2 3']) {
      expect(parseProcStat(`4275 (${name}) S ${REST}\n`)).toEqual({ pid: 4275, state: 'S', startTime: 115794 });
    }
  });

  it('tells nothing where it is something else', () => {
    for (const text of ['', '12', 'no numbers', '4275 (cat) S 1 2']) expect(parseProcStat(text)).toBeUndefined();
  });
});

describe.runIf(existsSync('/proc/self/stat'))('processes of this host', () => {
  const facts = nodeProcessFacts();

  it('are known by boot, PID namespace, number and start time', () => {
    expect(facts.self.pid).toBe(process.pid);
    expect(facts.self.bootId).toMatch(/^[0-9a-f-]{36}$/);
    expect(facts.self.pidNamespace).toMatch(/^pid:\[\d+\]$/);
    expect(facts.self.startTime).toBeGreaterThan(0);
    expect(facts.stateOf(facts.self)).toBe('alive');
  });

  it('are dead when another process has their number', () => {
    expect(facts.stateOf({ ...facts.self, startTime: (facts.self.startTime as number) - 1 })).toBe('dead');
  });

  it('are unknown from another boot or another PID namespace', () => {
    expect(facts.stateOf({ ...facts.self, bootId: 'another' })).toBe('unknown');
    expect(facts.stateOf({ ...facts.self, pidNamespace: 'pid:[1]' })).toBe('unknown');
  });

  it('without a known start time are dead only when their number is free', () => {
    expect(facts.stateOf({ ...facts.self, startTime: null })).toBe('unknown');
    expect(facts.stateOf({ ...facts.self, pid: 2 ** 30, startTime: null })).toBe('dead');
  });

  it('are alive, stopped, alive again, and dead as signals make them', async () => {
    const child = spawn('sleep', ['60']);
    const identity = identityOfChild(child.pid as number);
    expect(facts.stateOf(identity)).toBe('alive');
    child.kill('SIGSTOP');
    await expect.poll(() => facts.stateOf(identity)).toBe('stopped');
    child.kill('SIGCONT');
    await expect.poll(() => facts.stateOf(identity)).toBe('alive');
    child.kill('SIGKILL');
    await expect.poll(() => facts.stateOf(identity)).toBe('dead');
  });

  it('are dead as zombies', async () => {
    // The shell's child ends at once, and the program that the shell turns into never asks for it.
    const child = spawn('sh', ['-c', 'sleep 0 & echo $!; exec sleep 60']);
    try {
      const [line] = (await once(child.stdout, 'data')) as [Buffer];
      const pid = Number(line.toString());
      await expect.poll(() => parseProcStat(readFileSync(`/proc/${pid}/stat`, 'latin1'))?.state).toBe('Z');
      expect(facts.stateOf(identityOfChild(pid))).toBe('dead');
    } finally {
      child.kill('SIGKILL');
    }
  });

  function identityOfChild(pid: number): HolderIdentity {
    const stat = parseProcStat(readFileSync(`/proc/${pid}/stat`, 'latin1'));
    return { ...facts.self, pid, startTime: stat?.startTime as number };
  }
});
