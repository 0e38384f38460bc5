/** What is particular to files; what holds for every medium is in test/contract/medium.test.ts. */
import {
  appendFileSync,
  chmodSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { describe, expect, it } from 'vitest';
import { nodeSystem } from '../../../src/base/system.ts';
import { FileMedium, type FileMediumOptions } from '../../../src/medium/file-medium.ts';
import type { BlockingMedium } from '../../../src/medium/medium.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';

const bytes = (text: string): Buffer => Buffer.from(text);

function errno(code: string): NodeJS.ErrnoException {
  return Object.assign(new Error(`${code}: injected`), { code, errno: -1 });
}

/** A medium whose calls fail as told, and whose sleeps take no time. */
function openFaulty(directory: string, options: FileMediumOptions = {}) {
  const faults: { operation: string; code: string; times: number; path?: RegExp; after?: () => void }[] = [];
  const calls: string[] = [];
  let nowMs = 0;
  const system = {
    ...nodeSystem,
    monotonicNowMs: () => nowMs,
    sleep: async (ms: number) => {
      nowMs += ms;
    },
    sleepSync: (ms: number) => {
      nowMs += ms;
    },
  };
  const beforeCall = (operation: string, path: string): void => {
    calls.push(operation);
    for (const fault of faults) {
      if (fault.times === 0 || fault.operation !== operation || fault.path?.test(path) === false) continue;
      fault.times--;
      fault.after?.();
      throw errno(fault.code);
    }
  };
  const medium = FileMedium.open(directory, { ...options, system, beforeCall });
  return { medium, blocking: blockingOf(medium), faults, calls };
}

function blockingOf(medium: FileMedium): BlockingMedium {
  if (medium.blocking === undefined) throw new Error('no blocking form');
  return medium.blocking;
}

describe('putIfAbsent of files', () => {
  it('leaves no temporary file, whether it wins or loses', async () => {
    const directory = temporaryDirectory();
    const medium = FileMedium.open(directory);
    await medium.putIfAbsent('a/x', bytes('1'));
    await medium.putIfAbsent('a/x', bytes('2'));
    expect(readdirSync(`${directory}/tmp`)).toEqual([]);
    expect(readdirSync(directory).sort()).toEqual(['a', 'tmp']);
  });

  it.each(['write', 'fdatasync', 'close', 'link'])('leaves no temporary file, and no object, when %s fails', (operation) => {
    const directory = temporaryDirectory();
    const { blocking, faults } = openFaulty(directory);
    faults.push({ operation, code: 'ENOSPC', times: 1 });
    expect(() => blocking.putIfAbsent('a/x', bytes('1'))).toThrow('ENOSPC');
    expect(readdirSync(`${directory}/tmp`)).toEqual([]);
    expect(blocking.get('a/x')).toBeUndefined();
  });

  it('takes its own link for its own when the answer was lost', () => {
    const directory = temporaryDirectory();
    const { blocking, faults } = openFaulty(directory);
    blocking.putIfAbsent('a/w', bytes('w'));
    faults.push({
      operation: 'link',
      code: 'EIO',
      times: 1,
      after: () => linkSync(`${directory}/tmp/${readdirSync(`${directory}/tmp`)[0]}`, `${directory}/a/x`),
    });
    expect(blocking.putIfAbsent('a/x', bytes('mine'))).toBe(true);
    expect(readdirSync(`${directory}/tmp`)).toEqual([]);
  });

  it('does not know the outcome when its retried link meets an object that then is deleted', () => {
    const directory = temporaryDirectory();
    const { blocking, faults } = openFaulty(directory);
    blocking.putIfAbsent('a/x', bytes('x'));
    faults.push({ operation: 'link', code: 'EIO', times: 1 });
    faults.push({ operation: 'stat', code: 'ENOENT', times: 1 });
    expect(() => blocking.putIfAbsent('a/x', bytes('mine'))).toThrow(expect.objectContaining({ code: 'OUTCOME_UNKNOWN' }));
  });

  it('has lost when the winner is deleted before it is looked at', () => {
    const { blocking, faults } = openFaulty(temporaryDirectory());
    blocking.putIfAbsent('a/x', bytes('x'));
    faults.push({ operation: 'stat', code: 'ENOENT', times: 1 });
    expect(blocking.putIfAbsent('a/x', bytes('mine'))).toBe(false);
  });

  it('does not know the outcome when the directory can not be synced, or linking keeps failing', () => {
    const { blocking, faults } = openFaulty(temporaryDirectory());
    faults.push({ operation: 'fsync', code: 'EIO', times: 1 });
    expect(() => blocking.putIfAbsent('a/x', bytes('x'))).toThrow(expect.objectContaining({ code: 'OUTCOME_UNKNOWN', file: 'a/x' }));
    faults.push({ operation: 'link', code: 'ETIMEDOUT', times: Number.POSITIVE_INFINITY });
    expect(() => blocking.putIfAbsent('a/y', bytes('y'))).toThrow(expect.objectContaining({ code: 'OUTCOME_UNKNOWN', file: 'a/y' }));
  });

  it('syncs the data, the directory and the new directories above it, once', () => {
    const { blocking, calls } = openFaulty(temporaryDirectory());
    blocking.putIfAbsent('ns/a/root/1', bytes('1'));
    const syncs = () => calls.splice(0).filter((call) => call.endsWith('sync'));
    expect(syncs()).toEqual(['fdatasync', 'fsync', 'fsync', 'fsync', 'fsync']);
    blocking.putIfAbsent('ns/a/root/2', bytes('2'));
    expect(syncs()).toEqual(['fdatasync', 'fsync']);
    blocking.putIfAbsent('ns/a/root/3', bytes('3'), { durable: false });
    expect(syncs()).toEqual([]);
  });

  it('does not make the store directory anew when that has vanished', async () => {
    const directory = temporaryDirectory();
    const medium = FileMedium.open(`${directory}/store`, { create: true });
    rmSync(`${directory}/store`, { recursive: true });
    await expect(medium.putIfAbsent('a/x', bytes('1'))).rejects.toMatchObject({ code: 'STORE_NOT_FOUND' });
  });
});

describe('errors of files', () => {
  it('are tried again while they pass, and then succeed', async () => {
    const { medium, blocking, faults } = openFaulty(temporaryDirectory());
    blocking.putIfAbsent('a/x', bytes('x'));
    for (const code of ['EINTR', 'EAGAIN', 'EIO', 'EMFILE', 'ENFILE', 'EBUSY', 'ETIMEDOUT', 'ESTALE']) {
      faults.push({ operation: 'open', code, times: 3 });
      expect(blocking.get('a/x')).toEqual(bytes('x'));
      faults.push({ operation: 'readdir', code, times: 3 });
      expect(await medium.list('a/')).toHaveLength(1);
    }
  });

  it('say how often and how long a call was tried', async () => {
    const { medium, blocking, faults } = openFaulty(temporaryDirectory());
    faults.push({ operation: 'open', code: 'EIO', times: Number.POSITIVE_INFINITY });
    const expected = expect.objectContaining({
      code: 'STORAGE',
      file: 'a/x',
      message: expect.stringMatching(/open of .*a\/x failed: EIO.*tried 10 times in 511 ms/),
    });
    expect(() => blocking.get('a/x')).toThrow(expected);
    await expect(medium.get('a/x')).rejects.toEqual(expected);
  });

  it.each([
    ['EACCES', 'ACCESS_DENIED'],
    ['EPERM', 'ACCESS_DENIED'],
    ['EROFS', 'READ_ONLY'],
    ['ENOSPC', 'STORAGE'],
    ['ELOOP', 'STORAGE'],
  ])('report %s as %s at once', (code, expected) => {
    const { blocking, faults, calls } = openFaulty(temporaryDirectory());
    faults.push({ operation: 'open', code, times: Number.POSITIVE_INFINITY });
    calls.length = 0;
    expect(() => blocking.get('a/x')).toThrow(expect.objectContaining({ code: expected, file: 'a/x' }));
    expect(calls).toEqual(['open']);
  });

  it('that say that there is no such file are an answer, at once', async () => {
    const { medium, blocking, calls } = openFaulty(temporaryDirectory());
    calls.length = 0;
    expect(blocking.get('a/x')).toBeUndefined();
    expect(await medium.get('a/x')).toBeUndefined();
    expect(calls).toEqual(['open', 'open']);
  });

  it('are never taken for an object that is absent', () => {
    const { blocking, faults } = openFaulty(temporaryDirectory());
    blocking.putIfAbsent('a/x', bytes('x'));
    for (const operation of ['fstat', 'read', 'readdir']) {
      faults.push({ operation, code: 'EACCES', times: 1 });
      expect(() => (operation === 'readdir' ? blocking.list('a/') : blocking.get('a/x'))).toThrow('EACCES');
    }
  });

  it('end an append-only file, without another try', async () => {
    for (const operation of ['write', 'fdatasync', 'fsync']) {
      const { blocking, faults, calls } = openFaulty(temporaryDirectory());
      const file = blocking.openAppend('log/s');
      faults.push({ operation, code: 'EIO', times: 1 });
      const attempt = () => {
        file.write(bytes('x'));
        file.syncBlocking();
      };
      expect(attempt).toThrow(expect.objectContaining({ code: 'STORAGE', file: 'log/s' }));
      expect(calls.filter((call) => call === operation)).toHaveLength(1);
      expect(attempt).toThrow('takes no more bytes');
      await expect(file.sync()).rejects.toMatchObject({ code: 'STORAGE' });
      file.close();
    }
  });

  it('fail every sync of an append-only file that waited behind the failed one', async () => {
    const { blocking, faults, calls } = openFaulty(temporaryDirectory());
    const file = blocking.openAppend('log/s');
    file.write(bytes('x'));
    await file.sync();
    faults.push({ operation: 'fdatasync', code: 'EIO', times: 1 });
    calls.length = 0;
    const outcomes = await Promise.allSettled([file.sync(), file.sync(), file.sync()]);
    expect(outcomes.map(({ status }) => status)).toEqual(['rejected', 'rejected', 'rejected']);
    expect(calls).toEqual(['fdatasync']);
    file.close();
  });
});

describe('reading files', () => {
  it('notices that a file was deleted by another while its descriptor was kept', async () => {
    const directory = temporaryDirectory();
    const medium = FileMedium.open(directory);
    const blocking = blockingOf(medium);
    for (const read of [
      async (name: string) => blocking.get(name, { offset: 0, length: 1 }),
      (name: string) => medium.get(name, { offset: 0, length: 1 }),
    ]) {
      blocking.putIfAbsent('a/x', bytes('x'));
      expect(await read('a/x')).toEqual(bytes('x'));
      unlinkSync(`${directory}/a/x`);
      expect(await read('a/x')).toBeUndefined();
    }
  });

  it('notices the deletion of a file that has another name left', () => {
    const directory = temporaryDirectory();
    const blocking = blockingOf(FileMedium.open(directory));
    blocking.putIfAbsent('a/x', bytes('x'));
    linkSync(`${directory}/a/x`, `${directory}/tmp/left-by-a-crash`);
    expect(blocking.get('a/x', { offset: 0, length: 1 })).toEqual(bytes('x'));
    unlinkSync(`${directory}/a/x`);
    expect(blocking.get('a/x', { offset: 0, length: 1 })).toBeUndefined();
  });

  it('sees a file grow through a kept descriptor', () => {
    const directory = temporaryDirectory();
    const blocking = blockingOf(FileMedium.open(directory));
    mkdirSync(`${directory}/log`);
    writeFileSync(`${directory}/log/s`, 'one');
    expect(blocking.get('log/s', { offset: 3, length: 10 })).toEqual(bytes(''));
    appendFileSync(`${directory}/log/s`, 'two');
    expect(blocking.get('log/s', { offset: 3, length: 10 })).toEqual(bytes('two'));
  });

  it('keeps no more descriptors open than it may, and none after close', async () => {
    const directory = temporaryDirectory();
    const medium = FileMedium.open(directory, { descriptorsMax: 4 });
    const openHere = () =>
      readdirSync('/proc/self/fd')
        .flatMap((fd) => linkTarget(fd))
        .filter((target) => target.startsWith(directory));
    const names = Array.from({ length: 20 }, (_, i) => `a/${i}`);
    for (const name of names) await medium.putIfAbsent(name, bytes(name), { durable: false });
    const found = await Promise.all([...names, ...names].map((name) => medium.get(name, { offset: 0, length: 10 })));
    expect(found.map(String)).toEqual([...names, ...names]);
    expect(openHere()).toHaveLength(4);
    await medium.close();
    expect(openHere()).toEqual([]);
    await expect(medium.get('a/1')).rejects.toMatchObject({ code: 'CLOSED' });
    expect(() => blockingOf(medium).get('a/1', { offset: 0, length: 1 })).toThrow(expect.objectContaining({ code: 'CLOSED' }));
  });

  it('leaves out of listings what can not be ours, and follows links to other disks', async () => {
    const directory = temporaryDirectory();
    const elsewhere = temporaryDirectory();
    const medium = FileMedium.open(directory);
    mkdirSync(`${directory}/ns/.hidden`, { recursive: true });
    for (const name of ['.nfs0001', '.hidden/x', 'a']) writeFileSync(`${directory}/ns/${name}`, '');
    writeFileSync(`${elsewhere}/x`, '');
    symlinkSync(elsewhere, `${directory}/ns/b`);
    expect(await medium.list('ns/')).toEqual([{ name: 'ns/a' }, { name: 'ns/b/x' }]);
  });

  it('leaves out of listings what vanished meanwhile', async () => {
    const { medium, faults } = openFaulty(temporaryDirectory());
    for (const name of ['l/a', 'l/b/1', 'l/c']) await medium.putIfAbsent(name, bytes(name));
    faults.push({ operation: 'readdir', code: 'ENOENT', times: 1, path: /l\/b$/ });
    faults.push({ operation: 'stat', code: 'ENOENT', times: 1, path: /l\/a$/ });
    expect((await medium.list('l/', { stats: true })).map(({ name }) => name)).toEqual(['l/c']);
  });

  it('removes the directory of a segment with its last object, and no other', async () => {
    const directory = temporaryDirectory();
    const medium = FileMedium.open(directory);
    for (const name of ['ns/a/log/s/0', 'ns/a/log/s/1', 'ns/a/root/1']) await medium.putIfAbsent(name, bytes(name));
    await medium.delete(['ns/a/log/s/0', 'ns/a/root/1']);
    expect(readdirSync(`${directory}/ns/a/log`)).toEqual(['s']);
    await medium.delete(['ns/a/log/s/1']);
    expect(readdirSync(`${directory}/ns/a/log`)).toEqual([]);
    expect(readdirSync(`${directory}/ns/a/root`)).toEqual([]);
  });
});

describe('watermarks of directories', () => {
  it('are not given while the last change is young, in the future, or coarse', () => {
    const directory = temporaryDirectory();
    let nowMs = 1_700_000_000_500;
    const blocking = blockingOf(FileMedium.open(directory, { system: { ...nodeSystem, wallNowMs: () => nowMs } }));
    expect(blocking.watermark('l/')).toBeUndefined();
    mkdirSync(`${directory}/l`);
    const changedMs = statSync(`${directory}/l`).ctimeMs;
    nowMs = changedMs - 1_000;
    expect(blocking.watermark('l/')).toBeUndefined();
    nowMs = changedMs + 5;
    expect(blocking.watermark('l/')).toBeUndefined();
    nowMs = changedMs + 4_000;
    const first = blocking.watermark('l/');
    expect(first).toBeTypeOf('string');
    expect(blocking.watermark('l/')).toBe(first);
    utimesSync(`${directory}/l`, 1_000_000, Math.ceil(changedMs / 1000) + 10);
    nowMs = Math.ceil(changedMs / 1000) * 1000 + 11_000;
    expect(blocking.watermark('l/')).toBeUndefined();
    nowMs += 5_000;
    expect(blocking.watermark('l/')).not.toBe(first);
  });
});

describe('a store opened for reading', () => {
  it('writes nothing and refuses to', async () => {
    const directory = temporaryDirectory();
    FileMedium.open(directory).blocking?.putIfAbsent('a/x', bytes('x'));
    rmSync(`${directory}/tmp`, { recursive: true });
    const { medium, blocking, calls } = openFaulty(directory, { readOnly: true });
    expect(blocking.get('a/x')).toEqual(bytes('x'));
    expect(await medium.get('a/x', { offset: 0, length: 1 })).toEqual(bytes('x'));
    expect(await medium.list('a/')).toHaveLength(1);
    await medium.syncNames('a/');
    expect(await medium.nowMs()).toBeUndefined();
    await expect(medium.putIfAbsent('a/y', bytes('y'))).rejects.toMatchObject({ code: 'READ_ONLY' });
    await expect(medium.delete(['a/x'])).rejects.toMatchObject({ code: 'READ_ONLY' });
    expect(() => blocking.openAppend('a/z')).toThrow(expect.objectContaining({ code: 'READ_ONLY' }));
    expect(new Set(calls)).toEqual(new Set(['stat', 'open', 'fstat', 'read', 'close', 'readdir']));
    expect(readdirSync(directory)).toEqual(['a']);
  });

  it('is not created', () => {
    const directory = temporaryDirectory();
    expect(() => FileMedium.open(`${directory}/x`, { readOnly: true })).toThrow(expect.objectContaining({ code: 'STORE_NOT_FOUND' }));
    expect(() => FileMedium.open(`${directory}/x`, { readOnly: true, create: true })).toThrow(TypeError);
    expect(readdirSync(directory)).toEqual([]);
  });
});

describe('opening a directory', () => {
  it('makes it only when asked to, parents included', () => {
    const directory = temporaryDirectory();
    expect(() => FileMedium.open(`${directory}/a/b`)).toThrow(expect.objectContaining({ code: 'STORE_NOT_FOUND' }));
    FileMedium.open(`${directory}/a/b`, { create: true });
    expect(readdirSync(`${directory}/a`)).toEqual(['b']);
    writeFileSync(`${directory}/file`, '');
    expect(() => FileMedium.open(`${directory}/file`, { create: true })).toThrow(expect.objectContaining({ code: 'STORE_NOT_FOUND' }));
  });
});

describe('modes', () => {
  it('are those asked for, whatever the umask takes away', async () => {
    const directory = temporaryDirectory();
    const group = statSync(directory).gid;
    const medium = FileMedium.open(`${directory}/store`, { create: true, fileMode: 0o666, directoryMode: 0o2777, group });
    await medium.putIfAbsent('ns/a/root/1', bytes('1'));
    (await medium.openAppend('ns/a/log/s')).close();
    const mode = (name: string) => (statSync(`${directory}/store${name}`).mode & 0o7777).toString(8);
    for (const name of ['', '/ns', '/ns/a', '/ns/a/root', '/ns/a/log', '/tmp']) expect([name, mode(name)]).toEqual([name, '2777']);
    for (const name of ['/ns/a/root/1', '/ns/a/log/s']) expect([name, mode(name)]).toEqual([name, '666']);
    expect(readdirSync(`${directory}/store/tmp`)).toEqual([]);
  });

  it('survive a directory that another makes at the same time', () => {
    const directory = temporaryDirectory();
    const { blocking, faults } = openFaulty(directory, { directoryMode: 0o777 });
    const makeFirst = () => {
      mkdirSync(`${directory}/ns/a`, { recursive: true });
      writeFileSync(`${directory}/ns/a/other`, '');
      chmodSync(`${directory}/ns`, 0o777);
    };
    faults.push({ operation: 'rename', code: 'ENOTEMPTY', times: 1, path: /ns$/, after: makeFirst });
    expect(blocking.putIfAbsent('ns/a/x', bytes('x'))).toBe(true);
    expect(blocking.list('ns/').map(({ name }) => name)).toEqual(['ns/a/other', 'ns/a/x']);
    expect(readdirSync(`${directory}/tmp`)).toEqual([]);
  });
});

describe('an append-only file that syncs often', () => {
  it('is kept longer by zeros, at least eight, and is cut when it is closed', () => {
    const directory = temporaryDirectory();
    const file = blockingOf(FileMedium.open(directory)).openAppend('s');
    let written = '';
    for (let i = 0; i < 800; i++) {
      const frame = String(i).padStart(i % 100 === 0 ? 30_001 : 501, 'x');
      file.write(bytes(frame));
      written += frame;
      if (i < 20) file.syncBlocking();
      const size = statSync(`${directory}/s`).size;
      if (i <= 15) expect(size).toBe(written.length);
      else expect(size).toBeGreaterThanOrEqual(written.length + 8);
    }
    const found = readFileSync(`${directory}/s`, 'latin1');
    expect(found.slice(0, written.length) === written).toBe(true);
    expect(/^\0+$/.test(found.slice(written.length))).toBe(true);
    file.close();
    expect(readFileSync(`${directory}/s`, 'latin1') === written).toBe(true);
  });
});

function linkTarget(fd: string): string[] {
  try {
    return [readlinkSync(`/proc/self/fd/${fd}`)];
  } catch {
    return [];
  }
}
