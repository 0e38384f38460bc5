/**
 * The stage of a play: a few players, each a process, who do what the plot says, and who are suspended at calls of its choice until
 * something has happened: not until some time has passed, so that another course of the engine's calls is still the same play.
 *
 * A cue says where its player is suspended, and what for. A player has one at a time, and the next one counts once that is over. Whoever waits
 * for what does not come goes on all the same.
 */

import { PeatError } from '../../src/base/errors.ts';
import type { Root } from '../../src/format/root.ts';
import { decodeRoot } from '../../src/format/root-codec.ts';
import type { Namespace, OpenOptions, Store } from '../../src/index.ts';
import type { StorageCall } from '../support/power-cut-storage.ts';
import { endDraft, readOwn, writeMixed, writeOwn } from './acts.ts';
import { onePass, passContext } from './compactor-actor.ts';
import { Life, type Stored } from './life.ts';
import type { SimulatedProcess } from './process.ts';
import type { Random } from './random.ts';
import { collect } from './reader.ts';
import { readUpdated } from './updater.ts';
import { isAt, type WindowName } from './windows.ts';
import { LAYOUT, type World } from './world.ts';

const PATIENCE_MS = 3 * 3_600_000;
/** From when something has happened to when who waits for it goes on. */
const REACTION_MS_MAX = 2000;
const PASSES_MAX = 40;

export type Happening = () => boolean;

export interface Spot {
  readonly at: WindowName;
  /** Of its effect. */
  readonly step: 'before' | 'after';
  /** Only a root that is put of which this holds. */
  readonly root?: (root: Root) => boolean;
  /** Suspended with its machine, whose clocks stand still. */
  readonly machine?: boolean;
}

export class Cue {
  readonly spot: Spot;
  readonly until: Happening;
  /** The object at which its player sleeps, or slept. */
  name: string | undefined;
  isOver = false;

  /** Instead of a suspension: the call fails. */
  readonly fails: boolean;

  constructor(spot: Spot, until: Happening, { fails = false }: { fails?: boolean } = {}) {
    this.spot = spot;
    this.until = until;
    this.fails = fails;
  }

  /** It does not count. */
  skip(): void {
    this.isOver = true;
  }

  get isHeld(): boolean {
    return this.name !== undefined && !this.isOver;
  }

  get wasHeld(): boolean {
    return this.name !== undefined;
  }
}

export class Stage {
  readonly world: World;
  readonly random: Random;
  /** The newest that was put. */
  root: Root | undefined;
  /** How often each object was put or begun. */
  readonly puts = new Map<string, number>();
  passes = 0;
  readonly players: Player[] = [];
  #waiters: { readonly isMet: Happening; readonly go: () => void }[] = [];

  constructor(world: World) {
    this.world = world;
    this.random = world.random.fork('plot');
    world.scheduler.trace(`the play: ${world.scenario.plot}, seed ${world.scenario.seed}`);
  }

  get number(): number {
    return this.root?.number ?? -1;
  }

  get names(): readonly string[] {
    return this.world.storage.names;
  }

  has(name: string): boolean {
    return this.names.includes(name);
  }

  hasSegment(text: string): boolean {
    return this.names.some((name) => name.startsWith(LAYOUT.log + text));
  }

  async player(name: string, options: OpenOptions = {}): Promise<Player> {
    const { world } = this;
    const process = world.process({ name, host: world.hosts[0] as (typeof world.hosts)[number] });
    const player = new Player(this, process);
    this.players.push(player);
    await player.open(options);
    return player;
  }

  /** Called by each call of the medium, on its way there and on its way back. */
  async pass(process: SimulatedProcess, call: StorageCall, step: 'before' | 'after'): Promise<void> {
    if (step === 'after') this.#note(call);
    const player = this.players.find((one) => one.process === process);
    await player?.pass(call, step);
  }

