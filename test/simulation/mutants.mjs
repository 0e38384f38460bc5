/**
 * Rules of the protocol, each taken out of the real code by an edit of its source: the simulation has to find every one.
 * The models of `test/model/` have mutants of the same rules; the README beside this file tells which of those can't be planted here, and why.
 *
 * @typedef {object} Edit
 * @property {string} file the end of its path
 * @property {string} from
 * @property {string} to
 *
 * @typedef {object} Mutant
 * @property {string} name
 * @property {string} rule of `docs/protocol.md`
 * @property {number} seed finds it
 * @property {readonly Edit[]} edits
 */

/** @type {readonly Mutant[]} */
export const MUTANTS = [
  // ---- A: roots and segments
  {
    name: 'no commit check',
    rule: 'A2',
    seed: 2_100_018,
    edits: [
      {
        file: 'src/manifest/commit-root.ts',
        from: "  if (numbers.at(-1) !== root.number) return { outcome: 'unknown', base: undefined, bytes: bytes.length };\n",
        to: '',
      },
      { file: 'compactor/cleanup.ts', from: '  if (ages.at(-1)?.number !== root.number) return NOTHING_DELETED;\n', to: '' },
    ],
  },
  {
    name: 'roots go at once',
    rule: 'A3',
    seed: 2_000_001,
    edits: [
      {
        file: 'compactor/cleanup.ts',
        from: 'number <= root.number - constants.rootsKept && number < oldest',
        to: 'number < root.number && oldest >= 0 && constants.rootsKept > 0',
      },
    ],
  },
  {
    name: 'no floor for stamps',
    rule: 'A5',
    seed: 2_100_004,
    edits: [
      { file: 'src/write/writer-root.ts', from: '    this.#options.observe(root.maxStamp?.time ?? 0);\n', to: '' },
      { file: 'src/write/namespace-writer.ts', from: '    clock.observe(this.#options.seenTime());\n', to: '' },
    ],
  },
  {
    name: 'no post-check',
    rule: 'A6',
    seed: 2_000_010,
    edits: [
      {
        file: 'src/write/post-check.ts',
        from: '  const absorbed = root.absorbed.get(segment.text);\n',
        to: "  if (root.number >= 0) return 'acknowledged';\n  const absorbed = root.absorbed.get(segment.text);\n",
      },
    ],
  },
  {
    name: "the medium's time is not asked",
    rule: 'A6, A13',
    seed: 2_100_006,
    edits: [
      { file: 'src/manifest/clocks.ts', from: 'Math.max(wall, mediums, system', to: 'Math.max(wall, system' },
      { file: 'src/manifest/clocks.ts', from: 'wall < 0 || mediums < 0 ?', to: 'wall < 0 ?' },
      { file: 'src/manifest/clocks.ts', from: '  const mediums =', to: '  const _mediums =' },
    ],
  },
  {
    name: 'acknowledges in a drain',
    rule: 'A6',
    seed: 2_000_010,
    edits: [{ file: 'src/write/post-check.ts', from: 'opened >= Math.max(root.horizon, root.drain)', to: 'opened >= root.horizon' }],
  },
  {
    name: 'repeats what is unknown',
    rule: 'A6, A9',
    seed: 2_000_009,
    edits: [{ file: 'src/write/post-check.ts', from: "? 'unknown' : 'dead'", to: "? 'dead' : 'dead'" }],
  },
  {
    name: 'seals before the check',
    rule: 'A8',
    seed: 2_000_009,
    edits: [
      {
        file: 'src/write/namespace-writer.ts',
        from: '        const fates = this.#isFast(segment) ? undefined : await runAsync(',
        to: '        if (!this.#isFast(segment)) {\n          this.#segment = undefined;\n          await segment.seal().catch(() => {});\n        }\n        const fates = this.#isFast(segment) ? undefined : await runAsync(',
      },
    ],
  },
  {
    name: 'appends after the seal',
    rule: 'A8',
    seed: 0,
    edits: [
      {
        file: 'src/log/segment-writer.ts',
        from: "    assert(!this.#sealed, 'nothing is appended after a seal');\n    const header",
        to: '    const header',
      },
      { file: 'src/log/segment-writer.ts', from: '      this.#sealed = true;\n      file.close();\n', to: '' },
      {
        file: 'src/write/namespace-writer.ts',
        from: '    this.#segment = undefined;\n    await this.#leave(segment);\n  }\n\n  /** Every batch',
        to: '    await this.#leave(segment);\n  }\n\n  /** Every batch',
      },
    ],
  },
  {
    name: 'forgets without a mark',
    rule: 'A9',
    seed: 2_000_009,
    edits: [{ file: 'compactor/upkeep.ts', from: '    if (!sealed) forgot = Math.max(forgot, number + 1);\n', to: '' }],
  },
  {
    name: 'a horizon in one step',
    rule: 'A10',
    seed: 2_000_010,
    edits: [
      { file: 'compactor/pass.ts', from: '  const horizon = nextHorizon(base.root, fold);\n', to: '' },
      {
        file: 'compactor/pass.ts',
        from: '  const rewritten = await rewriteTables(context, intake, run);\n',
        to: '  const horizon = nextHorizon({ ...base.root, drain }, fold);\n  const rewritten = await rewriteTables(context, intake, run);\n',
      },
    ],
  },
  {
    name: 'finishes a drain half way',
    rule: 'A10',
    seed: 2_000_028,
    edits: [
      {
        file: 'compactor/upkeep.ts',
        from: '  return fold.incompleteFrom === undefined || fold.incompleteFrom >= drain ? drain : horizon;',
        to: '  return fold.incompleteFrom === undefined || fold.incompleteFrom >= 0 ? drain : horizon;',
      },
    ],
  },
  {
    name: 'tombstones go early',
    rule: 'A11',
    seed: 2_000_030,
    edits: [
      {
        file: 'compactor/rewrite.ts',
        from: 'return this.#isWhole && this.#context.horizon >= absorbedAt;',
        to: 'return this.#isWhole && absorbedAt >= 0;',
      },
    ],
  },
  {
    name: 'tombstones go from above',
    rule: 'A11',
    seed: 2_000_027,
    edits: [
      {
        file: 'compactor/rewrite.ts',
        from: 'return this.#isWhole && this.#context.horizon >= absorbedAt;',
        to: 'return this.#context.horizon >= absorbedAt;',
      },
    ],
  },
  {
    name: 'unsealed segments go',
    rule: 'A12',
    seed: 11,
    edits: [
      {
        file: 'compactor/upkeep.ts',
        from: 'return id.root < root.horizon || root.absorbed.get(text)?.sealed === true;',
        to: 'return id.root < root.horizon || root.absorbed.has(text);',
      },
    ],
  },
  {
    name: 'unabsorbed segments go',
    rule: 'A12',
    seed: 2_000_010,
    edits: [
      {
        file: 'compactor/upkeep.ts',
        from: 'return id.root < root.horizon || root.absorbed.get(text)?.sealed === true;',
        to: 'return id.root < root.number || text === undefined;',
      },
    ],
  },
  {
    name: 'reads the root before the log',
    rule: 'A13',
    seed: 2_000_184,
    edits: [
      {
        file: 'src/read/view.ts',
        from: '      const { listing, listedAt } = yield* this.#listLog();\n      yield* this.#readRoot(listing);\n',
        to: '      yield* this.#readRoot((yield* this.#listLog()).listing);\n      this.#logMark = undefined;\n      const { listing, listedAt } = yield* this.#listLog();\n',
      },
    ],
  },
  {
    name: 'passes over what is gone',
    rule: 'A13',
    seed: 2_000_038,
    edits: [
      {
        file: 'src/log/record-log.ts',
        from: '        if (number > next) return this.#lacks({ stripe, number: next });\n        next++;\n',
        to: '        next = number + 1;\n',
      },
      {
        file: 'src/log/record-log.ts',
        from: '        if (record === undefined) return this.#lacks({ stripe, number });\n',
        to: '        if (record === undefined) continue;\n',
      },
    ],
  },
  {
    name: 'no second look',
    rule: 'A13, B2',
    seed: 2_000_017,
    edits: [
      {
        file: 'src/read/view.ts',
        from: '    if (records === 0 && isTrusted(',
        to: '    if (records >= 0) return true;\n    if (records === 0 && isTrusted(',
      },
    ],
  },
  {
    name: 'does not wait for a drain',
    rule: 'A13',
    seed: 2_000_190,
    edits: [
      { file: 'src/read/view.ts', from: 'const isDraining = this.#usesDraining(root, true);', to: 'const isDraining = root.number < 0;' },
    ],
  },
  {
    name: 'dropped tables go at once',
    rule: 'A14',
    seed: 0,
    edits: [
      {
        file: 'compactor/cleanup.ts',
        from: 'return droppedBy === undefined || ageOf(ages, droppedBy) >= constants.retentionMs;',
        to: 'return droppedBy === undefined || ageOf(ages, droppedBy) >= 0;',
      },
    ],
  },
  {
    name: 'tables of other passes go',
    rule: 'A14',
    seed: 2_000_052,
    edits: [
      {
        file: 'compactor/cleanup.ts',
        from: 'if (id === undefined || id.root > root.number || named.has(text)) return false;',
        to: 'if (id === undefined || named.has(text)) return false;',
      },
    ],
  },
  {
    name: 'a failed pass takes its tables along',
    rule: 'A14',
    seed: 2_100_015,
    edits: [
      {
        file: 'compactor/pass.ts',
        from: '  const commit = await commitRoot(context, root);\n',
        to: `  const old = filesOf(base.root.shards);
  const own = [...filesOf(root.shards)].filter((file) => !old.has(file)).map((file) => context.layout.shard + file);
  const commit = await commitRoot(context, root).catch(async (error: unknown) => {
    await context.medium.delete(own);
    throw error;
  });
`,
      },
    ],
  },
  {
    name: 'acknowledges before the sync',
    rule: 'A15',
    seed: 2_100_007,
    edits: [
      {
        file: 'src/log/segment-writer.ts',
        from: '    if (durable) {\n      const end',
        to: '    if (durable && ends.length < 0) {\n      const end',
      },
    ],
  },
  {
    name: 'goes on in a failed segment',
    rule: 'A15',
    seed: 35,
    edits: [
      {
        file: 'src/log/segment-writer.ts',
        from: '      file.write(buffer);\n    } catch (error) {\n      this.failed = true;\n',
        to: '      file.write(buffer);\n    } catch (error) {\n',
      },
      {
        file: 'src/write/namespace-writer.ts',
        from: '      if (this.#segment === segment) this.#segment = undefined;\n      segment.abandon();\n      throw',
        to: '      throw',
      },
    ],
  },
  // ---- B: records
  {
    name: 'no check of a record',
    rule: 'B4',
    seed: 2_000_005,
    edits: [
      {
        file: 'src/update/record-check.ts',
        from: '  const isBelowForgot = record.root < root.forgot;\n',
        to: "  if (root.number >= 0) return 'committed';\n  const isBelowForgot = record.root < root.forgot;\n",
      },
    ],
  },
  {
    name: 'any nonce will do',
    rule: 'B4',
    seed: 2_000_005,
    edits: [{ file: 'src/update/record-check.ts', from: 'if (nonce === record.nonce) return', to: 'if (nonce !== undefined) return' }],
  },
  {
    name: 'an unknown update is repeated',
    rule: 'B4',
    seed: 2_000_008,
    edits: [
      {
        file: 'src/update/record-check.ts',
        from: "  if (nonce === undefined || (nonce === '' && isBelowForgot)) return 'unknown';\n",
        to: '',
      },
    ],
  },
  {
    name: 'stamps by the clock',
    rule: 'B7',
    seed: 2_100_002,
    edits: [
      {
        file: 'src/update/attempt.ts',
        from: 'stamp: { time, writer, sub: sub + 1 }',
        to: 'stamp: { time: time + 60_000_000, writer, sub: sub + 1 }',
      },
    ],
  },
  {
    name: 'void records count',
    rule: 'B8',
    seed: 2_100_003,
    edits: [{ file: 'src/log/record-log.ts', from: "  if (record.root < root.horizon) return 'void';\n", to: '' }],
  },
  {
    name: 'undecided records count',
    rule: 'B9',
    seed: 2_000_000,
    edits: [
      {
        file: 'src/log/record-log.ts',
        from: "if (decision === undefined) return 'undecided';",
        to: "if (decision === undefined) return 'effective';",
      },
    ],
  },
  {
    name: 'torn updates count',
    rule: 'B9',
    seed: 2_000_004,
    edits: [
      {
        file: 'src/log/record-log.ts',
        from: '    this.#missing = this.#torn(root);\n',
        to: '    this.#missing = root.number < 0 ? this.#torn(root) : undefined;\n',
      },
    ],
  },
  {
    name: 'secondaries are not looked after',
    rule: 'B9',
    seed: 2_000_015,
    edits: [
      {
        file: 'src/update/attempt.ts',
        from: 'number > serialThrough(newest.root, stripe))',
        to: 'number > serialThrough(newest.root, stripe) || number > 0)',
      },
    ],
  },
  // ---- C: tickets
  {
    name: 'passes those ahead',
    rule: 'C2',
    seed: 0,
    edits: [{ file: 'src/lock/ticket-queue.ts', from: '    if (blockers.length > 0) return', to: '    if (blockers.length > 1) return' }],
  },
  {
    name: 'numbers are used again',
    rule: 'C1, C4',
    seed: 2,
    edits: [
      {
        file: 'src/lock/ticket-queue.ts',
        from: '  let highest = Math.max(state.floor, state.tickets.at(-1) ?? 0);\n  for (const n of state.done) highest = Math.max(highest, n);\n',
        to: '  const highest = state.tickets.at(-1) ?? 0;\n',
      },
      {
        file: 'src/lock/ticket-queue.ts',
        from: '  return n <= state.floor || state.done.has(n) || ',
        to: '  return state.done.has(n) || ',
      },
    ],
  },
  {
    name: 'does not notice a theft',
    rule: 'C, dead holders',
    seed: 175,
    edits: [{ file: 'src/lock/heartbeat.ts', from: '    this.#onLost?.(why);\n', to: '' }],
  },
  {
    name: 'steals from the living',
    rule: 'C, dead holders',
    seed: 9,
    edits: [
      { file: 'src/lock/holder-watch.ts', from: 'return watched.silentMs >= leaseMs;', to: 'return watched.silentMs >= leaseMs / 10;' },
    ],
  },
  {
    name: 'overlooks the structural lock',
    rule: 'C6',
    seed: 2,
    edits: [
      {
        file: 'src/lock/named-locks.ts',
        from: '        mustYield = await this.#structural.isWanted();\n',
        to: '        mustYield = false;\n',
      },
    ],
  },
];
