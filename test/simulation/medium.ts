/**
 * The storage of a simulation as one process sees it: every call takes its time, may fail before its effect or after it, and may be
 * cut off by the death of its process between any two steps. On a remote medium a put may be executed again, or only
 * after its caller gave up, when what it made was deleted long ago.
 */
import { PeatError } from '../../src/base/errors.ts';
import { decodeCheckedJson } from '../../src/format/checked-json.ts';
import type { AppendFile, BlockingMedium, Medium } from '../../src/medium/medium.ts';
import type { PowerCutStorage, StorageCall } from '../support/power-cut-storage.ts';
import type { SimulatedProcess } from './process.ts';
import type { Random } from './random.ts';
import type { Faults, Scenario } from './scenario.ts';
import type { Scheduler } from './scheduler.ts';
import type { Stage } from './stage.ts';
import type { TurningPoints } from './turning-points.ts';
import { isAt } from './windows.ts';

export interface Circumstances {
  readonly scenario: Scenario;
  readonly scheduler: Scheduler;
  readonly storage: PowerCutStorage;
  readonly turningPoints: TurningPoints;
  /** In a play. */
  readonly stage?: Stage | undefined;
  /** Whether faults happen: not at the beginning, and not at the end. */
  isFaulty: boolean;
}

/** Of a call in the window to be slept at. */
const WINDOW_CHANCE = 0.1;
const SLOW_MS_MAX = 20 * 60_000;
const STALL_MS_MIN = 30_000;
const STALL_MS_MAX = 60 * 60_000;
const LATE_MS_MAX = 60 * 60_000;

export function mediumFor(process: SimulatedProcess, circumstances: Circumstances): Medium {
  return new ProcessMedium(process, circumstances).medium;
}

class ProcessMedium {
  readonly medium: Medium;
  readonly #process: SimulatedProcess;
  readonly #random: Random;
  readonly #circumstances: Circumstances;

  constructor(process: SimulatedProcess, circumstances: Circumstances) {
    this.#process = process;
    this.#random = process.random.fork('medium');
    this.#circumstances = circumstances;
    const { storage, scenario } = circumstances;
    const inner = storage.handle((call, step) => (step === 'effect' ? this.#toEffect(call) : this.#toAnswer(call)), scenario.medium);
    this.medium = {
      ...inner,
      putIfAbsent: (name, bytes, options) => this.#put(inner, name, { bytes, options }),
      openAppend: async (name) => this.#wrap(name, await inner.openAppend(name)),
      blocking: inner.blocking === undefined ? undefined : this.#wrapBlocking(inner.blocking),
    };
  }

  get #faults(): Faults | undefined {
    return this.#circumstances.isFaulty ? this.#circumstances.scenario.faults : undefined;
  }

  #trace(what: string): void {
    this.#circumstances.scheduler.trace(`${this.#process.name} ${what}`);
  }