  #note({ op, name, bytes }: StorageCall): void {
    if (op === 'putIfAbsent' || op === 'openAppend') {
      const count = (this.puts.get(name) ?? 0) + 1;
      this.puts.set(name, count);
      if (count === 1 && bytes !== undefined && name.startsWith(LAYOUT.root)) {
        const root = decodeRoot(Buffer.from(bytes), name);
        if (root.number > this.number) this.root = root;
      }
    }
    this.check();
  }

  /** Something has happened: those go on who have waited for it. */
  check(): void {
    const met = this.#waiters.filter(({ isMet }) => isMet());
    if (met.length === 0) return;
    this.#waiters = this.#waiters.filter((waiter) => !met.includes(waiter));
    for (const { go } of met) go();
  }

  /** Once it has happened, or patience has an end. */
  until(isMet: Happening, patienceMs: number = PATIENCE_MS): Promise<void> {
    return new Promise((resolve) => {
      if (isMet()) {
        resolve();
        return;
      }
      const go = (): void => {
        this.#waiters = this.#waiters.filter((waiter) => waiter.go !== go);
        resolve();
      };
      this.#waiters.push({ isMet, go });
      this.world.scheduler.after(patienceMs, go);
    });
  }

  /** Happens after this time. */
  after(ms: number): Happening {
    const atMs = this.world.scheduler.nowMs + ms;
    this.world.scheduler.after(ms, () => this.check());
    return () => this.world.scheduler.nowMs >= atMs;
  }

  sleep(ms: number): Promise<void> {
    return this.world.scheduler.delay(ms);
  }

  /** Happens so long after it is first asked for: by who is suspended then. */
  happensLater(ms: number): Happening {
    let happens: Happening | undefined;
    return () => {
      happens ??= this.after(ms);
      return happens();
    };
  }

  /** Happens when so many more passes have ended. */
  passesOn(count: number): Happening {
    const atLeast = this.passes + count;
    return () => this.passes >= atLeast;
  }

  /** Lets roots age: something new, a pass, a minute, until it has happened. Whoever is suspended in a pass is not waited for. */
  async age(compactor: Player, options: { until: Happening; feed?: Feed; bytesMax?: number }): Promise<void> {
    const { until, feed = 'dies', bytesMax } = options;
    for (let i = 0; i < PASSES_MAX && !until(); i++) {
      if (feed !== 'none') await this.feed(feed);
      if (until()) return;
      const pass = compactor.compact(bytesMax);
      await Promise.race([pass, this.until(() => until() || compactor.isHeld)]);
      if (!until()) await this.sleep(this.random.between(61_000, 75_000));
    }
  }

  /** Somebody comes by and writes something, so that a pass has something to take in. */
  async feed(how: Exclude<Feed, 'none'>): Promise<void> {
    const passerBy = await this.player(`passer-by${this.players.length}`);
    await passerBy.put(passerBy.key('k0'));
    if (how === 'deletes') await passerBy.put(passerBy.key('k0'), { puts: false });
    if (how === 'dies') passerBy.die();
    else await passerBy.close();
  }

  /** All go on, and end what they do. */
  async close(): Promise<void> {
    for (const player of this.players) player.release();
    await Promise.all(this.players.map((player) => player.close()));
  }

  get reactionMs(): number {
    return this.random.spread(0.1, REACTION_MS_MAX);
  }
}

/** Of who comes by: a segment without an end, one that is sealed, or that and a tombstone. */
export type Feed = 'dies' | 'closes' | 'deletes' | 'none';

export class Player {
  readonly process: SimulatedProcess;
  /** The newest object in the log that it has begun. */
  segment = '';
  readonly #stage: Stage;
  readonly #life: Life;
  readonly #context: ReturnType<typeof passContext>;
  readonly #cues: Cue[] = [];
  readonly #work = new Set<Promise<void>>();
  #store: Store | undefined;
  #entries: Namespace<Stored> | undefined;

  constructor(stage: Stage, process: SimulatedProcess) {
    this.#stage = stage;
    this.process = process;
    this.#life = new Life({ world: stage.world, process, number: 0 });
    this.#context = passContext(this.#life);
  }

  async open(options: OpenOptions = {}): Promise<void> {
    await this.#act(async () => {
      ({ store: this.#store, entries: this.#entries } = await this.#life.open(options));
    });
  }

  // ---- suspensions

  /** At the next call of that kind, once its earlier cues are over. */
  hold(spot: Spot, until: Happening): Cue {
    const cue = new Cue(spot, until);
    this.#cues.push(cue);
    return cue;
  }

  /** The next call of that kind fails, once its earlier cues are over: before its effect, or though it had it. */
  fail(spot: Spot): Cue {
    const cue = new Cue(spot, () => false, { fails: true });
    this.#cues.push(cue);
    return cue;
  }

  get isHeld(): boolean {
    return this.#cues.some(({ isHeld }) => isHeld);
  }

  async pass(call: StorageCall, step: 'before' | 'after'): Promise<void> {
    const { op, name, bytes } = call;
    if (step === 'after' && (op === 'openAppend' || op === 'putIfAbsent') && name.startsWith(LAYOUT.log)) this.segment = name;
    const cue = this.#cues.find(({ isOver }) => !isOver);
    if (cue === undefined || cue.wasHeld || cue.spot.step !== step || !isAt(cue.spot.at, call)) return;
    if (cue.spot.root !== undefined && !(bytes !== undefined && cue.spot.root(decodeRoot(Buffer.from(bytes), name)))) return;
    const { scheduler } = this.#stage.world;
    if (cue.fails) this.#fail(cue, `${op} of ${name}`);
    scheduler.trace(`${this.process.name} is suspended${cue.spot.machine === true ? ' with its machine' : ''} ${step} ${op} ${name}`);
    cue.name = name;
    this.#stage.world.count(`${this.#stage.world.scenario.plot} held`);
    this.process.stop(PATIENCE_MS, { machine: cue.spot.machine === true });
    void this.#stage
      .until(() => cue.isOver || cue.until())
      .then(() => {
        scheduler.after(this.#stage.reactionMs, () => this.#goOn(cue));
      });
    this.#stage.check();
    await new Promise<void>((resolve) => {
      this.process.after(0, resolve);
    });
    cue.isOver = true;
    this.#stage.check();
  }

  #fail(cue: Cue, what: string): never {
    const { world } = this.#stage;
    cue.isOver = true;
    world.scheduler.trace(`${this.process.name}: ${what} fails ${cue.spot.step} its effect`);
    world.count(`${world.scenario.plot} failed`);
    throw new PeatError(cue.spot.step === 'after' ? 'OUTCOME_UNKNOWN' : 'STORAGE', `${what}: injected`);
  }

