/**
 * Verifies the roots of a namespace: each one's checksum, name, features and chain, and of the newest the order of its shards and
 * tables. The tables' bytes are `verify-tables.ts`.
 */
import { createHash } from 'node:crypto';
import { isPeatError } from '../base/errors.ts';
import { type NamespaceLayout, parseSegmentId, parseTableFile, rootName } from '../format/layout.ts';
import { NONCE_CHARACTERS } from '../format/record.ts';
import { type Root, SERIAL_NONCES_KEPT, serialThrough, type TableRef } from '../format/root.ts';
import { assertRootIs, decodeRoot } from '../format/root-codec.ts';
import { datedRoots } from '../manifest/root-ages.ts';
import { readObject, type VerifyContext } from './verify-context.ts';

/** What is kept of a root that was looked at. */
export interface VerifiedRoot {
  readonly number: number;
  readonly modifiedMs: number;
  /** Of the file's bytes. */
  readonly sha256: string;
  /** Undefined if it is damaged. */
  readonly root: Root | undefined;
}

export class RootsVerifier {
  readonly #context: VerifyContext;
  readonly #layout: NamespaceLayout;
  readonly #seen = new Map<number, VerifiedRoot>();

  constructor(context: VerifyContext, layout: NamespaceLayout) {
    this.#context = context;
    this.#layout = layout;
  }

  /** Looks at the roots that were not there before. Returns all that are there now, ascending. */
  async update(): Promise<VerifiedRoot[]> {
    const listed = datedRoots(this.#layout, await this.#context.medium.list(this.#layout.root, { stats: true }));
    const present: VerifiedRoot[] = [];
    const fresh: VerifiedRoot[] = [];
    for (const { number, modifiedMs } of listed) {
      let known = this.#seen.get(number);
      if (known === undefined) {
        known = await this.#read(number, modifiedMs);
        // An old root that vanished since it was listed was deleted as old roots are.
        if (known === undefined) continue;
        this.#seen.set(number, known);
        fresh.push(known);
      }
      present.push(known);
    }
    for (const root of fresh) this.#checkChain(root);
    return present;
  }

  async #read(number: number, modifiedMs: number): Promise<VerifiedRoot | undefined> {
    const file = rootName(this.#layout, number);
    const bytes = await readObject(this.#context, file);
    if (bytes === 'absent') return undefined;
    if (bytes === 'unreadable') return { number, modifiedMs, sha256: '', root: undefined };
    const sha256 = createHash('sha256').update(bytes).digest('hex');
    try {
      const root = decodeRoot(bytes, file);
      assertRootIs(root, { namespace: this.#layout.namespace, number, file });
      return { number, modifiedMs, sha256, root };
    } catch (error) {
      if (!isPeatError(error, 'CORRUPT')) throw error;
      this.#context.findings.add({
        severity: 'damage',
        code: 'root-damaged',
        file,
        ...(error.offset === undefined ? {} : { offset: error.offset }),
        what: error.message.replace(`${file}: `, ''),
        meaning: 'if it is the newest root, the namespace can be neither read nor written; an older one only serves clean-up',
        action: 'peat repair: it builds the newest root again, or takes an old one out',
      });
      return { number, modifiedMs, sha256, root: undefined };
    }
  }

  /** `previous` is the hash of the root before, where that is still there; and the counts lead from the one to the other. */
  #checkChain({ number, root }: VerifiedRoot): void {
    if (root === undefined) return;
    if (root.state === 'live') this.#checkBalance(root);
    const before = this.#seen.get(number - 1);
    if (before?.root === undefined) return;
    if (root.previous === before.sha256) {
      if (root.state === 'live') this.#checkEntries(before.root, root);
      this.#checkSerial(before.root, root);
      return;
    }
    this.#context.findings.add({
      severity: 'warning',
      code: 'root-chain',
      file: rootName(this.#layout, number - 1),
      what: `it is whole, but not the root that root ${number} was built on`,
      meaning: 'a stalled compactor put it late, under the number of a root that had gone; nobody reads it',
      action: 'nothing; it goes with the other old roots',
    });
  }

