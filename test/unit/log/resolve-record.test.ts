import { describe, expect, test } from 'vitest';
import { PeatError } from '../../../src/base/errors.ts';
import { namespaceLayout, recordName } from '../../../src/format/layout.ts';
import { decodeRecord, encodeRecord, type SerialRecord } from '../../../src/format/record.ts';
import { resolveUndecided } from '../../../src/log/resolve-record.ts';
import { MemoryMedium } from '../../../src/medium/memory-medium.ts';
import { FaultyMedium } from '../../support/faulty-medium.ts';
import { VirtualSystem } from '../../support/virtual-system.ts';

const layout = namespaceLayout('runs');
const system = new VirtualSystem();
const primary = { stripe: 1, number: 7 };
const secondary: SerialRecord = {
  id: { stripe: 2, number: 3 },
  nonce: 'n'.repeat(20),
  root: 4,
  kind: 'secondary',
  links: [primary],
  entries: [],
};

async function primaryOn(medium: MemoryMedium): Promise<SerialRecord> {
  return decodeRecord(layout, primary, (await medium.get(recordName(layout, primary))) as Buffer);
}

describe('resolving an undecided record', () => {
  test('takes the number of the deciding record with an empty one, made at the newest root', async () => {
    const medium = new MemoryMedium({ system, canAppend: true });
    await resolveUndecided({ medium, system, layout }, secondary, { number: 9 });
    const empty = await primaryOn(medium);
    expect(empty).toMatchObject({ kind: 'single', root: 9, links: [], entries: [] });
    expect(empty.nonce).not.toBe(secondary.nonce);
  });

  test('leaves what has been decided meanwhile', async () => {
    const medium = new MemoryMedium({ system, canAppend: true });
    const decision: SerialRecord = { ...secondary, id: primary, kind: 'primary', links: [secondary.id] };
    await medium.putIfAbsent(recordName(layout, primary), encodeRecord(layout, decision));
    await resolveUndecided({ medium, system, layout }, secondary, { number: 9 });
    expect(await primaryOn(medium)).toEqual(decision);
  });

  test('fails as something that may be tried again if it may not have been decided', async () => {
    const medium = new FaultyMedium(new MemoryMedium({ system, canAppend: true }), { system });
    medium.inject({ when: { op: 'putIfAbsent' }, error: new PeatError('OUTCOME_UNKNOWN', 'the answer was lost') });
    const attempt = resolveUndecided({ medium, system, layout }, secondary, { number: 9 });
    await expect(attempt).rejects.toMatchObject({ code: 'TEMPORARY', cause: { code: 'OUTCOME_UNKNOWN' } });
  });

  test('is for secondaries only', async () => {
    const medium = new MemoryMedium({ system, canAppend: true });
    const single: SerialRecord = { ...secondary, kind: 'single', links: [] };
    await expect(resolveUndecided({ medium, system, layout }, single, { number: 9 })).rejects.toThrow('only a secondary');
    expect(await medium.list(layout.log)).toEqual([]);
  });
});