  #goOn(cue: Cue): void {
    if (!cue.isHeld) return;
    this.#stage.world.scheduler.trace(`${this.process.name} goes on`);
    this.process.resume();
  }

  /** No cue counts any more. */
  release(): void {
    for (const cue of this.#cues) cue.isOver = true;
    this.process.resume();
    this.#stage.check();
  }

  die(): void {
    this.#stage.world.processes.delete(this.process);
    this.#stage.world.scheduler.trace(`${this.process.name} dies`);
    this.process.kill();
  }

  // ---- what it does: each is over when its call is, or its process

  #act(work: () => Promise<void>): Promise<void> {
    const death = new Promise<void>((resolve) => {
      this.process.onDeath(resolve);
    });
    const started = new Promise<void>((resolve, reject) => {
      this.process.after(0, () => {
        work().then(resolve, reject);
      });
    });
    const act = Promise.race([started, death]).finally(() => {
      this.#work.delete(act);
      this.#stage.check();
    });
    this.#work.add(act);
    return act;
  }

  get #hand(): { life: Life; entries: Namespace<Stored> } {
    return { life: this.#life, entries: this.#entries as Namespace<Stored> };
  }

  get isIdle(): boolean {
    return this.#work.size === 0;
  }

  /** Of the segment that it has begun last. */
  get segmentText(): string {
    return this.segment.slice(LAYOUT.log.length).split('/')[0] as string;
  }

  /** One that nobody else writes. */
  key(letter: string): string {
    return `w-${this.process.name}/${letter}`;
  }

  put(key: string, { puts = true }: { puts?: boolean } = {}): Promise<void> {
    return this.#act(() => writeOwn(this.#hand, { keys: [key], puts }));
  }

  putMixed(key: string, { puts = true }: { puts?: boolean } = {}): Promise<void> {
    const { mixedKeys } = this.#stage.world;
    if (!mixedKeys.includes(key)) mixedKeys.push(key);
    return this.#act(() => writeMixed(this.#hand, key, puts));
  }

  /** Puts one value in place of those that it has read. */
  update(...keys: string[]): Promise<void> {
    return this.#act(async () => {
      const { world, name } = this.#life;
      const entries = this.#entries as Namespace<Stored>;
      const draft = world.updates.begin(name, keys.length > 1 ? 'updateMany' : 'update', world.moment());
      const { code } = await this.#life.attempt(`${draft.what} ${keys.join()} ${draft.id}`, async () => {
        await entries.updateMany(keys, (values) => {
          const id = `${draft.id}.${world.nextId()}`;
          const reads = Object.fromEntries(keys.map((key, i) => [key, values[i] === undefined ? null : String(values[i].id)]));
          world.updates.tries(draft, { reads, writes: Object.fromEntries(keys.map((key) => [key, id])) });
          return keys.map(() => ({ id }));
        });
      });
      endDraft(world, draft, code);
    });
  }

  /** One that one process writes. */
  readOwn(key: string): Promise<void> {
    return this.#act(() => readOwn(this.#hand, key));
  }

  /** Some that are updated, at one moment. */
  read(...keys: string[]): Promise<void> {
    return this.#act(() => readUpdated(this.#life, this.#hand.entries, keys));
  }

  /** One state holds an update of several keys as a whole. @param keys always updated together */
  scanWhole(keys: readonly string[]): Promise<void> {
    return this.#act(async () => {
      const { result } = await this.#life.attempt('scan', () => collect(this.#hand.entries.scan()));
      const ids = new Set(keys.map((key) => String(result?.get(key)?.id)));
      if (ids.size > 1) this.#stage.world.violate(`${this.process.name}: half an update is read: ${[...ids].join()}`);
    });
  }

  compact(bytesMax: number = 1 << 20): Promise<void> {
    return this.#act(async () => {
      await onePass(this.#life, this.#context, bytesMax);
      this.#stage.passes++;
    });
  }

  /** A new handle: another segment. */
  async reopen(): Promise<void> {
    await this.close();
    await this.open();
  }

  async close(): Promise<void> {
    while (this.#work.size > 0) await Promise.all(this.#work);
    const store = this.#store;
    this.#store = undefined;
    if (store === undefined || this.process.isDead) return;
    await this.#act(async () => {
      await this.#life.attempt('close', () => store.close());
    });
  }
}
