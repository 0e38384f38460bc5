import { describe, expect, test } from 'vitest';
import type { PassContext } from '../../../compactor/pass.ts';
import { compactOnce } from '../../../compactor/pass.ts';
import type { Key } from '../../../src/base/key.ts';
import type { Delta } from '../../../src/format/batch.ts';
import type { SegmentWriter } from '../../../src/log/segment-writer.ts';
import { createNamespace } from '../../../src/manifest/commit-root.ts';
import { CompactorWorld, del, put, SEED, type Write } from '../../support/compactor-world.ts';
import { naiveRead, naiveValues } from '../../support/naive-read.ts';
import { type NaiveOutcome, naiveUpdate } from '../../support/naive-update.ts';
import { Turns, turnMedium } from '../../support/turns.ts';

console.log(`PEAT_SEED=${SEED}`);

class History {
  readonly w: CompactorWorld;
  readonly open: SegmentWriter[] = [];
  /** Written, and not checked yet. */
  pending: Write[] = [];
  readonly unknown = new Set<Key>();
  readonly fates = { acknowledged: 0, wait: 0, unknown: 0, dead: 0 };
  /** Newest write of a key after which it may be missing, acknowledged or not. */
  readonly drops = new Map<Key, number>();
  #values = 0;

  constructor(w: CompactorWorld) {
    this.w = w;
  }

  below(n: number): number {
    return Math.floor(this.w.system.random() * n);
  }

  deltas(): Delta[] {
    const keys = new Set<string>();
    for (let i = this.below(8); i >= 0; i--) keys.add(`k${this.below(60)}`);
    return [...keys].map((key) => {
      const kind = this.below(10);
      if (kind < 3) return del(key);
      const value = `${this.#values++}${'x'.repeat(this.below(2000))}`;
      return put(key, value, kind === 3 ? this.w.system.wallNowMs() + this.below(600_000) : 0);
    });
  }

  async append(isStalling: boolean): Promise<void> {
    if (this.open.length < 3) this.open.push(await this.w.open());
    const segment = this.open[this.below(this.open.length)] as SegmentWriter;
    const write = await this.w.append(segment, this.deltas());
    this.#noteDrops(write);
    this.pending.push(write);
    if (!isStalling) await this.checkAll();
  }

  /** The post-checks of all that is pending; what a drain may still take in stays. */
  async checkAll(): Promise<void> {
    const waiting: Write[] = [];
    for (const write of this.pending) {
      const fate = await this.w.check(write);
      this.fates[fate]++;
      if (fate === 'wait') waiting.push(write);
      if (fate === 'unknown') for (const { key } of write.deltas) this.unknown.add(key);
      if (fate === 'dead' || fate === 'unknown') this.leave(write.segment);
    }
    this.pending = waiting;
  }

  #noteDrops({ deltas, time }: Write): void {
    for (const { key, value, expiresAtMs } of deltas) {
      if (value === undefined || expiresAtMs !== 0) this.drops.set(key, Math.max(time, this.drops.get(key) ?? 0));
    }
  }

  leave(segment: SegmentWriter): void {
    const at = this.open.indexOf(segment);
    if (at >= 0) this.open.splice(at, 1);
  }

  /** Rule A8: a seal comes after the last frame's post-check. */
  async end(isSealed: boolean): Promise<void> {
    const segment = this.open[this.below(this.open.length)];
    if (segment === undefined || this.pending.some((write) => write.segment === segment)) return;
    this.leave(segment);
    if (isSealed) await segment.seal();
    else segment.abandon();
  }

  async verify(): Promise<void> {
    const keys = new Set(this.unknown);
    for (const { deltas } of this.pending) for (const { key } of deltas) keys.add(key);
    expect(await this.w.differences(keys)).toEqual([]);
  }
}

