/** `peat lock`: shows locks, ends one by hand, runs a command under one, and audits the product's own. */
import { type Command, type Invocation, UsageError } from '../command.ts';

const ACTIONS: Readonly<Record<string, () => Promise<{ run(invocation: Invocation): Promise<number> }>>> = {
  list: () => import('../lock/list.ts'),
  release: () => import('../lock/release.ts'),
  run: () => import('../lock/run.ts'),
  audit: () => import('../lock/audit.ts'),
};

export const command: Command = {
  spec: {
    name: 'lock',
    usage:
      'list LOCATION | release LOCATION NAME [--kind KIND] [--token N] | run LOCATION NAME [--name NAME]... [--shared] [--wait TIME] [--lease TIME] -- COMMAND [ARGUMENTS] | audit [--trace DIR]',
    summary: 'Show locks, release one by hand, run a command under one',
    details:
      'list shows every lock of every kind: who holds it, since when, with which token, and who waits, in order.\n' +
      'release ends the ticket of a holder or waiter by hand, for when you know that it is gone and others do not. Without --token it changes nothing, and shows ' +
      'the tickets that there are. The holder, if it lives, learns that it lost the lock.\n' +
      'run takes the lock, runs COMMAND with PEAT_LOCKS set, so that it may use the same lock, and gives the lock back however COMMAND ends. It ends as ' +
      'COMMAND ends, by a signal, too; 127 if COMMAND is not found, 126 if it can not be started. It exits with 75 if the lock was not free in time, or was lost: then COMMAND gets TERM, and ' +
      'KILL after 5 seconds. INT, TERM and HUP are passed on. With --structural it is the lock that keeps everyone out, and has no NAME.\n' +
      'audit prints where the product itself takes locks and why, and from traces (PEAT_LOCK_TRACE=DIR in the environment of any program that uses ' +
      'Peat), how often, how long it waited and held, and what was done meanwhile.\n' +
      'TIME is a number and ms, s, m or h: 500ms, 30s, 5m.',
    options: {
      kind: { type: 'string', placeholder: 'KIND', help: 'release: user (default), structural, stripe or compactor' },
      token: { type: 'string', placeholder: 'N', help: 'release: the ticket to end' },
      name: { type: 'string', multiple: true, placeholder: 'NAME', help: 'run: one more lock; all are held, or none. May be repeated' },
      shared: { type: 'boolean', help: 'run: beside other holders that share it' },
      structural: { type: 'boolean', help: 'run: the lock that waits for all named locks, and keeps new ones out' },
      wait: { type: 'string', placeholder: 'TIME', help: 'run: how long to wait for the lock (default 60s), or "forever"' },
      lease: { type: 'string', placeholder: 'TIME', help: 'run: without a sign of life for so long, others take the lock (default 15s)' },
      trace: { type: 'string', placeholder: 'DIR', help: 'audit: the directory that PEAT_LOCK_TRACE named' },
      'long-ms': { type: 'string', placeholder: 'N', help: 'audit: what is a long hold (default: 1000, for locks of stripes only)' },
      markdown: { type: 'boolean', help: 'audit: a table for documents' },
      json: { type: 'boolean', help: 'list: a JSON object a lock; release and audit: one JSON object' },
    },
    positionals: [1, Number.POSITIVE_INFINITY],
    takesCommandLine: true,
    examples: [
      'peat lock list ./index',
      'peat lock release ./index nightly --token 42',
      'peat lock run ./index nightly --wait 5m -- ./nightly.sh --all',
      'PEAT_LOCK_TRACE=/tmp/trace ./program; peat lock audit --trace /tmp/trace',
    ],
  },

  async run(invocation: Invocation): Promise<number> {
    const [action, ...positionals] = invocation.positionals as [string, ...string[]];
    const load = Object.hasOwn(ACTIONS, action) ? ACTIONS[action] : undefined;
    if (load === undefined) throw new UsageError(`peat lock takes ${Object.keys(ACTIONS).join(', ')}, got ${JSON.stringify(action)}`);
    return await (await load()).run({ ...invocation, positionals });
  },
};
