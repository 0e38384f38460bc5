/**
 * What must be once nothing goes wrong any more: all that was promised is there, the store comes to rest, and nothing is left over.
 */
import { compactOnce } from '../../compactor/index.ts';
import { open } from '../../src/index.ts';
import { verifyStore } from '../../src/inspect/verify.ts';
import { newestRoot } from '../../src/manifest/newest-root.ts';
import type { Medium } from '../../src/medium/medium.ts';
import { runAsync } from '../../src/medium/steps.ts';
import { judgeWarning } from './compactor-actor.ts';
import { Life, type Stored } from './life.ts';
import { mediumFor } from './medium.ts';
import type { SimulatedProcess } from './process.ts';
import { checkBatches, collect } from './reader.ts';
import { readUpdated, updatedKeys } from './updater.ts';
import { CONSTANTS, LAYOUT, NAMESPACE, type World } from './world.ts';

/** Housekeeping roots come once a minute: by then all has aged that has to. */
const ROUNDS = 200;
const ROUND_MS = 61_000;
/** Later nothing comes that was put late. */
const LATE_MS = 60 * 60_000;

export async function settle(world: World): Promise<void> {
  const process = world.process({ name: 'settler', host: world.hosts[0] as (typeof world.hosts)[number] });
  const life = new Life({ world, process, number: 0 });
  if (!world.storage.names.some((name) => name.startsWith(LAYOUT.root))) return;
  await readAll(life);
  const medium = mediumFor(process, world);
  if (world.scenario.faults.late > 0) await process.sleep(LATE_MS);
  await compact(world, { process, medium });
  await readAll(life);
  await checkRest(world, { process, medium });
  const { problems, undecided } = world.updates.check();
  for (const problem of problems) world.violate(problem);
  for (let i = 0; i < undecided; i++) world.count('undecided');
}

interface Settler {
  readonly process: SimulatedProcess;
  readonly medium: Medium;
}

async function compact(world: World, { process, medium }: Settler): Promise<void> {
  const context = {
    medium,
    system: process,
    layout: LAYOUT,
    constants: CONSTANTS,
    log: (message: string) => world.violate(`a pass without faults: ${message}`),
  };
  let idle = 0;
  for (let round = 0; round < ROUNDS && idle < 3; round++) {
    const result = await compactOnce(context);
    for (const warning of result.warnings) judgeWarning(world, warning);
    // With nothing to publish for some minutes, nothing will change any more.
    idle = result.outcome === 'nothing' && result.base !== undefined ? idle + 1 : 0;
    await process.sleep(ROUND_MS);
  }
  if (idle < 3 && world.violation === undefined)
    world.violate(`the store does not come to rest: something is published in each of ${ROUNDS} passes`);
}

/** A newcomer opens the store, and finds all that it has to find. */
async function readAll(life: Life): Promise<void> {
  const { world, process } = life;
  const store = await open(mediumFor(process, world), { system: process, create: false });
  const entries = store.namespace<Stored>(NAMESPACE);
  const span = world.beginRead(process);
  const found = await collect(entries.scan({ prefix: 'w-' }));
  const ended = span.end();
  for (const key of new Set([...world.own.names, ...found.keys()])) {
    world.check(world.own.check(key, found.get(key)?.id as number | undefined, ended), process);
  }
  checkBatches(life, found, new Set(world.own.names));
  if (world.updates.size > 0) for (const key of updatedKeys(world)) await readUpdated(life, entries, [key]);
  await store.close();
}

async function checkRest(world: World, { process, medium }: Settler): Promise<void> {
  const damage: string[] = [];
  await verifyStore(
    { medium, system: process },
    {
      onFinding: ({ severity, code, file, what }) => {
        if (severity === 'damage') damage.push(`${code} ${file}: ${what}`);
      },
    },
  );
  for (const finding of damage) world.violate(`verify finds damage: ${finding}`);
  const root = (await runAsync(newestRoot(LAYOUT, { medium, system: process }), { medium, system: process }))?.root;
  if (root === undefined) return;
  const log = world.storage.names.filter((name) => name.startsWith(LAYOUT.log));
  if (log.length > 0) world.violate(`the log is not empty when all is at rest: ${log.slice(0, 3).join()}; root ${root.number}`);
  if (root.drain !== root.horizon) world.violate(`a drain to ${root.drain} is unfinished when all is at rest`);
  if (root.absorbed.size > 0) world.violate(`${root.absorbed.size} segments are not forgotten when all is at rest`);
  const named = new Set(root.shards.flatMap(({ tables }) => tables.map(({ file }) => LAYOUT.shard + file)));
  const garbage = world.storage.names.filter((name) => name.startsWith(LAYOUT.shard) && !named.has(name));
  if (garbage.length > 0)
    world.violate(
      `${garbage.length} table files are garbage when all is at rest: ${garbage.slice(0, 3).join()}; root ${root.number} has dropped ${[...root.dropped].join(' ')}`,
    );
}
