/**
 * One trial of a sweep: a store in memory that is a copy of a scene, a medium that fails on demand in front of it, and a ledger of what callers
 * were told. Scenes are made once, and copied with the times of their objects.
 */
import { isPeatError } from '../../src/base/errors.ts';
import { namespaceLayout } from '../../src/format/layout.ts';
import { type Namespace, type OpenOptions, open, type Store } from '../../src/index.ts';
import type { Finding } from '../../src/inspect/finding.ts';
import { verifyStore } from '../../src/inspect/verify.ts';
import type { Medium } from '../../src/medium/medium.ts';
import { MemoryMedium } from '../../src/medium/memory-medium.ts';
import './loaded.ts';
import { FaultyMedium } from './faulty-medium.ts';
import { type Effect, Ledger, outcomeOf, type State } from './ledger.ts';
import { NO_STORE, SCENES, type SceneName } from './sweep-scenes.ts';
import { type VirtualSystem, VirtualTime } from './virtual-system.ts';

/** A kind of medium. */
export interface MediumForm {
  readonly name: string;
  readonly canAppend: boolean;
  readonly blocking: boolean;
  readonly isRemote: boolean;
}

interface Image {
  readonly objects: readonly { readonly name: string; readonly bytes: Buffer; readonly modifiedMs: number }[];
  readonly nowMs: number;
  readonly state: State;
}

const images = new Map<string, Promise<Image>>();

function imageOf(scene: SceneName, form: MediumForm): Promise<Image> {
  const id = `${scene} ${form.name}`;
  const made = images.get(id) ?? makeImage(scene, form);
  images.set(id, made);
  return made;
}

async function makeImage(scene: SceneName, form: MediumForm): Promise<Image> {
  const system = new VirtualTime().system({ seed: 1 });
  const medium = new MemoryMedium({ ...form, system });
  const state = scene === NO_STORE ? new Map() : await system.time.until(SCENES[scene]({ medium, system }));
  const objects: Image['objects'][number][] = [];
  for (const { name, modifiedMs = 0 } of await medium.list('', { stats: true })) {
    objects.push({ name, bytes: (await medium.get(name)) as Buffer, modifiedMs });
  }
  objects.sort((a, b) => a.modifiedMs - b.modifiedMs);
  return { objects, nowMs: system.wallNowMs(), state };
}

export interface WorldOptions {
  /** Stands between the storage and the faults. */
  readonly wrap?: ((medium: Medium) => Medium) | undefined;
}

export class SweepWorld {
  readonly system: VirtualSystem;
  readonly inner: MemoryMedium;
  readonly faulty: FaultyMedium;
  readonly form: MediumForm;
  readonly ledger: Ledger;
  /** What was wrong. */
  readonly problems: string[] = [];
  #store: Store | undefined;
  #runs: Namespace | undefined;

  private constructor(parts: Pick<SweepWorld, 'system' | 'inner' | 'faulty' | 'form' | 'ledger'>) {
    this.system = parts.system;
    this.inner = parts.inner;
    this.faulty = parts.faulty;
    this.form = parts.form;
    this.ledger = parts.ledger;
  }

  static async open(scene: SceneName, form: MediumForm, options: WorldOptions = {}): Promise<SweepWorld> {
    const { objects, nowMs, state } = await imageOf(scene, form);
    const system = new VirtualTime().system({ seed: 2 });
    const inner = new MemoryMedium({ ...form, system });
    for (const { name, bytes, modifiedMs } of objects) {
      system.time.skip(modifiedMs - system.wallNowMs());
      await inner.putIfAbsent(name, bytes);
    }
    system.time.skip(nowMs - system.wallNowMs());
    const faulty = new FaultyMedium(options.wrap?.(inner) ?? inner, { system });
    return new SweepWorld({ system, inner, faulty, form, ledger: new Ledger(state) });
  }

  until<T>(work: Promise<T>): Promise<T> {
    return this.system.time.until(work, { stepMs: 50, limitMs: 600_000 });
  }

  // ---- the store under test

  async openStore(options: OpenOptions = {}): Promise<Store> {
    this.#store = await this.openAnother(options);
    return this.#store;
  }

  /** Another store on the same medium, as of another process. */
  openAnother(options: OpenOptions = {}): Promise<Store> {
    return open(this.faulty, { system: this.system, autoCompact: false, onWarning: () => {}, ...options });
  }

