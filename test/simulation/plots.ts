/**
 * The plots of plays: each brings about, again and again with other details, what some family of rules is about. None of them knows what a rule says:
 * whether a promise was broken is for the simulation's checks to find.
 */

import type { Feed, Spot, Stage } from './stage.ts';
import { SHARED_KEYS } from './updater.ts';
import type { WindowName } from './windows.ts';

export type Plot = (stage: Stage) => Promise<void>;

const OWN = 'k0';
const MIXED = 'm-play';

/** Somebody has written, so that the namespace is there. */
async function begin(stage: Stage): Promise<void> {
  const first = await stage.player('first');
  await first.put(first.key(OWN));
  await first.close();
}

/** Some way into what one process does when it writes: what it goes by was read, and nobody has seen anything of it. */
function beforeFrame({ world: { scenario }, random }: Stage): Spot {
  if (scenario.medium.canAppend) return { at: 'segment begin', step: random.pick(['before', 'after']) };
  return { at: 'frame put', step: 'before' };
}

/** Its frame is there. */
function afterFrame({ world: { scenario }, random }: Stage): Spot {
  if (scenario.medium.canAppend) return { at: 'sync', step: random.pick(['before', 'after']) };
  return { at: 'frame put', step: 'after' };
}

/** A writer is suspended before its frame is there, and a compactor before it puts the root that cuts that off, or is about to. */
async function cutOff(stage: Stage): Promise<void> {
  const { random } = stage;
  await begin(stage);
  const [writer, compactor, reader] = [await stage.player('writer'), await stage.player('compactor'), await stage.player('reader')];
  const key = writer.key(OWN);
  if (!stage.world.scenario.medium.canAppend && random.chance(0.5)) await writer.put(key);
  const opened = stage.number;
  const which = random.pick(['drain', 'horizon', 'horizon'] as const);
  let isSeen = false;
  let isOver = false;
  const putting = compactor.hold({ at: 'root put', step: 'before', root: (root) => root[which] > opened }, () => isSeen);
  const begun = writer.hold(beforeFrame(stage), () => putting.isHeld);
  const isThere = writer.hold(afterFrame(stage), () => isOver);
  // Either somebody looks before its fate is clear, or the writer itself: who reads may finish the drain, and then nothing is cut off.
  const looks = random.chance(0.5);
  if (!looks) isThere.skip();
  const written = writer.put(key);
  await stage.until(() => begun.isHeld || writer.isIdle);
  await stage.age(compactor, { until: () => putting.isHeld, feed: 'dies' });
  await stage.until(() => isThere.isHeld || writer.isIdle, 20_000);
  const reading = looks ? reader.readOwn(key) : undefined;
  await stage.until(() => reader.isIdle && writer.isIdle, random.pick([1000, 20_000]));
  isSeen = true;
  stage.check();
  await stage.until(() => compactor.isIdle);
  await (await stage.player('second')).readOwn(key);
  isOver = true;
  stage.check();
  await Promise.all([written, reading]);
  await reader.readOwn(key);
}

/** A writer is suspended behind its frame until nobody knows any more what became of it; and what it wrote was replaced meanwhile. */
async function forgotten(stage: Stage): Promise<void> {
  const { random, world } = stage;
  await begin(stage);
  const [writer, compactor, updater] = [await stage.player('writer'), await stage.player('compactor'), await stage.player('updater')];
  if (random.chance(0.5)) await stage.feed('dies');
  if (random.chance(0.5)) await compactor.compact();
  const opened = stage.number;
  const isForgotten = (): boolean => {
    const { root } = stage;
    const text = writer.segmentText;
    return root !== undefined && root.horizon > opened && !root.absorbed.has(text) && !stage.hasSegment(text);
  };
  const isThere = writer.hold(afterFrame(stage), stage.happensLater(random.between(61_000, 120_000)));
  if (world.scenario.medium.isRemote && random.chance(0.5)) isThere.skip();
  const checking = writer.hold({ at: 'root list', step: 'before' }, isForgotten);
  const written = writer.putMixed(MIXED);
  await stage.until(() => checking.isHeld || writer.isIdle);
  await updater.update(MIXED);
  await stage.age(compactor, { until: isForgotten, feed: random.pick<Feed>(['dies', 'deletes']) });
  await written;
  await updater.read(MIXED);
}

