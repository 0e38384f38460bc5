/**
 * Finds out whether a medium keeps the promises that everything rests on, before a store trusts it. Some object stores
 * ignore the condition of a conditional put without a word, some list what they hold only after a while.
 */
import { PeatError } from '../base/errors.ts';
import { randomId, type System } from '../base/system.ts';
import { TMP_PREFIX } from '../format/layout.ts';
import type { Medium } from './medium.ts';

/** What was found; written to `peat.json` for people. */
export interface ProbeFacts {
  readonly medium: string;
  readonly isRemote: boolean;
  readonly canAppend: boolean;
}

const RACERS = 2;

/**
 * Writes a few objects under `tmp/`, and removes them.
 *
 * @throws PeatError `MEDIUM_UNSUITABLE` naming the promise that was not kept.
 */
export async function probeMedium(medium: Medium, system: System): Promise<ProbeFacts> {
  const id = randomId(system, 20);
  const raced = `${TMP_PREFIX}probe-${id}`;
  const second = `${TMP_PREFIX}probe-${id}-2`;
  const appended = `${TMP_PREFIX}probe-append-${id}`;
  try {
    await probeRace(medium, raced);
    await probeListing(medium, raced, second);
    if (medium.canAppend) await probeAppend(medium, appended);
  } finally {
    await medium.delete([raced, second, appended]);
  }
  if ((await medium.get(raced)) !== undefined) refuse(medium, 'an object was still there after its deletion');
  const left = await medium.list(TMP_PREFIX);
  if (left.some(({ name }) => name === raced || name === second))
    refuse(medium, 'a listing shows an object that had been deleted before it began');
  return { medium: medium.description, isRemote: medium.isRemote, canAppend: medium.canAppend };
}

async function probeRace(medium: Medium, name: string): Promise<void> {
  const bytes = Array.from({ length: RACERS }, (_, racer) => Buffer.from(`racer ${racer} of ${name}`));
  // All are waited for, also where one fails: what a racer puts after the probe is over would stay.
  const settled = await Promise.allSettled(bytes.map((mine) => medium.putIfAbsent(name, mine)));
  for (const result of settled) if (result.status === 'rejected') throw result.reason;
  const winners = bytes.filter((_, racer) => settled[racer]?.status === 'fulfilled' && settled[racer].value);
  const [winner] = winners;
  if (winner === undefined || winners.length !== 1)
    refuse(medium, `${winners.length} of ${RACERS} racers created the same object; exactly one may`);
  const late = await medium.putIfAbsent(name, Buffer.from(`late for ${name}`));
  if (late) refuse(medium, 'an object that was there was created again');
  const there = await medium.get(name);
  if (there === undefined || !there.equals(winner)) refuse(medium, 'an object does not hold the bytes of the one who created it');
  const listed = await medium.list(TMP_PREFIX);
  if (!listed.some((object) => object.name === name)) refuse(medium, 'a listing lacks an object that had been created before it began');
}

/** `first` is there already. */
async function probeListing(medium: Medium, first: string, second: string): Promise<void> {
  await medium.putIfAbsent(second, Buffer.from(second));
  const all = (await medium.list(TMP_PREFIX)).map(({ name }) => name);
  if (all.some((name, i) => name <= (all[i - 1] ?? ''))) refuse(medium, 'a listing is not in order');
  const names = (await medium.list(TMP_PREFIX, { after: first })).map(({ name }) => name);
  if (!names.includes(second)) refuse(medium, 'a listing from a name on lacks an object that had been created before it began');
  if (names.some((name) => name <= first)) refuse(medium, 'a listing ignores where it should start');
}

async function probeAppend(medium: Medium, name: string): Promise<void> {
  const file = await medium.openAppend(name);
  try {
    file.write(Buffer.from('one '));
    await file.sync();
    file.write(Buffer.from('two'));
    const there = await medium.get(name, { offset: 4, length: 3 });
    if (there?.toString() !== 'two') refuse(medium, 'bytes that were appended can not be read back at once');
  } finally {
    file.close();
  }
}

function refuse(medium: Medium, what: string): never {
  throw new PeatError('MEDIUM_UNSUITABLE', `${medium.description} can't hold a store: ${what}`);
}