  #checkBalance({ number, counts }: Root): void {
    const taken = counts.deltasIn + counts.entriesRead;
    const given = counts.entriesWritten + counts.superseded + counts.dropped + counts.salvageLost;
    if (taken !== given) this.#reportContents(number, `its pass took in ${taken} entries and gave out ${given}`);
  }

  #checkEntries(before: Root, root: Root): void {
    const expected = countEntries(before) - root.counts.entriesRead + root.counts.entriesWritten;
    const found = countEntries(root);
    if (found !== expected) this.#reportContents(root.number, `its tables have ${found} entries, which should be ${expected}`);
  }

  /** Numbers of records are never used twice. */
  #checkSerial(before: Root, root: Root): void {
    for (const [stripe, through] of before.serialThrough) {
      if (serialThrough(root, stripe) >= through) continue;
      this.#reportContents(
        root.number,
        `its serialThrough of stripe ${stripe} went back from ${through} to ${serialThrough(root, stripe)}`,
      );
    }
  }

  #reportContents(number: number, what: string): void {
    this.#context.findings.add({
      severity: 'damage',
      code: 'root-contents',
      file: rootName(this.#layout, number),
      what,
      meaning: 'its checksum is right, so it was written like this: a defect of the release that compacted, or tampering',
      action: 'report it; restore a backup, or import an export',
    });
  }

  /** Order and references within the newest root. */
  checkNewest(root: Root): void {
    for (const what of [...shardProblems(root), ...referenceProblems(root)]) this.#reportContents(root.number, what);
  }
}

function countEntries({ shards }: Root): number {
  return shards.reduce((sum, { tables }) => tables.reduce((count, { entries }) => count + entries, sum), 0);
}

function shardProblems({ shards, state, number, maxStamp }: Root): string[] {
  const problems: string[] = [];
  if (state === 'dropped' && shards.length > 0) problems.push('the namespace was dropped, but the root names tables');
  if (shards.length > 0 && shards[0]?.from !== '') problems.push('the first shard does not begin at the first key');
  for (const [i, { from, tables }] of shards.entries()) {
    const to = shards[i + 1]?.from;
    if (to !== undefined && to <= from) problems.push(`shard ${i + 1} does not begin behind shard ${i}`);
    for (const table of tables) {
      const place = `table ${table.file} at ${table.offset}`;
      if (table.first > table.last) problems.push(`${place} ends before it begins`);
      if (table.first < from || (to !== undefined && table.last >= to)) problems.push(`${place} reaches beyond its shard ${i}`);
      if ((parseTableFile(table.file)?.root ?? Number.POSITIVE_INFINITY) > number) problems.push(`${place} was made for a later root`);
      if (table.maxTime > (maxStamp?.time ?? 0)) problems.push(`${place} has a newer stamp than the root knows`);
    }
  }
  return [...problems, ...overlaps(shards.flatMap(({ tables }) => tables))];
}

function overlaps(tables: readonly TableRef[]): string[] {
  const sorted = [...tables].sort((a, b) => (a.file === b.file ? a.offset - b.offset : a.file < b.file ? -1 : 1));
  return sorted.flatMap((table, i) => {
    const next = sorted[i + 1];
    const overlap = next !== undefined && next.file === table.file && table.offset + table.length > next.offset;
    return overlap ? [`two tables share bytes of ${table.file}`] : [];
  });
}

function referenceProblems(root: Root): string[] {
  const problems: string[] = [];
  const { horizon, drain, forgot, number } = root;
  if (horizon > drain || drain > number) problems.push(`horizon ${horizon}, drain ${drain} and its own number are out of order`);
  if (forgot > number + 1) problems.push(`it forgot segments of roots to come (${forgot})`);
  for (const text of root.absorbed.keys())
    if (parseSegmentId(text) === undefined) problems.push(`it absorbed ${text}, which is no segment`);
  for (const [stripe, nonces] of root.serialNonces) {
    const isRight = nonces.length <= SERIAL_NONCES_KEPT && nonces.every((nonce) => nonce === '' || nonce.length === NONCE_CHARACTERS);
    if (!isRight || nonces.length > serialThrough(root, stripe)) problems.push(`the nonces of stripe ${stripe} are none of its records'`);
  }
  const named = new Set(root.shards.flatMap(({ tables }) => tables.map(({ file }) => file)));
  for (const file of root.dropped.keys()) if (named.has(file)) problems.push(`it both names and drops ${file}`);
  return problems;
}
