/**
 * A program that takes named locks. Its argument is JSON: `{ store, role, ... }`.
 *
 * `visit`: takes `name` `rounds` times, holds it for `holdMs`, and notes its token in the file `log` when it enters. `hold`: takes `names`
 * (none: the structural lock) in `mode`, says "token N", and holds until something ends it; says "lost CODE" if the lock is lost. With
 * `listen` it has a listener of its own for that signal, which says so, and ends in order. `forget`: takes a lock, and comes to its end.
 * `heed`: works until its lock is lost. `parent`: holds `names`, and starts a `hold` that inherits them. `random`: see below.
 */
import { spawn } from 'node:child_process';
import { appendFileSync, existsSync, readdirSync, readFileSync, unlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

/**
 * @typedef {{
 *   store: string, role: string, name: string, names: string[], mode: 'exclusive' | 'shared', leaseMs?: number, maxWaitMs?: number,
 *   listen?: NodeJS.Signals, how: string, rounds: number, holdMs: number, log: string, seed: number, witness: string,
 * }} Options
 */
/** @type {Options} */
const options = JSON.parse(process.argv[2] ?? '{}');
const dist = process.env['PEAT_DIST'] ?? '../../dist';
/** @type {typeof import('../../src/index.ts')} */
const { open } = await import(`${dist}/lib/peatlog.js`);
const store = await open(options.store);
/** @param {unknown[]} words */
const say = (...words) => console.log(words.join(' '));

/** @type {Record<string, (options: Options) => Promise<void>>} */
const roles = {
  async visit({ name, rounds, holdMs, log }) {
    for (let round = 0; round < rounds; round++) {
      const askedAtMs = performance.now();
      await store.withLock(name, async (lock) => {
        appendFileSync(log, `${lock.token}\n`);
        say('waited', Math.round(performance.now() - askedAtMs));
        await delay(holdMs);
      });
    }
    await store.close();
  },

  async hold({ names, mode, leaseMs, listen, maxWaitMs }) {
    const lock =
      names.length === 0 ? await store.exclusive({ leaseMs, maxWaitMs }) : await store.locks(names, { mode, leaseMs, maxWaitMs });
    say('token', lock.tokens.join(' '));
    lock.signal.addEventListener('abort', () => say('lost', lock.signal.reason.code));
    const stay = setInterval(() => {}, 1000);
    if (listen === undefined) return;
    process.once(listen, async () => {
      say('own', listen, lock.signal.aborted);
      clearInterval(stay);
      await store.close();
      process.exitCode = 3;
    });
  },

  /** Heeds the loss of its lock, or of its wait, in the ways that programs do. */
  async heed({ names: [name = ''], how }) {
    setInterval(() => {}, 1000);
    const work = async (/** @type {import('../../src/index.ts').NamedLock} */ lock) => {
      say('works');
      if (how === 'ends') while (!lock.signal.aborted) await delay(1);
      else await delay(3_600_000, undefined, { signal: lock.signal });
    };
    if (how === 'waits') say('works');
    const done = store.withLock(name, work);
    await (how === 'catches' ? done.catch(() => process.exit(1)) : done);
    process.exit(0);
  },

  async forget({ names }) {
    await store.locks(names);
    say('end');
  },

  async parent({ names, mode }) {
    const lock = await store.locks(names, { mode });
    const child = spawn(process.execPath, [fileURLToPath(import.meta.url), JSON.stringify({ ...options, role: 'hold', maxWaitMs: 0 })], {
      stdio: 'inherit',
      env: { ...process.env, ...lock.env },
    });
    say('child', child.pid);
    child.once('exit', async () => {
      await store.close();
    });
  },

  /**
   * `rounds` acquisitions of one name, several names, or the structural lock, by a seeded choice. Whoever enters leaves a file in
   * `witness`, and looks at the files of others afterwards: of two that overlap, the later one sees the other. Exclusive holders also count in a file, by
   * a plain read and a plain write.
   */
  async random({ rounds, seed, witness, names }) {
    let state = seed >>> 0;
    /** @param {number} n */
    const below = (n) => {
      state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
      return Math.floor((state / 2 ** 32) * n);
    };
    /** @param {string} name */
    const file = (name) => join(witness, name);
    for (let round = 0; round < rounds; round++) {
      const kind = below(10);
      const mode = below(3) === 0 ? 'shared' : 'exclusive';
      const wanted = kind === 0 ? [] : kind < 6 ? [String(names[below(names.length)])] : names.filter(() => below(2) === 0);
      const limits = { maxWaitMs: 240_000 };
      const isStructural = wanted.length === 0;
      const lock = isStructural ? await store.exclusive(limits) : await store.locks(wanted, { mode, ...limits });

      const mine = isStructural
        ? ['structural']
        : wanted.map((name) => (mode === 'shared' ? `${name}.shared-${process.pid}` : `${name}.exclusive`));
      // "wx" fails if the file is there.
      for (const name of mine) writeFileSync(file(name), '', { flag: 'wx' });
      const others = readdirSync(witness).filter((name) => !mine.includes(name) && !name.endsWith('.count'));
      const clash = others.find((name) => {
        if (isStructural || name === 'structural') return true;
        if (!wanted.includes(name.slice(0, name.indexOf('.')))) return false;
        return mode === 'exclusive' || name.endsWith('.exclusive');
      });
      if (clash !== undefined) {
        say('overlap', mine.join('+'), 'with', clash);
        process.exit(1);
      }
      if (mode === 'exclusive' || isStructural) {
        for (const name of isStructural ? ['structural'] : wanted) {
          const count = file(`${name}.count`);
          const seen = existsSync(count) ? Number(readFileSync(count, 'utf8')) : 0;
          await delay(below(2));
          writeFileSync(count, String(seen + 1));
          say('counted', name);
        }
      } else {
        await delay(below(3));
      }
      for (const name of mine) unlinkSync(file(name));
      await lock.release();
    }
    say('done', rounds);
    await store.close();
  },
};

await roles[options.role]?.(options);