/** A reader is suspended between its looks, while passes absorb what it is about to read, and delete it. */
async function overtaken(stage: Stage): Promise<void> {
  const { random } = stage;
  await begin(stage);
  const [updater, compactor, reader] = [await stage.player('updater'), await stage.player('compactor'), await stage.player('reader')];
  const [key = '', other = ''] = random.some(SHARED_KEYS).concat(SHARED_KEYS);
  if (random.chance(0.5)) await reader.read(key);
  if (random.chance(0.3)) await updater.update(key);
  if (random.chance(0.3)) await compactor.compact();
  await updater.update(key);
  const spot = random.pick<Spot>([
    { at: 'log list', step: 'before' },
    { at: 'log list', step: 'after' },
    { at: 'root list', step: 'after' },
    { at: 'root get', step: 'after' },
    { at: 'record get', step: 'before' },
  ]);
  const between = reader.hold(spot, stage.passesOn(random.between(2, 4)));
  const reading = reader.read(key);
  await stage.until(() => between.isHeld || reader.isIdle);
  const hasUpdates = random.chance(0.3);
  while (between.isHeld) {
    if (hasUpdates) await updater.update(random.pick([key, other]));
    else await stage.feed('closes');
    await compactor.compact();
    await stage.sleep(random.between(1, 5000));
  }
  await reading;
}

/**
 * An updater, of one stripe or several, is suspended before it puts a record whose number is used, absorbed and deleted meanwhile; a reader on its
 * way to the first record of that name finds the second.
 */
async function putAgain(stage: Stage): Promise<void> {
  const { random } = stage;
  await begin(stage);
  const compactor = await stage.player('compactor');
  const [slow, fast, reader] = [await stage.player('slow'), await stage.player('fast'), await stage.player('reader')];
  const keys = random.some(SHARED_KEYS).slice(0, random.between(1, 3));
  const key = random.pick(keys);
  if (random.chance(0.3)) await fast.update(key);
  if (random.chance(0.5)) await reader.read(key);
  let record = '';
  const putting = slow.hold({ at: 'record put', step: 'before' }, () => record !== '' && !stage.has(record));
  const looking = reader.hold({ at: 'record get', step: 'before' }, () => (stage.puts.get(record) ?? 0) > 1);
  const checking = slow.hold({ at: random.pick<WindowName>(['record put', 'root list']), step: 'after' }, () => reader.isIdle);
  const updating = slow.update(...keys);
  await stage.until(() => putting.isHeld || slow.isIdle);
  await fast.update(key);
  const reading = reader.read(key);
  await stage.until(() => looking.isHeld || reader.isIdle);
  record = looking.name ?? putting.name ?? '';
  while (putting.isHeld && stage.passes < 6) {
    await compactor.compact();
    if (putting.isHeld) await fast.update(key);
    await stage.sleep(random.between(1, 3000));
  }
  record = '-';
  stage.check();
  await reading;
  await reader.read(key);
  await stage.until(() => !checking.isHeld);
  await updating;
  for (const one of keys) await reader.read(one);
}

/** An updater is suspended, or dies, half way through an update of several stripes; others come by. */
async function halfDone(stage: Stage): Promise<void> {
  const { random } = stage;
  await begin(stage);
  const compactor = await stage.player('compactor');
  const [slow, fast, reader] = [await stage.player('slow'), await stage.player('fast'), await stage.player('reader')];
  const keys = SHARED_KEYS.slice(0, random.between(2, SHARED_KEYS.length));
  if (random.chance(0.5)) await fast.update(...keys);
  const steps = random.between(3, 8);
  let done = 0;
  const puttings = [0, 1].map(() => slow.hold({ at: 'record put', step: random.pick(['before', 'after']) }, () => done >= steps));
  if (random.chance(0.5)) puttings[0]?.skip();
  const updating = slow.update(...keys);
  await stage.until(() => slow.isHeld || slow.isIdle);
  for (; done < steps; done++) {
    const acts: (() => Promise<void>)[] = [
      () => fast.update(...random.some(keys)),
      () => fast.update(random.pick(keys)),
      () => reader.read(random.pick(keys)),
      () => reader.read(...random.some(keys)),
      () => compactor.compact(),
    ];
    await random.pick(acts)();
    await stage.sleep(random.spread(1, 20_000));
  }
  if (random.chance(0.3)) slow.die();
  stage.check();
  await updating;
  for (const key of keys) await reader.read(key);
}