  get store(): Store {
    if (this.#store === undefined) throw new Error('the store was not opened');
    return this.#store;
  }

  /** Closes it, as a part of the operation. */
  async close(): Promise<void> {
    await this.attempt('close', () => this.store.close());
    this.#store = undefined;
    this.#runs = undefined;
  }

  get isOpen(): boolean {
    return this.#store !== undefined;
  }

  /** The handle under test. */
  get runs(): Namespace {
    this.#runs ??= this.store.namespace('runs');
    return this.#runs;
  }

  // ---- what callers are told

  /** A write, or anything that changes what is read. Its failure must say what became of it. */
  async write(what: string, effect: Effect, call: () => unknown): Promise<void> {
    const end = this.ledger.begin(effect);
    try {
      await call();
      end('acknowledged');
    } catch (error) {
      const outcome = outcomeOf(error);
      if (outcome === undefined) this.#unexpected(what, error);
      else end(outcome);
    }
  }

  /** A change whose failure does not say what became of it: it is there as a whole, or not at all, or comes late. */
  async change(what: string, effect: Effect, call: () => unknown): Promise<void> {
    const end = this.ledger.begin(effect, { mayComeLate: true });
    if (await this.attempt(what, async () => call())) end('acknowledged');
  }

  /** What a key must read as, as far as all is acknowledged. */
  value(key: string): unknown {
    return this.ledger.possible()[0]?.get(key);
  }

  /** A read that must be right, or fail with an error of the medium. */
  async read(what: string, call: () => Promise<unknown>, expected: unknown): Promise<void> {
    await this.attempt(what, async () => {
      const found = JSON.stringify(await call());
      if (found !== JSON.stringify(expected)) this.problems.push(`${what} told ${found}, not ${JSON.stringify(expected)}`);
    });
  }

  /** Anything that may fail with an error of the medium, and no other. True if it did not. */
  async attempt(what: string, call: () => Promise<unknown>): Promise<boolean> {
    try {
      await call();
      return true;
    } catch (error) {
      if (outcomeOf(error) === undefined) this.#unexpected(what, error);
      return false;
    }
  }

  /** Anything that must not fail. */
  async must(what: string, call: () => unknown): Promise<void> {
    try {
      await call();
    } catch (error) {
      this.#unexpected(what, error);
    }
  }

  check(isRight: boolean, what: string): void {
    if (!isRight) this.problems.push(what);
  }

  #unexpected(what: string, error: unknown): void {
    const { code } = isPeatError(error) ? error : { code: 'no error of the package' };
    this.problems.push(`${what} failed (${code}): ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
  }

  // ---- what is there

  /** All that is there, by a scan and by gets, which must agree. A namespace that is not there is an empty one. */
  async readAll(store: Store): Promise<State> {
    const runs = store.namespace('runs', { create: false });
    try {
      const scanned = new Map<string, unknown>();
      for await (const { key, value } of runs.scan()) scanned.set(key, value);
      const keys = [...new Set([...this.ledger.possible().flatMap((state) => [...state.keys()]), ...scanned.keys()])];
      const got = await runs.getMany(keys);
      keys.forEach((key, i) => {
        if (JSON.stringify(got[i]) !== JSON.stringify(scanned.get(key)))
          this.problems.push(`${key} is ${scanned.get(key)} to a scan, ${got[i]} to a get`);
      });
      return scanned;
    } catch (error) {
      if (!isPeatError(error, 'NAMESPACE_NOT_FOUND') && !isPeatError(error, 'NAMESPACE_DROPPED')) throw error;
      return new Map();
    } finally {
      await runs.close();
    }
  }

  /** @param isLast nothing is under way any more: what is read now stays */
  async judge(when: string, store: Store, { isLast }: { isLast: boolean }): Promise<void> {
    await this.must(`reading ${when}`, async () => {
      const state = await this.readAll(store);
      const wrong = this.ledger.judge(state);
      if (wrong !== undefined) this.problems.push(`${when}: ${wrong}`);
      if (isLast) this.ledger.settle(state);
    });
  }

  async verify(when: string): Promise<void> {
    const onFinding = ({ severity, code, file, what }: Finding): void => {
      if (severity === 'damage') this.problems.push(`${when} verify finds ${code} in ${file}: ${what}`);
    };
    await this.must(`verify ${when}`, () => verifyStore({ medium: this.inner, system: this.system }, { onFinding }));
  }

  /** Names in one of the folders of the namespace under test. */
  async names(part: 'root' | 'log' | 'shard'): Promise<string[]> {
    const prefix = namespaceLayout('runs')[part];
    return (await this.inner.list(prefix)).map(({ name }) => name.slice(prefix.length));
  }
}