describe.each([true, false])('on a medium with append: %s', (canAppend) => {
  test('random histories of writers and passes read as the oracle says', async () => {
    const fates = { acknowledged: 0, wait: 0, unknown: 0, dead: 0 };
    for (let run = 0; run < 5; run++) {
      const w = new CompactorWorld({ canAppend, seed: SEED + run });
      await createNamespace(w.plain);
      const h = new History(w);
      for (let step = 0; step < 250; step++) {
        const kind = h.below(20);
        if (kind < 9) await h.append(h.below(6) === 0);
        else if (kind < 11) await h.end(h.below(3) > 0);
        else if (kind < 13) await w.system.advance(h.below(120_000));
        else if (kind < 14) await h.checkAll();
        else {
          await w.pass({ bytesMax: h.below(3) === 0 ? 1 + h.below(3000) : 1 << 20 });
          await h.verify();
        }
      }
      for (let i = 0; i < 60; i++) {
        await w.system.advance(61_000);
        await w.pass();
      }
      await h.checkAll();
      expect(h.pending).toEqual([]);
      await h.verify();
      expect((await w.root()).drain).toBe((await w.root()).horizon);
      expect(await w.names('log')).toEqual([]);
      for (const fate of Object.keys(fates) as (keyof typeof fates)[]) fates[fate] += h.fates[fate];
    }
    expect(fates.acknowledged).toBeGreaterThan(100);
  });

  test('compactors that race, stall and come back lose nothing and double nothing, and readers see what was there', async () => {
    let lost = 0;
    for (let run = 0; run < 4; run++) {
      const w = new CompactorWorld({ canAppend, seed: SEED + 1000 + run });
      await createNamespace(w.plain);
      const h = new History(w);
      const turns = new Turns(w.system, { freezeChance: 0.02, frozenTurnsMax: 600, stepMsMax: 15_000 });
      const compactors = ['c1', 'c2', 'c3'].map(async (actor) => {
        const context: PassContext = { ...w.context, medium: turnMedium(w.inner, turns, actor) };
        for (let i = 0; i < 25; i++) {
          const result = await compactOnce(context, { bytesMax: h.below(2) === 0 ? 2000 : 1 << 20 });
          if (result.outcome === 'lost') lost++;
        }
      });
      const writer = async (): Promise<void> => {
        for (let i = 0; i < 120; i++) {
          await turns.take('w');
          await h.append(h.below(8) === 0);
          if (h.below(6) === 0) await h.end(h.below(4) > 0);
        }
      };
      const reader = async (): Promise<void> => {
        for (let i = 0; i < 15; i++) {
          const before = new Map(w.expected);
          const { newest } = await naiveRead({ ...w.context, medium: turnMedium(w.inner, turns, 'r') });
          for (const [key, { stamp, value, expiresAtMs }] of before) {
            if (value === undefined || expiresAtMs !== 0 || h.unknown.has(key) || (h.drops.get(key) ?? 0) > stamp.time) continue;
            expect(newest.get(key)?.stamp.time, `run ${run}, ${key}`).toBeGreaterThanOrEqual(stamp.time);
          }
        }
      };
      await turns.run([...compactors, writer(), reader()]);
      await w.pass();
      await w.pass();
      await h.checkAll();
      await h.verify();
    }
    expect(lost).toBeGreaterThan(0);
  });

  test('updates beside compactors that race and stall take effect once or not at all, and those of several stripes whole', async () => {
    const counts = { committed: 0, again: 0, lost: 0, unknown: 0, dead: 0, horizons: 0 };
    await runUpdates(new CompactorWorld({ canAppend, seed: SEED + 2000 }), counts);
    expect(counts.committed).toBeGreaterThan(20);
    expect(counts.horizons).toBeGreaterThan(0);
  });
});

const STRIPES = 3;

