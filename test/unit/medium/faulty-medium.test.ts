/** The tests' own tool. */
import { expect, it } from 'vitest';
import { nodeSystem } from '../../../src/base/system.ts';
import { MemoryMedium } from '../../../src/medium/memory-medium.ts';
import { FaultyMedium } from '../../support/faulty-medium.ts';

const make = () => new FaultyMedium(new MemoryMedium({ canAppend: true, system: nodeSystem }), { record: true });
const bytes = (text: string): Buffer => Buffer.from(text);

it('fails the nth call that fits, then no more', async () => {
  const faulty = make();
  faulty.inject({ when: { op: 'putIfAbsent', name: /root/ }, skip: 1 });
  await faulty.putIfAbsent('root/1', bytes('1'));
  await faulty.putIfAbsent('log/1', bytes('1'));
  await expect(faulty.putIfAbsent('root/2', bytes('2'))).rejects.toThrow('injected: putIfAbsent of root/2 (call 3)');
  expect(await faulty.putIfAbsent('root/2', bytes('2'))).toBe(true);
  expect(faulty.counts.putIfAbsent).toBe(4);
  expect(faulty.calls.map(({ name }) => name)).toEqual(['root/1', 'log/1', 'root/2', 'root/2']);
});

it('executes a call, and drops its answer', async () => {
  const faulty = make();
  const remove = faulty.inject({
    when: { op: 'putIfAbsent' },
    effect: 'drop-answer',
    times: Number.POSITIVE_INFINITY,
    error: new Error('lost'),
  });
  expect(() => faulty.blocking?.putIfAbsent('a', bytes('a'))).toThrow('lost');
  remove();
  expect(await faulty.get('a')).toEqual(bytes('a'));
});

it('writes one half of an append', async () => {
  const faulty = make();
  const file = await faulty.openAppend('log/s');
  faulty.inject({ when: { op: 'write' }, effect: 'half' });
  expect(() => file.write(bytes('12345678'))).toThrow('injected');
  expect(await faulty.get('log/s')).toEqual(bytes('1234'));
});

it('stops a process for good from its nth call on', async () => {
  const faulty = make();
  faulty.inject({ when: (call) => call.number >= 3, times: Number.POSITIVE_INFINITY });
  const file = await faulty.openAppend('log/s');
  file.write(bytes('x'));
  await expect(file.sync()).rejects.toThrow('injected');
  await expect(faulty.list('log/')).rejects.toThrow('injected');
  faulty.heal();
  expect(await faulty.list('log/')).toEqual([{ name: 'log/s' }]);
});

it('deletes one half of the names', async () => {
  const faulty = make();
  for (const name of ['a', 'b', 'c', 'd']) await faulty.putIfAbsent(name, bytes(name));
  faulty.inject({ when: { op: 'delete' }, effect: 'half' });
  await expect(faulty.delete(['a', 'b', 'c', 'd'])).rejects.toThrow('injected');
  expect((await faulty.list('')).map(({ name }) => name)).toEqual(['c', 'd']);
});

it('executes a call long after it has failed', async () => {
  const faulty = make();
  faulty.inject({ when: { op: 'putIfAbsent' }, effect: 'late', error: ({ name }) => new Error(`no answer about ${name}`) });
  await expect(faulty.putIfAbsent('a', bytes('a'))).rejects.toThrow('no answer about a');
  expect(await faulty.get('a')).toBeUndefined();
  await faulty.executeLate();
  expect(await faulty.get('a')).toEqual(bytes('a'));
});
