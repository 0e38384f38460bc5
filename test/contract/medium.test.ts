/** What every medium must give, whatever it is made of. */
import { describe, expect, it } from 'vitest';
import { isPeatError } from '../../src/base/errors.ts';
import { nodeSystem } from '../../src/base/system.ts';
import { FileMedium } from '../../src/medium/file-medium.ts';
import type { Medium } from '../../src/medium/medium.ts';
import { MemoryMedium } from '../../src/medium/memory-medium.ts';
import { probeMedium } from '../../src/medium/probe.ts';
import { sweepTmp } from '../../src/medium/sweep-tmp.ts';
import { BUCKET_NAME, openBucket, openCachedBucket, REAL_SERVER, SKIPPED } from '../support/s3/buckets.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

const system = nodeSystem;

const localMedia: Record<string, () => Medium | Promise<Medium>> = {
  'memory with append': () => new MemoryMedium({ canAppend: true, system }),
  'memory without append': () => new MemoryMedium({ canAppend: false, blocking: false, system }),
  'files with append': () => FileMedium.open(temporaryDirectory()),
  'files without append': () => FileMedium.open(temporaryDirectory(), { canAppend: false }),
  'files as on a network': () => FileMedium.open(temporaryDirectory(), { remote: true }),
  'files with modes': () => FileMedium.open(temporaryDirectory(), { fileMode: 0o640, directoryMode: 0o750 }),
};

const inBucket = { [BUCKET_NAME]: () => openBucket()(), [`a cache before ${BUCKET_NAME}`]: () => openCachedBucket()() };
const media: Record<string, () => Medium | Promise<Medium>> = REAL_SERVER === undefined ? { ...localMedia, ...inBucket } : inBucket;

const bytes = (text: string): Buffer => Buffer.from(text);

