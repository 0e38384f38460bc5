/**
 * Every byte of a store is damaged, one at a time, and every file cut off at every length. Reads, `verify` and `repair` answer with what was
 * there, or refuse; see `test/support/damage.ts`. In CI of every few bytes one is tried, another one each time; `PEAT_FUZZ_FULL=1` tries all.
 */
import { beforeAll, describe, expect, it } from 'vitest';
import { parseStoreName } from '../../src/inspect/store-names.ts';
import { testSeed } from '../support/child.ts';
import { type Contents, cutsOf, DamageJudge, framesIn } from '../support/damage.ts';
import { randomFrom } from '../support/random.mjs';
import { Zoo } from '../support/store-zoo.ts';

const IS_FULL = process.env['PEAT_FUZZ_FULL'] === '1';
const READ_EVERY = IS_FULL ? 1 : 6;
const REPAIR_EVERY = IS_FULL ? 7 : 60;

let judge: DamageJudge;

beforeAll(async () => {
  const zoo = new Zoo();
  await zoo.build();
  judge = await DamageJudge.of(zoo);
});

/** Where damage looks like a tear: in the last group, of which nothing tells that it was ever whole. */
function tornFrom(name: string, bytes: Buffer): number {
  const parsed = parseStoreName(name);
  if (parsed.kind !== 'segment') return Number.POSITIVE_INFINITY;
  return framesIn(parsed.segment, bytes).at(-1)?.groupStart ?? 0;
}

/** What a repair may take for the truth besides: of what the newest root has added there is no trace but itself. */
async function withoutNewestRoot(name: string): Promise<Contents[]> {
  return parseStoreName(name).kind === 'root' ? await judge.alternatives([{ [name]: undefined }]) : [];
}

interface Damage {
  readonly name: string;
  readonly bytes: Buffer;
  readonly what: string;
}

async function tryAll(damages: (random: () => number) => Iterable<Damage>, legalOf: (name: string) => Promise<Contents[]>): Promise<void> {
  const random = randomFrom(testSeed());
  const legal = new Map<string, Promise<Contents[]>>();
  const problems: string[] = [];
  const tried = { reads: 0, repairs: 0 };
  for (const { name, bytes, what } of damages(random)) {
    const isRead = IS_FULL || random() < 1 / READ_EVERY;
    const isRepaired = random() < 1 / REPAIR_EVERY;
    if (!isRead && !isRepaired) continue;
    const others = legal.get(name) ?? legalOf(name);
    legal.set(name, others);
    const store = judge.store.with({ [name]: bytes });
    const repaired = isRepaired ? [...(await others), ...(await withoutNewestRoot(name))] : [];
    const wrong = [
      isRead ? await judge.read(store, await others) : undefined,
      isRepaired ? await judge.verify(store) : undefined,
      isRepaired ? await judge.repair(store, repaired) : undefined,
    ].filter((one) => one !== undefined);
    for (const one of wrong) problems.push(`${name}, ${what}: ${one}`);
    if (isRead) tried.reads++;
    if (isRepaired) tried.repairs++;
  }
  console.log(`${tried.reads} times read, ${tried.repairs} times repaired`);
  expect(tried.repairs).toBeGreaterThan(50);
  expect(problems).toEqual([]);
}

describe('a store of which a part is damaged', () => {
  it('answers with what was there, or refuses, whichever byte is flipped', async () => {
    await tryAll(
      function* (random) {
        for (const [name, bytes] of judge.store.files) {
          for (let at = 0; at < bytes.length; at++) {
            const bits = 1 + Math.floor(255 * random());
            const flipped = Buffer.from(bytes);
            flipped[at] = (bytes[at] as number) ^ bits;
            yield { name, bytes: flipped, what: `byte ${at} with bits ${bits}` };
          }
        }
      },
      async (name) => {
        const bytes = judge.store.files.get(name) as Buffer;
        return await judge.alternatives(cutsOf(name, bytes, tornFrom(name, bytes)));
      },
    );
  });

  it('answers with what was there, or refuses, wherever a file is cut off', async () => {
    await tryAll(
      function* () {
        for (const [name, bytes] of judge.store.files) {
          for (let length = 0; length < bytes.length; length++)
            yield { name, bytes: bytes.subarray(0, length), what: `cut off at ${length}` };
        }
      },
      async (name) => await judge.alternatives(cutsOf(name, judge.store.files.get(name) as Buffer, 0)),
    );
  });
});
