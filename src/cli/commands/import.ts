/**
 * `peat import`: entries from a file or stdin, in order, a bounded number of batches under way. What the message at the end counts is what was
 * acknowledged: everything read, or everything before the line that was wrong.
 */
import { type Operation, packBatch } from '../../datastore/batch.ts';
import type { Namespace } from '../../datastore/namespace.ts';
import { type Command, EXIT_OK, type Invocation, stringOption, UsageError } from '../command.ts';
import { type Input, openInput } from '../formats/input.ts';
import { DURABILITY_OPTION, NAMESPACE_OPTION, writing } from '../store-access.ts';

type Format = 'json-lines' | 'json-index' | 'git-history';

const FORMATS: readonly Format[] = ['json-lines', 'json-index', 'git-history'];

/** What goes into one batch; of a history, always a whole commit. */
interface Part {
  readonly where: string;
  readonly operations: readonly Operation[];
  readonly isBatch: boolean;
}

export const command: Command = {
  spec: {
    name: 'import',
    usage: 'LOCATION [FILE] [-n NAMESPACE] [--format json-lines|json-index|git-history]',
    summary: 'Import entries from a file',
    details:
      'From stdin without FILE, or with "-"; gzip is recognised. json-lines: {"key":...,"value":...,"expiresAt":...} a line (expiresAt optional). ' +
      'json-index: one document {"version":1,"entries":{key:value}} of any size. git-history: a commit a line, each a batch. Without --format ' +
      'the first bytes decide. A bad line ends it; the message says where, and how many entries were imported before.',
    options: {
      namespace: NAMESPACE_OPTION,
      format: { type: 'string', placeholder: 'FORMAT', help: `${FORMATS.join(', ')} (default: told from the content)` },
      durability: DURABILITY_OPTION,
      json: { type: 'boolean', help: 'print the counts as JSON' },
    },
    positionals: [1, 2],
    examples: [
      'peat import ./index entries.jsonl',
      'peat import ./index -n runs index.json.gz --format json-index',
      'zcat e.jsonl.gz | peat import ./index',
    ],
  },

  async run(invocation: Invocation): Promise<number> {
    const { output } = invocation;
    const given = stringOption(invocation, 'format');
    if (given !== undefined && !FORMATS.includes(given as Format)) {
      throw new UsageError(`--format must be ${FORMATS.join(', ')}, got ${JSON.stringify(given)}`);
    }
    const counts = await writing(invocation, { create: true }, async (namespace) => {
      const input = await openInput(invocation.positionals[1], invocation.signal);
      const parts = await readParts(input, (given as Format | undefined) ?? detect(input));
      return await new Importer(namespace, invocation).run(parts);
    });
    if (output.json) await output.jsonLine(counts);
    else output.message(`imported ${counts.written} entries of ${counts.read} read`);
    return EXIT_OK;
  },
};

/** @throws UsageError if the content has no known form */
function detect({ head, name }: Input): Format {
  const text = head.toString('utf8').trimStart();
  if (text === '') return 'json-lines';
  const first = /^\{\s*"([^"]*)"\s*:/.exec(text)?.[1];
  if (first === 'key' || first === 'value' || first === 'expiresAt') return 'json-lines';
  if (first === 'version' || first === 'entries') return 'json-index';
  if (first === 'c' || first === 't' || first === 'ops' || first === 'tree') return 'git-history';
  throw new UsageError(`can't tell the format of ${name}, which begins with ${JSON.stringify(text.slice(0, 40))}; give --format`);
}

async function readParts(input: Input, format: Format): Promise<AsyncIterable<Part>> {
  if (format === 'git-history') return readHistory(input);
  const { readJsonLines } = await import('../formats/json-lines.ts');
  const read = format === 'json-lines' ? readJsonLines : (await import('../formats/json-index.ts')).readJsonIndex;
  return singles(read(input.chunks, input.name));
}

async function* singles(entries: AsyncIterable<{ where: string; operation: Operation }>): AsyncGenerator<Part, void> {
  for await (const { where, operation } of entries) yield { where, operations: [operation], isBatch: false };
}

async function* readHistory({ chunks, name }: Input): AsyncGenerator<Part, void> {
  const [{ parseHistoryLine, toOperations }, { readLines }] = await Promise.all([
    import('../history/history.ts'),
    import('../formats/lines.ts'),
  ]);
  for await (const { text, number } of readLines(chunks, name)) {
    const where = `${name}:${number}`;
    const line = parseHistoryLine(text, where);
    if ('commit' in line && line.operations.length > 0) yield { where, operations: toOperations(line), isBatch: true };
  }
}

const BATCH_OPERATIONS_MAX = 500;
const BATCH_BYTES = 1024 * 1024;
const BATCHES_UNDER_WAY_MAX = 8;

class Importer {
  readonly #namespace: Namespace;
  readonly #invocation: Invocation;
  #batch: Operation[] = [];
  #batchBytes = 0;
  #underWay: { written: Promise<unknown>; operations: number }[] = [];
  #read = 0;
  #written = 0;

  constructor(namespace: Namespace, invocation: Invocation) {
    this.#namespace = namespace;
    this.#invocation = invocation;
  }

  async run(parts: AsyncIterable<Part>): Promise<{ read: number; written: number }> {
    try {
      for await (const part of parts) {
        this.#invocation.signal.throwIfAborted();
        await this.#take(part);
      }
      await this.#finish();
    } catch (error) {
      // What stands before the error is imported, and counted.
      await this.#finish().catch(() => undefined);
      const { signal, output } = this.#invocation;
      if (signal.aborted) output.message(`interrupted; ${this.#written} entries were imported`);
      signal.throwIfAborted();
      const { message, code } = error as { message: string; code?: unknown };
      const told = new Error(`${message}; ${this.#written} entries were imported before`, { cause: error });
      throw typeof code === 'string' ? Object.assign(told, { code }) : told;
    }
    return { read: this.#read, written: this.#written };
  }

  async #take({ where, operations, isBatch }: Part): Promise<void> {
    const bytes = packedBytes(operations, where);
    if (isBatch) await this.#send();
    for (const operation of operations) this.#batch.push(operation);
    this.#batchBytes += bytes;
    this.#read += operations.length;
    if (isBatch || this.#batch.length >= BATCH_OPERATIONS_MAX || this.#batchBytes >= BATCH_BYTES) await this.#send();
    this.#invocation.output.progress(() => `${this.#read} entries read, ${this.#written} written`);
  }

  /** Batches take effect in the order of these calls, so later lines win. */
  async #send(): Promise<void> {
    if (this.#batch.length === 0) return;
    const written = this.#namespace.batch(this.#batch);
    // Looked at when its turn comes.
    written.catch(() => undefined);
    this.#underWay.push({ written, operations: this.#batch.length });
    this.#batch = [];
    this.#batchBytes = 0;
    while (this.#underWay.length > BATCHES_UNDER_WAY_MAX) await this.#settleOldest();
  }

  async #settleOldest(): Promise<void> {
    const oldest = this.#underWay.shift();
    if (oldest === undefined) return;
    await oldest.written;
    this.#written += oldest.operations;
  }

  async #finish(): Promise<void> {
    await this.#send();
    while (this.#underWay.length > 0) await this.#settleOldest();
  }
}

/** Packs once to see whether it can be stored: what is refused later, in a batch, can't be told from its neighbours. */
function packedBytes(operations: readonly Operation[], where: string): number {
  try {
    return packBatch(operations, Date.now()).length;
  } catch (error) {
    throw new Error(`${where}: ${(error as Error).message}`, { cause: error });
  }
}