/** Each update adds its token to the values of its keys, so that whatever is lost, doubled or torn shows. */
async function runUpdates(w: CompactorWorld, counts: Record<NaiveOutcome | 'dead' | 'horizons', number>): Promise<void> {
  await createNamespace(w.plain);
  const h = new History(w);
  const turns = new Turns(w.system, { freezeChance: 0.01, frozenTurnsMax: 500, stepMsMax: 8000 });
  const below = (n: number): number => Math.floor(w.system.random() * n);
  const tokens = new Map<string, { keys: Key[]; outcome: NaiveOutcome }>();
  let running = 0;

  const updater = async (actor: string): Promise<void> => {
    const context = { ...w.context, medium: turnMedium(w.inner, turns, actor) };
    running++;
    for (let i = 0; i < 12; i++) {
      const keys = [...new Set([below(5), below(5), below(5)].slice(below(3)))].map((n) => `u${n}` as Key);
      for (let tries = 0, isOver = false; !isOver; tries++) {
        const token = `${actor}.${i}.${tries}`;
        const state = { keys, outcome: 'again' as NaiveOutcome };
        tokens.set(token, state);
        const willDie = below(8) === 0;
        const dies = (): boolean => willDie && ++counts.dead > 0;
        const next = (values: readonly (string | undefined)[]): string[] => values.map((value) => `${value ?? ''}${token};`);
        state.outcome = 'unknown';
        state.outcome = await naiveUpdate(context, { keys, stripes: STRIPES, next, dies });
        counts[state.outcome]++;
        isOver = state.outcome === 'committed' || state.outcome === 'unknown' || tries > 30;
      }
    }
    running--;
  };
  const compactor = async (actor: string): Promise<void> => {
    const context: PassContext = { ...w.context, medium: turnMedium(w.inner, turns, actor) };
    while (running > 0) {
      const { horizonMovedTo } = await compactOnce(context, { bytesMax: below(3) === 0 ? 300 : 1 << 20 });
      if (horizonMovedTo !== undefined) counts.horizons++;
    }
  };
  // Blind writes of other keys: with what they leave behind there is reason to move horizons.
  const writer = async (): Promise<void> => {
    while (running > 0) {
      await turns.take('w');
      await h.append(below(8) === 0);
      await h.end(below(3) > 0);
      for (let i = below(30); i > 0; i--) await turns.take('w');
    }
  };
  const check = (values: ReadonlyMap<string, string>, acknowledged: ReadonlySet<string>): void => {
    const seen = new Map([...values].filter(([key]) => key.startsWith('u')).map(([key, value]) => [key, value.split(';').slice(0, -1)]));
    for (const [key, list] of seen) expect(new Set(list).size, `${key} has a token twice`).toBe(list.length);
    for (const [token, { keys, outcome }] of tokens) {
      const shown = keys.filter((key) => seen.get(key)?.includes(token) === true).length;
      expect([0, keys.length], `${token}, ${outcome}, is shown in ${shown} of ${keys}`).toContain(shown);
      if (acknowledged.has(token)) expect(shown, `${token} was acknowledged`).toBe(keys.length);
      if (outcome === 'lost' || outcome === 'again') expect(shown, `${token} did not happen`).toBe(0);
    }
  };
  const acknowledged = (): Set<string> => new Set([...tokens].filter(([, { outcome }]) => outcome === 'committed').map(([token]) => token));
  const reader = async (): Promise<void> => {
    const context = { ...w.context, medium: turnMedium(w.inner, turns, 'r') };
    while (running > 0) {
      const before = acknowledged();
      const { newest, isDraining } = await naiveRead(context);
      if (isDraining) continue;
      check(new Map([...newest].map(([key, { value }]) => [key, Buffer.from(value ?? '').toString()])), before);
    }
  };
  await turns.run([updater('a'), updater('b'), updater('c'), writer(), compactor('c1'), compactor('c2'), reader()]);
  check(await naiveValues(w.plain), acknowledged());
  for (let i = 0; i < 40; i++) {
    await w.system.advance(61_000);
    await w.pass();
  }
  check(await naiveValues(w.plain), acknowledged());
  await h.checkAll();
  for (const { keys } of tokens.values()) for (const key of keys) h.unknown.add(key);
  await h.verify();
  expect(await w.names('log')).toEqual([]);
}