/** An updater is suspended behind its record, until so many others were absorbed that no root says any more what became of it. */
async function outOfMemory(stage: Stage): Promise<void> {
  const { random } = stage;
  await begin(stage);
  const [slow, fast, compactor] = [await stage.player('slow'), await stage.player('fast'), await stage.player('compactor')];
  const key = random.pick(SHARED_KEYS);
  if (random.chance(0.5)) await fast.update(key);
  let isOver = false;
  const isThere = slow.hold({ at: 'record put', step: 'after' }, () => isOver);
  const updating = slow.update(key);
  await stage.until(() => isThere.isHeld || slow.isIdle);
  for (let i = random.between(12, 24); i > 0; i--) {
    await fast.update(key);
    if (random.chance(0.2)) await compactor.compact();
  }
  await compactor.compact();
  isOver = true;
  stage.check();
  await updating;
  await fast.read(key);
}

/** More than a compactor takes in at once, and most of it was left by the dead. */
async function backlog(stage: Stage): Promise<void> {
  const { random } = stage;
  await begin(stage);
  const compactor = await stage.player('compactor');
  for (let i = random.between(8, 24); i > 0; i--) await stage.feed(random.chance(0.8) ? 'dies' : 'closes');
  const bytesMax = random.pick([1, 100, 2000]);
  const { number } = stage;
  await stage.age(compactor, { until: () => (stage.root?.horizon ?? 0) > number, feed: random.pick<Feed>(['dies', 'closes']), bytesMax });
}

/** A compactor is suspended after its root is there, or before it cleans up, while another one is on its way to the next. */
async function twoCompactors(stage: Stage): Promise<void> {
  const { random } = stage;
  await begin(stage);
  const [one, other] = [await stage.player('one'), await stage.player('other')];
  if (random.chance(0.5)) await one.compact();
  await stage.feed('closes');
  const late: Spot = random.pick<Spot>([
    { at: 'root put', step: 'after' },
    { at: 'table list', step: 'before' },
    { at: 'delete', step: 'before' },
  ]);
  const putting = other.hold({ at: 'root put', step: random.pick(['before', 'after']) }, () => one.isIdle);
  const cleaning = one.hold(late, () => putting.isHeld);
  const first = one.compact();
  await stage.until(() => cleaning.isHeld || one.isIdle);
  for (let i = random.between(1, 3); i > 0; i--) await stage.feed(random.pick(['closes', 'deletes']));
  const second = other.compact();
  await Promise.all([first, second]);
  await (await stage.player('reader')).readOwn('w-first/k0');
}

/** A listing is under way while an update of several stripes is made, and perhaps others on top of it. */
async function tornListing(stage: Stage): Promise<void> {
  const { random } = stage;
  await begin(stage);
  const [updater, reader] = [await stage.player('updater'), await stage.player('reader')];
  const keys = SHARED_KEYS.slice(0, random.between(2, SHARED_KEYS.length));
  for (let i = random.between(0, 2); i > 0; i--) await updater.update(...keys);
  const aims = random.between(1, 3);
  let made = 0;
  const listing = reader.hold({ at: 'log list', step: 'after' }, () => made >= aims);
  const reading = reader.scanWhole(keys);
  await stage.until(() => listing.isHeld || reader.isIdle);
  for (; made < aims; made++) await updater.update(...keys);
  stage.check();
  await reading;
  await reader.scanWhole(keys);
}

/** A pass lists the log while somebody goes from one segment to the next: what it is shown of that is left to chance. */
async function tornPass(stage: Stage): Promise<void> {
  const { random } = stage;
  await begin(stage);
  const [writer, compactor] = [await stage.player('writer'), await stage.player('compactor')];
  const key = writer.key(OWN);
  let isWritten = false;
  if (random.chance(0.3)) await compactor.compact();
  const listing = compactor.hold({ at: 'log list', step: 'after' }, () => isWritten);
  const compacting = compactor.compact();
  await stage.until(() => listing.isHeld || compactor.isIdle);
  for (let i = random.between(1, 3); i > 0; i--) {
    await writer.put(key);
    await writer.reopen();
  }
  await writer.put(key, { puts: random.chance(0.2) });
  isWritten = true;
  stage.check();
  await compacting;
  await writer.readOwn(key);
  await compactor.compact();
  await writer.readOwn(key);
}

/** Some keys of a large table are deleted or expire, and merges of what lies above go on until horizons have passed. */
async function layers(stage: Stage): Promise<void> {
  const { random } = stage;
  await begin(stage);
  const [writer, compactor] = [await stage.player('writer'), await stage.player('compactor')];
  const keys = Array.from({ length: random.between(60, 120) }, (_, i) => writer.key(`k${i}`));
  for (const key of keys) await writer.put(key);
  await compactor.compact();
  for (let i = random.between(1, 3); i > 0; i--) await writer.put(random.pick(keys), { puts: false });
  await compactor.compact();
  const { number } = stage;
  const hasPassed = (): boolean => (stage.root?.horizon ?? 0) >= number;
  await stage.age(compactor, { until: hasPassed, feed: 'closes' });
  const isOver = stage.passesOn(random.between(2, 8));
  await stage.age(compactor, { until: isOver, feed: random.pick<Feed>(['closes', 'deletes']) });
}

