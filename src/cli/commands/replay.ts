/** `peat replay`: the whole engine on real input. The last line is the verdict. */

import { type Command, EXIT_FAILED, EXIT_OK, type Invocation, numberOption, stringOption } from '../command.ts';
import type { Oracle } from '../history/history.ts';
import { openHistory } from '../history/open-history.ts';
import { Replay, type ReplayReport } from '../replay/replay.ts';
import { createNamespaceIfEmpty } from '../replay/target.ts';
import { DURABILITY_OPTION, durabilityOption } from '../store-access.ts';

export const command: Command = {
  spec: {
    name: 'replay',
    usage: '[SOURCE] [--store LOCATION] [--writers N] [--compactors N] [--kill-compactor-every MS] [--json]',
    summary: 'Replay a git history through several processes, and check the result',
    details:
      'SOURCE is a git checkout (default: the one around the current directory) or a .jsonl[.gz] history file. Its commits go through writer processes into ' +
      'one namespace, a batch each, a path always by the same writer, while compactor processes run beside them. Then fresh processes read the store back, ' +
      'once beside the compactor and once after everything is compacted, and compare it with what git says (or the last line of the file). ' +
      'The last line printed is the verdict; any difference exits with 1.\n' +
      'Of git, HEAD and its first parents are replayed. Paths that are not UTF-8, or longer than 1,024 bytes, are left out on both sides, and counted.',
    options: {
      store: {
        type: 'string',
        placeholder: 'LOCATION',
        help: 'where the store goes, and stays (default: a temporary directory, removed at the end)',
      },
      namespace: { type: 'string', short: 'n', placeholder: 'NAMESPACE', help: 'the namespace, which must be empty (default: replay)' },
      writers: { type: 'string', placeholder: 'N', help: 'writer processes (default 4)' },
      pipeline: { type: 'string', placeholder: 'N', help: 'batches that a writer has under way at a time (default 16)' },
      compactors: { type: 'string', placeholder: 'N', help: 'compactor processes (default 1)' },
      'gather-ms': { type: 'string', placeholder: 'MS', help: "the compactors' own option" },
      'kill-compactor-every': { type: 'string', placeholder: 'MS', help: 'kill -9 a compactor so often, and start it again' },
      'kill-writer-every': { type: 'string', placeholder: 'MS', help: 'the same for writers; what was not acknowledged is repeated' },
      durability: DURABILITY_OPTION,
      json: { type: 'boolean', help: 'print the report as one JSON object, with the verdict' },
    },
    positionals: [0, 1],
    examples: [
      'peat replay',
      'peat replay ~/src/linux --writers 8 --durability os',
      'peat replay history.jsonl.gz --store ./index --kill-compactor-every 1000',
    ],
  },

  async run(invocation: Invocation): Promise<number> {
    const { output, signal } = invocation;
    const options = replayOptions(invocation);
    const source = await openHistory(invocation.positionals[0] ?? process.cwd(), signal);
    const target = await createNamespaceIfEmpty({ location: stringOption(invocation, 'store'), namespace: options.namespace });
    try {
      output.message(`replaying ${source.description} into ${target.location}`);
      const report = await new Replay(source, { ...options, location: target.location, output, signal }).run();
      const verdict = judge(report);
      if (output.json) await output.jsonLine({ ...report, ok: verdict.ok, verdict: verdict.text });
      else for (const line of [...reportLines(report), verdict.text]) await output.line(line);
      return verdict.ok ? EXIT_OK : EXIT_FAILED;
    } finally {
      target.remove();
    }
  },
};

function replayOptions(invocation: Invocation) {
  return {
    namespace: stringOption(invocation, 'namespace') ?? 'replay',
    writers: numberOption(invocation, 'writers', { least: 1, most: 256 }) ?? 4,
    pipeline: numberOption(invocation, 'pipeline', { least: 1, most: 65_536 }) ?? 16,
    compactors: numberOption(invocation, 'compactors', { least: 0, most: 16 }) ?? 1,
    gatherMs: numberOption(invocation, 'gather-ms', { least: 0 }),
    killCompactorEveryMs: numberOption(invocation, 'kill-compactor-every', { least: 10 }),
    killWriterEveryMs: numberOption(invocation, 'kill-writer-every', { least: 10 }),
    durability: durabilityOption(invocation),
  };
}

function equal(a: Oracle, b: Oracle): boolean {
  return a.entries === b.entries && a.sha256 === b.sha256;
}

function judge({ oracle, reads, leftOut }: ReplayReport): { ok: boolean; text: string } {
  const wrong = reads.find(({ read }) => !equal(read.found, oracle));
  const note = leftOut === 0 ? '' : ` (${leftOut} paths that can't be keys left out)`;
  if (wrong === undefined) return { ok: true, text: `OK: ${oracle.entries} entries match the oracle${note}` };
  const { found } = wrong.read;
  const when = wrong.when === 'beside' ? 'beside the compactor' : 'after compaction';
  return {
    ok: false,
    text: `FAILED: read ${when}, ${found.entries} entries with sha256 ${found.sha256}; the oracle has ${oracle.entries} with ${oracle.sha256}${note}`,
  };
}

function reportLines(report: ReplayReport): string[] {
  const { commits, deltas, batches, durationMs, latency, roots, compactorRestarts, writerRestarts, reads } = report;
  const perSecond = (count: number): string => Math.round((count / durationMs) * 1000).toLocaleString('en');
  const megabytes = (bytes: number): string => `${(bytes / 1e6).toFixed(1)} MB`;
  const differences = reads.flatMap(({ read }) => read.differences);
  return [
    `appended   ${commits} commits, ${deltas} deltas in ${batches} batches in ${(durationMs / 1000).toFixed(2)} s: ${perSecond(deltas)} deltas/s, ${perSecond(commits)} commits/s`,
    `latency    p50 ${latency.p50Ms.toFixed(2)} ms, p99 ${latency.p99Ms.toFixed(2)} ms, max ${latency.maxMs.toFixed(2)} ms a batch`,
    `written    log ${megabytes(roots.logBytes)}, tables ${megabytes(roots.tableBytes)}, roots ${megabytes(roots.rootBytes)}${roots.isComplete ? '' : ' at least'}`,
    `compacted  ${roots.roots} roots, ${roots.frames} frames and ${roots.deltas} deltas taken in, ${compactorRestarts} compactor restarts, ${writerRestarts} writer restarts`,
    ...reads.map(
      ({ when, read }) =>
        `read       ${read.found.entries} entries in ${(read.durationMs / 1000).toFixed(2)} s, ${when === 'beside' ? 'beside the compactor' : 'all compacted'}`,
    ),
    ...differences.map((difference) => `differs    ${difference}`),
  ];
}