describe.skipIf(SKIPPED !== undefined).each(Object.entries(media))('a medium of %s', (_, make) => {
  it('gives back what was put', async () => {
    const medium = await make();
    expect(await medium.putIfAbsent('ns/a/root/1', bytes('hello'))).toBe(true);
    expect(await medium.get('ns/a/root/1')).toEqual(bytes('hello'));
  });

  it('puts empty and large objects', async () => {
    const medium = await make();
    const large = Buffer.alloc(3_000_000, 'peat');
    await medium.putIfAbsent('tmp/empty', bytes(''));
    await medium.putIfAbsent('tmp/large', large);
    expect(await medium.get('tmp/empty')).toEqual(bytes(''));
    expect((await medium.get('tmp/large'))?.equals(large)).toBe(true);
  });

  it('leaves what is there when the name is taken', async () => {
    const medium = await make();
    await medium.putIfAbsent('ns/a/root/1', bytes('first'));
    expect(await medium.putIfAbsent('ns/a/root/1', bytes('other'))).toBe(false);
    expect(await medium.putIfAbsent('ns/a/root/1', bytes('longer than the first'))).toBe(false);
    expect(await medium.get('ns/a/root/1')).toEqual(bytes('first'));
  });

  it('says that the object is mine when the same bytes are put again', async () => {
    const medium = await make();
    await medium.putIfAbsent('ns/a/root/1', bytes('nonce 1'));
    expect(await medium.putIfAbsent('ns/a/root/1', bytes('nonce 1'))).toBe(true);
  });

  it('lets exactly one of many racers win, with its own bytes', async () => {
    const medium = await make();
    for (let round = 0; round < 10; round++) {
      const racers = Array.from({ length: 16 }, (_, i) => bytes(`racer ${i}`));
      const won = await Promise.all(racers.map((mine) => medium.putIfAbsent(`lock/user/x/${round}`, mine, { durable: round % 2 === 0 })));
      expect(won.filter(Boolean)).toHaveLength(1);
      expect(await medium.get(`lock/user/x/${round}`)).toEqual(racers[won.indexOf(true)]);
    }
  });

  it('gives undefined for what is not there', async () => {
    const medium = await make();
    expect(await medium.get('ns/a/root/1')).toBeUndefined();
    expect(await medium.get('ns/a/root/1', { offset: 0, length: 10 })).toBeUndefined();
    await medium.putIfAbsent('ns/a', bytes('x'));
    expect(await medium.get('ns/a/below')).toBeUndefined();
  });

  it('gives the part of an object that a range covers', async () => {
    const medium = await make();
    await medium.putIfAbsent('shard/t', bytes('0123456789'));
    const part = async (offset: number, length: number) => (await medium.get('shard/t', { offset, length }))?.toString();
    expect(await part(0, 3)).toBe('012');
    expect(await part(4, 2)).toBe('45');
    expect(await part(8, 100)).toBe('89');
    expect(await part(10, 1)).toBe('');
    expect(await part(50, 1)).toBe('');
    expect(await part(2, 0)).toBe('');
  });

  it('hands out buffers that belong to the caller', async () => {
    const medium = await make();
    const mine = bytes('mine');
    await medium.putIfAbsent('a/b', mine);
    mine.fill('x');
    (await medium.get('a/b'))?.fill('y');
    (await medium.get('a/b', { offset: 0, length: 4 }))?.fill('z');
    expect(await medium.get('a/b')).toEqual(bytes('mine'));
  });

  it('lists at any depth in byte order of whole names', async () => {
    const medium = await make();
    const names = ['log/a/1', 'log/a-1', 'log/a.b', 'log/a0', 'log/B', 'log/a/2/x', 'log/_', 'other/1', 'log0/1'];
    for (const name of names) await medium.putIfAbsent(name, bytes(name), { durable: false });
    const listed = (await medium.list('log/')).map(({ name }) => name);
    expect(listed).toEqual(['log/B', 'log/_', 'log/a-1', 'log/a.b', 'log/a/1', 'log/a/2/x', 'log/a0']);
    expect(await medium.list('missing/')).toEqual([]);
  });

  it('lists only what comes after a name', async () => {
    const medium = await make();
    for (const name of ['l/a/1', 'l/a/2', 'l/b', 'l/c/1']) await medium.putIfAbsent(name, bytes(name), { durable: false });
    const namesAfter = async (name: string) => (await medium.list('l/', { after: name })).map((object) => object.name);
    expect(await namesAfter('l/a/1')).toEqual(['l/a/2', 'l/b', 'l/c/1']);
    expect(await namesAfter('l/a/3')).toEqual(['l/b', 'l/c/1']);
    expect(await namesAfter('l/b')).toEqual(['l/c/1']);
    expect(await namesAfter('a')).toEqual(['l/a/1', 'l/a/2', 'l/b', 'l/c/1']);
    expect(await namesAfter('l/c/1')).toEqual([]);
    expect(await namesAfter('z')).toEqual([]);
  });

  it('lists the folders directly under a prefix, in order', async () => {
    const medium = await make();
    for (const name of ['ns/b/root/1', 'ns/a.x/root/1', 'ns/a/root/1', 'ns/a/root/2', 'ns/file'])
      await medium.putIfAbsent(name, bytes(name));
    expect(await medium.listFolders('ns/')).toEqual(['a', 'a.x', 'b']);
    expect(await medium.listFolders('ns/a/root/')).toEqual([]);
    expect(await medium.listFolders('missing/')).toEqual([]);
  });

  it('tells sizes and times when asked', async () => {
    const medium = await make();
    await medium.putIfAbsent('l/a', bytes('12345'));
    const [listed] = await medium.list('l/', { stats: true });
    expect(listed).toMatchObject({ name: 'l/a', size: 5 });
    expect(Math.abs((listed?.modifiedMs ?? 0) - system.wallNowMs())).toBeLessThan(60_000);
    expect(await medium.list('l/')).toEqual([{ name: 'l/a' }]);
  });

  it('stops a listing whose signal was aborted', async () => {
    const reason = new Error('enough');
    await expect((await make()).list('l/', { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
  });

  it('deletes what is there, and minds nothing that is not', async () => {
    const medium = await make();
    await medium.putIfAbsent('l/a', bytes('a'));
    await medium.putIfAbsent('l/b', bytes('b'));
    await medium.get('l/a', { offset: 0, length: 1 });
    await medium.delete(['l/a', 'l/missing', 'nowhere/x']);
    await medium.delete([]);
    expect(await medium.get('l/a')).toBeUndefined();
    expect(await medium.get('l/a', { offset: 0, length: 1 })).toBeUndefined();
    expect(await medium.list('l/')).toEqual([{ name: 'l/b' }]);
  });

  it('creates objects of a segment whose others were all deleted', async () => {
    const medium = await make();
    await medium.putIfAbsent('ns/a/log/seg/00000000', bytes('0'));
    await medium.delete(['ns/a/log/seg/00000000']);
    expect(await medium.putIfAbsent('ns/a/log/seg/00000001', bytes('1'))).toBe(true);
    expect(await medium.list('ns/a/log/')).toEqual([{ name: 'ns/a/log/seg/00000001' }]);
  });

  it('syncs names under any prefix', async () => {
    const medium = await make();
    await medium.putIfAbsent('ns/a/root/1', bytes('1'), { durable: false });
    await medium.syncNames('ns/a/root/');
    await medium.syncNames('ns/missing/');
  });

  it('passes the probe, which leaves nothing behind', async () => {
    const medium = await make();
    const facts = await probeMedium(medium, system);
    expect(facts).toEqual({ medium: medium.description, isRemote: medium.isRemote, canAppend: medium.canAppend });
    expect(await medium.list('tmp/')).toEqual([]);
  });

  it('knows its own time if it is remote', async () => {
    const medium = await make();
    const now = await medium.nowMs();
    if (medium.isRemote) expect(Math.abs((now ?? 0) - system.wallNowMs())).toBeLessThan(60_000);
    else expect(now).toBeUndefined();
    expect(await medium.list('tmp/')).toEqual([]);
  });

  it('keeps temporary files that are young, and sweeps old ones', async () => {
    const medium = await make();
    await medium.putIfAbsent('tmp/x', bytes('x'));
    expect(await sweepTmp(medium, system)).toEqual([]);
    if (medium.isRemote) return; // It goes by its own clock, which can't be moved here.
    const later = { ...system, wallNowMs: () => system.wallNowMs() + 2 * 3_600_000 };
    expect(await sweepTmp(medium, later)).toEqual(['tmp/x']);
    expect(await medium.list('tmp/')).toEqual([]);
  });

  it('refuses append-only files unless it can', async () => {
    const medium = await make();
    if (medium.canAppend) return;
    await expect(medium.openAppend('log/s')).rejects.toMatchObject({ code: 'MEDIUM_UNSUITABLE' });
  });
});

const appendable = Object.entries(media).filter(([name]) => /with append|modes/.test(name));

/** What stands in a file, without what was allocated ahead. */
const content = (found: Buffer | undefined): string => (found?.toString() ?? 'missing').replace(/\0+$/, '');

describe.each(appendable)('an append-only file on a medium of %s', (_, make) => {
  it('shows written bytes at once', async () => {
    const medium = await make();
    const file = await medium.openAppend('ns/a/log/s');
    expect(await medium.get('ns/a/log/s')).toEqual(bytes(''));
    file.write(bytes('one'));
    expect(content(await medium.get('ns/a/log/s'))).toBe('one');
    expect(content(await medium.get('ns/a/log/s', { offset: 1, length: 50 }))).toBe('ne');
    file.write(bytes('two'));
    expect(content(await medium.get('ns/a/log/s', { offset: 1, length: 50 }))).toBe('netwo');
    file.close();
  });

  it('holds exactly what was written once it is closed, after many syncs of both forms', async () => {
    const medium = await make();
    const file = await medium.openAppend('log/s');
    let expected = '';
    for (let i = 0; i < 60; i++) {
      const frame = `frame ${i};`.repeat(i % 7 === 0 ? 1000 : 1);
      file.write(bytes(frame));
      expected += frame;
      if (i % 2 === 0) await file.sync();
      else file.syncBlocking();
      expect(content(await medium.get('log/s'))).toBe(expected);
    }
    file.close();
    file.close();
    expect((await medium.get('log/s'))?.toString()).toBe(expected);
  });

  it('tells where it ends, for now, once it was read from', async () => {
    const medium = await make();
    const endsAt = (offset: number): boolean | undefined => medium.blocking?.endsAt?.('log/s', offset);
    expect(endsAt(0)).toBe(false);
    const file = await medium.openAppend('log/s');
    file.write(bytes('header, '));
    await medium.get('log/s', { offset: 0, length: 8 });
    expect(endsAt(8)).toBe(true);
    let length = 8;
    for (let i = 0; i < 40; i++) {
      file.write(bytes('a frame of 20 bytes.'));
      expect(endsAt(length)).toBe(false);
      expect(endsAt(length + 16)).toBe(false);
      length += 20;
      // With zeros behind it, from the 16th on.
      expect(endsAt(length)).toBe(true);
      await file.sync();
    }
    file.close();
    expect(endsAt(length)).toBe(true);
    expect(endsAt(length + 100)).toBe(true);
    expect(endsAt(length - 3)).toBe(false);
  });

  it('takes writes while a sync is under way', async () => {
    const medium = await make();
    const file = await medium.openAppend('log/s');
    file.write(bytes('a'));
    const syncs = [file.sync(), file.sync()];
    file.write(bytes('b'));
    await Promise.all(syncs);
    const last = file.sync();
    file.close();
    await last;
    expect(content(await medium.get('log/s'))).toBe('ab');
  });

  it('refuses a name that is taken, and says why', async () => {
    const medium = await make();
    (await medium.openAppend('log/s')).close();
    const error: unknown = await medium.openAppend('log/s').catch((failure: unknown) => failure);
    expect(isPeatError(error, 'STORAGE')).toBe(true);
    expect(error).toMatchObject({ cause: { code: 'EEXIST' } });
    expect(() => medium.blocking?.openAppend('log/s')).toThrow('EEXIST');
  });

  it('syncs in both forms at the same time', async () => {
    const file = await (await make()).openAppend('log/s');
    for (let i = 0; i < 10; i++) {
      file.write(bytes('x'));
      const syncs = [file.sync(), file.sync()];
      file.syncBlocking();
      await Promise.all(syncs);
    }
    const last = [file.sync(), file.sync()];
    file.close();
    await Promise.all(last);
  });

  it('takes nothing after it was closed', async () => {
    const file = await (await make()).openAppend('log/s');
    file.close();
    expect(() => file.write(bytes('x'))).toThrow('closed');
    expect(() => file.syncBlocking()).toThrow('closed');
    await expect(file.sync()).rejects.toMatchObject({ code: 'CLOSED' });
  });
});

const blockable = Object.entries(media).filter(([name]) => !/memory without|network|bucket/.test(name));

describe.each(blockable)('the blocking form of a medium of %s', (_, make) => {
  it('does the same as the other', async () => {
    const medium = await make();
    const blocking = medium.blocking;
    if (blocking === undefined) throw new Error('no blocking form');
    expect(blocking.putIfAbsent('l/a', bytes('12345'))).toBe(true);
    expect(blocking.putIfAbsent('l/a', bytes('other'), { durable: false })).toBe(false);
    expect(blocking.putIfAbsent('l/a', bytes('12345'))).toBe(true);
    expect(blocking.get('l/a')).toEqual(bytes('12345'));
    for (let i = 0; i < 2; i++) {
      expect(blocking.get('l/a', { offset: 1, length: 2 })).toEqual(bytes('23'));
      expect(blocking.get('l/a', { offset: 4, length: 2 })).toEqual(bytes('5'));
      expect(blocking.get('l/a', { offset: 9, length: 2 })).toEqual(bytes(''));
    }
    expect(blocking.list('l/', { stats: true })).toMatchObject([{ name: 'l/a', size: 5 }]);
    await medium.delete(['l/a']);
    expect(blocking.get('l/a', { offset: 1, length: 2 })).toBeUndefined();
    expect(blocking.get('l/a')).toBeUndefined();
    expect(blocking.list('l/')).toEqual([]);
  });

  it('gives a watermark that changes when a name comes or goes', async () => {
    const medium = await make();
    const blocking = medium.blocking;
    if (blocking === undefined) throw new Error('no blocking form');
    const quiet = async (): Promise<string> => {
      for (;;) {
        const watermark = blocking.watermark('l/');
        if (watermark !== undefined) return watermark;
        await system.sleep(5);
      }
    };
    blocking.putIfAbsent('l/a', bytes('a'));
    const first = await quiet();
    expect(blocking.watermark('l/')).toBe(first);
    blocking.putIfAbsent('l/b', bytes('b'));
    const second = await quiet();
    expect(second).not.toBe(first);
    await medium.delete(['l/a']);
    expect(await quiet()).not.toBe(second);
  });
});