/**
 * On a medium across a network: whole machines are suspended, so that all of their clocks stand still, a writer's between its root and its frame, a
 * reader's between two looks, until a horizon has passed what they go by.
 */
async function clocksStand(stage: Stage): Promise<void> {
  const { random } = stage;
  await begin(stage);
  const [writer, compactor, reader] = [await stage.player('writer'), await stage.player('compactor'), await stage.player('reader')];
  const key = writer.key(OWN);
  const knowsRoot = random.chance(0.5);
  if (knowsRoot) await writer.put(key);
  if (random.chance(0.3)) await reader.readOwn(key);
  const opened = stage.number;
  const isPassed = (): boolean => (stage.root?.horizon ?? 0) > opened;
  const beforeFrame: Spot = { at: 'frame put', step: 'before', machine: true };
  const withRoot: Spot = { at: 'root get', step: 'after', machine: true };
  const writing = writer.hold(knowsRoot ? beforeFrame : random.pick([beforeFrame, withRoot]), isPassed);
  const between = random.pick<Spot>([
    { at: 'log list', step: 'after', machine: true },
    { at: 'root list', step: 'after', machine: true },
    { at: 'root get', step: 'after', machine: true },
    { at: 'frame get', step: 'before', machine: true },
  ]);
  const looking = reader.hold(between, random.chance(0.5) ? isPassed : stage.passesOn(random.between(1, 8)));
  const reading = random.chance(0.5) ? reader.readOwn(key) : undefined;
  const written = writer.put(key);
  await stage.until(() => (writing.isHeld || writer.isIdle) && (looking.isHeld || reader.isIdle));
  await stage.age(compactor, { until: isPassed, feed: random.pick<Feed>(['dies', 'closes']) });
  await Promise.all([written, reading]);
  looking.skip();
  await reader.readOwn(key);
  await compactor.compact();
  await reader.readOwn(key);
}

/** An updater is suspended before its record, until a horizon has passed the root that it rests on; what it has read was replaced meanwhile, or not. */
async function cutOffRecord(stage: Stage): Promise<void> {
  const { random } = stage;
  await begin(stage);
  const [slow, writer, compactor] = [await stage.player('slow'), await stage.player('writer'), await stage.player('compactor')];
  const reader = await stage.player('reader');
  if (random.chance(0.7)) await writer.putMixed(MIXED);
  if (random.chance(0.3)) await slow.update(MIXED);
  if (random.chance(0.3)) await compactor.compact();
  const opened = stage.number;
  const isPassed = (): boolean => (stage.root?.horizon ?? 0) > opened;
  // With its clocks its patience stands still, too, so that it tries again.
  const machine = stage.world.scenario.medium.isRemote && random.chance(0.7);
  const putting = slow.hold({ at: 'record put', step: 'before', machine }, isPassed);
  const updating = slow.update(MIXED);
  await stage.until(() => putting.isHeld || slow.isIdle);
  if (random.chance(0.5)) await writer.putMixed(MIXED, { puts: random.chance(0.3) });
  await stage.age(compactor, { until: isPassed, feed: random.pick<Feed>(['dies', 'closes']) });
  await updating;
  await reader.read(MIXED);
  await compactor.compact();
  await reader.read(MIXED);
}

/** What somebody puts is there, but they hear that it failed; others go on with it. */
async function lostAnswer(stage: Stage): Promise<void> {
  const { random } = stage;
  await begin(stage);
  const [compactor, other] = [await stage.player('compactor'), await stage.player('other')];
  const [updater, reader] = [await stage.player('updater'), await stage.player('reader')];
  const key = random.pick(SHARED_KEYS);
  for (let i = random.between(0, 2); i > 0; i--) {
    await stage.feed('closes');
    await other.compact();
  }
  await stage.feed('closes');
  compactor.fail({ at: random.pick<WindowName>(['root put', 'root put', 'root list', 'table put']), step: 'after' });
  await compactor.compact();
  await reader.readOwn('w-first/k0');
  updater.fail({ at: random.pick<WindowName>(['record put', 'root list']), step: 'after' });
  await updater.update(key);
  for (const pass of random.chance(0.5) ? [other, compactor] : [compactor, other]) {
    await pass.compact();
    await reader.readOwn('w-first/k0');
    await reader.read(key);
  }
}