  #latencyMs(): number {
    const { latencyMs } = this.#circumstances.scenario;
    if (this.#random.chance(this.#faults?.slow ?? 0)) {
      return this.#random.chance(0.75) ? this.#random.spread(latencyMs * 10, latencyMs * 1000) : this.#random.spread(1000, SLOW_MS_MAX);
    }
    return this.#random.spread(latencyMs / 4, latencyMs * 4);
  }

  /** The way there is the kernel's, or the network's: the caller may be stopped, or dead, when it ends. */
  async #toEffect(call: StorageCall): Promise<void> {
    const { op, name } = call;
    const { stage } = this.#circumstances;
    if (this.#process.isDead) await never();
    await this.#circumstances.scheduler.delay(this.#latencyMs());
    if (this.#process.isDead && this.#random.chance(0.5)) await never();
    if (this.#random.chance(this.#faults?.holds ?? 0) && !this.#circumstances.turningPoints.isAwaited) await this.#hold(`${op} ${name}`);
    if (this.#random.chance((this.#faults?.stalls ?? 0) * stallWeight(op, name))) await this.#stall(`${op} ${name}`);
    if (this.#faults !== undefined && isAt(this.#circumstances.scenario.window, { op, name }) && this.#random.chance(WINDOW_CHANCE)) {
      await this.#stall(`${op} ${name}`);
    }
    if (this.#random.chance((this.#faults?.errors ?? 0) / 2)) {
      await this.#back();
      this.#trace(`${op} ${name} fails`);
      throw storageError(op, name);
    }
    if (stage !== undefined) await stage.pass(this.#process, call, 'before');
    this.#trace(`${op} ${name}`);
  }

  /** Suspended before a call takes effect, or just before it would go on with the answer. */
  async #stall(what: string): Promise<void> {
    const { turningPoints } = this.#circumstances;
    const isForMoment = !turningPoints.isAwaited && this.#random.chance(0.5);
    const ms = isForMoment ? STALL_MS_MAX : this.#random.spread(STALL_MS_MIN, STALL_MS_MAX);
    this.#trace(`is suspended for ${isForMoment ? 'a moment that matters' : `${Math.round(ms)} ms`} at ${what}`);
    this.#process.stop(ms);
    if (isForMoment) turningPoints.after(this.#random, () => this.#process.resume());
    if (this.#random.chance(0.5)) await this.#back();
  }

  /** The call itself is long under way; its process goes on. */
  async #hold(what: string): Promise<void> {
    this.#trace(`is held up at ${what}`);
    await new Promise<void>((resolve) => {
      this.#circumstances.turningPoints.after(this.#random, resolve);
    });
  }

  async #toAnswer(call: StorageCall): Promise<void> {
    const { op, name } = call;
    const { stage } = this.#circumstances;
    if (stage !== undefined) await stage.pass(this.#process, call, 'after');
    await this.#back();
    if (!this.#random.chance((this.#faults?.errors ?? 0) / 2)) return;
    this.#trace(`${op} ${name} was done, but fails`);
    if (op === 'putIfAbsent') throw new PeatError('OUTCOME_UNKNOWN', `put of ${name}: injected`, { file: name });
    throw storageError(op, name);
  }

  /** Until the caller can take the answer. */
  #back(): Promise<void> {
    return new Promise((resolve) => {
      this.#process.after(this.#latencyMs() / 4, resolve);
    });
  }

  async #put(
    inner: Medium,
    name: string,
    { bytes, options }: { bytes: Uint8Array; options: Parameters<Medium['putIfAbsent']>[2] },
  ): Promise<boolean> {
    const { storage, scheduler, turningPoints } = this.#circumstances;
    const copy = Buffer.from(bytes);
    const putNow = async (): Promise<boolean> => {
      const mine = await inner.putIfAbsent(name, bytes, options);
      if (mine && name.includes('/root/')) turningPoints.note(decodeCheckedJson(copy, name) as { drain: number; horizon: number });
      return mine;
    };
    if (!this.#random.chance(this.#faults?.late ?? 0)) return await putNow();
    const putLate = (): void => {
      scheduler.trace(`late put ${name}`);
      void storage
        .handle()
        .putIfAbsent(name, copy, options)
        .catch(() => undefined);
    };
    const lateMs = this.#random.spread(10, LATE_MS_MAX);
    if (this.#random.chance(0.5)) {
      // Of a put that was refused nothing comes later.
      const mine = await putNow();
      scheduler.after(lateMs, putLate);
      return mine;
    }
    scheduler.after(lateMs, putLate);
    await this.#back();
    this.#trace(`put ${name} is given up`);
    throw new PeatError('OUTCOME_UNKNOWN', `put of ${name}: no answer`, { file: name });
  }

  #wrap(name: string, inner: AppendFile): AppendFile {
    return {
      write: (bytes) => {
        if (this.#process.isDead) throw storageError('write', name);
        if (this.#random.chance(this.#faults?.errors ?? 0)) {
          inner.write(bytes.subarray(0, this.#random.below(bytes.length + 1)));
          this.#trace(`write ${name} fails in its midst`);
          throw storageError('write', name);
        }
        this.#trace(`write ${name} ${bytes.length}`);
        inner.write(bytes);
      },
      sync: () => inner.sync(),
      syncBlocking: () => this.#block('sync', name, () => inner.syncBlocking()),
      close: () => {
        if (!this.#process.isDead) inner.close();
      },
    };
  }

  #wrapBlocking(inner: BlockingMedium): BlockingMedium {
    return {
      putIfAbsent: (name, bytes, options) => this.#block('putIfAbsent', name, () => inner.putIfAbsent(name, bytes, options)),
      get: (name, range) => this.#block('get', name, () => inner.get(name, range)),
      list: (prefix, options) => this.#block('list', prefix, () => inner.list(prefix, options)),
      openAppend: (name) =>
        this.#wrap(
          name,
          this.#block('openAppend', name, () => inner.openAppend(name)),
        ),
      syncNames: (prefix) => this.#block('syncNames', prefix, () => inner.syncNames(prefix)),
      watermark: (prefix) => inner.watermark(prefix),
      endsAt: (name, offset) => inner.endsAt?.(name, offset) === true,
    };
  }

  #block<T>(op: string, name: string, effect: () => T): T {
    if (this.#process.isDead) throw storageError(op, name);
    this.#trace(`${op} ${name}, blocking`);
    this.#process.sleepSync(this.#latencyMs());
    const errors = this.#faults?.errors ?? 0;
    if (this.#random.chance(errors / 2)) throw storageError(op, name);
    const result = effect();
    if (!this.#random.chance(errors / 2)) return result;
    if (op === 'putIfAbsent') throw new PeatError('OUTCOME_UNKNOWN', `put of ${name}: injected`, { file: name });
    throw storageError(op, name);
  }
}

/** Most where something has been read, and what is written now rests on it: segments that begin, records, roots. */
function stallWeight(op: StorageCall['op'], name: string): number {
  if (name.startsWith('lock/')) return 0.05;
  switch (op) {
    case 'openAppend':
      return 4;
    case 'putIfAbsent':
      return name.includes('/log/') ? (name.endsWith('/00000000') ? 4 : 1) : 0.2;
    case 'sync':
      return 0.3;
    case 'delete':
      return 0.1;
    default:
      return 0.01;
  }
}

function storageError(op: string, name: string): PeatError {
  const cause = Object.assign(new Error(`EIO: i/o error, ${op}`), { code: 'EIO' });
  return new PeatError('STORAGE', `${op} of ${name}: injected EIO`, { file: name, cause });
}

function never(): Promise<never> {
  return new Promise(() => {});
}