/** A compactor is suspended before a root, until the one that took its number was deleted: it puts one that nobody will go by. */
async function oldNumber(stage: Stage): Promise<void> {
  const { random } = stage;
  await begin(stage);
  const [one, other, writer] = [await stage.player('one'), await stage.player('other'), await stage.player('writer')];
  const reader = await stage.player('reader');
  if (random.chance(0.5)) await one.compact();
  await stage.feed(random.pick(['closes', 'dies']));
  let name = '';
  const isFree = (): boolean => (stage.puts.get(name) ?? 0) > 0 && !stage.has(name);
  const putting = one.hold({ at: 'root put', step: 'before' }, isFree);
  const compacting = one.compact();
  await stage.until(() => putting.isHeld || one.isIdle);
  name = putting.name ?? '';
  // The other root's table is large, so that later passes leave it as it is.
  const keys = Array.from({ length: random.between(20, 40) }, (_, i) => writer.key(`k${i}`));
  for (const key of keys) await writer.put(key);
  await stage.age(other, { until: () => name === '' || isFree(), feed: random.pick<Feed>(['closes', 'dies', 'deletes']) });
  await compacting;
  for (let i = 0; i < 2; i++) {
    await reader.readOwn('w-first/k0');
    await reader.readOwn(random.pick(keys));
    await other.compact();
  }
}

/** A clock is set back between two writes of a key; who makes the second has seen the first, or the root that took it in. */
async function clockGoesBack(stage: Stage): Promise<void> {
  const { random, world } = stage;
  await begin(stage);
  const [writer, compactor, reader] = [await stage.player('writer'), await stage.player('compactor'), await stage.player('reader')];
  const key = writer.key(OWN);
  for (let i = random.between(1, 3); i > 0; i--) await writer.put(key);
  const isAbsorbed = random.chance(0.5);
  if (isAbsorbed) await compactor.compact();
  world.noteClocks();
  for (const host of world.hosts) host.wallOffsetMs -= random.spread(1000, 240_000);
  if (random.chance(0.8)) await writer.reopen();
  if (!isAbsorbed) await writer.readOwn(key);
  await writer.put(key, { puts: random.chance(0.5) });
  await reader.readOwn(key);
  await compactor.compact();
  await reader.readOwn(key);
}

/** The power goes while a writer has been answered, and others are somewhere in what they do. */
async function powerGoes(stage: Stage): Promise<void> {
  const { random, world } = stage;
  await begin(stage);
  const [writer, slow, compactor] = [await stage.player('writer'), await stage.player('slow'), await stage.player('compactor')];
  const key = writer.key(OWN);
  if (random.chance(0.5)) await stage.feed('closes');
  const never = (): boolean => false;
  const writing = slow.hold(afterFrame(stage), never);
  const passing = compactor.hold(
    {
      at: random.pick<WindowName>(['table put', 'root put', 'root list', 'delete']),
      step: random.pick(['before', 'after']),
    },
    never,
  );
  void slow.put(slow.key(OWN));
  void compactor.compact();
  await stage.until(() => (writing.isHeld || slow.isIdle) && (passing.isHeld || compactor.isIdle));
  for (let i = random.between(1, 3); i > 0; i--) await writer.put(key);
  world.powerCut();
  const [reader, next] = [await stage.player('reader'), await stage.player('next')];
  for (let i = 0; i < 2; i++) {
    for (const own of [key, slow.key(OWN), 'w-first/k0']) await reader.readOwn(own);
    await next.compact();
  }
}

export const PLOTS = {
  cutOff,
  forgotten,
  overtaken,
  putAgain,
  halfDone,
  outOfMemory,
  backlog,
  twoCompactors,
  tornListing,
  tornPass,
  layers,
  clocksStand,
  cutOffRecord,
  lostAnswer,
  oldNumber,
  powerGoes,
  clockGoesBack,
} as const satisfies Record<string, Plot>;
export type PlotName = keyof typeof PLOTS;
/** Those that came later: other seeds make them, so that the earlier ones keep theirs. */
export const LATER_PLOT_NAMES: readonly PlotName[] = [
  'clocksStand',
  'cutOffRecord',
  'lostAnswer',
  'oldNumber',
  'powerGoes',
  'clockGoesBack',
];
export const PLOT_NAMES: readonly PlotName[] = (Object.keys(PLOTS) as PlotName[]).filter((name) => !LATER_PLOT_NAMES.includes(name));
