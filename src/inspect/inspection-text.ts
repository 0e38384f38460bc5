/** An inspection as text for people. */
import { show } from '../base/key.ts';
import {
  type EntryFacts,
  type FrameFacts,
  type Inspection,
  type JsonInspection,
  type PlainInspection,
  type RecordInspection,
  type SegmentInspection,
  type TableFacts,
  type TablesInspection,
  valueJson,
} from './inspection.ts';

export function inspectionText(inspection: Inspection): string[] {
  const lines = [`${inspection.name ?? '(a file outside of a store)'}: ${inspection.kind}, ${inspection.bytes} bytes`];
  switch (inspection.form) {
    case 'json':
      for (const line of jsonLines(inspection)) lines.push(line);
      break;
    case 'segment':
      for (const line of segmentLines(inspection)) lines.push(line);
      break;
    case 'record':
      for (const line of recordLines(inspection)) lines.push(line);
      break;
    case 'tables':
      for (const line of tablesLines(inspection)) lines.push(line);
      break;
    case 'plain':
      for (const line of plainLines(inspection)) lines.push(line);
      break;
  }
  for (const { offset, what } of inspection.problems) lines.push(`DAMAGE at ${offset}: ${what}`);
  return lines;
}

const ok = (isOk: boolean): string => (isOk ? 'ok' : 'DAMAGED');

function plainLines({ kind, text }: PlainInspection): string[] {
  return [kind === 'unknown' ? 'no file of a store' : 'nobody reads what stands in it', `text ${text}`];
}

// ---- checked JSON

function jsonLines({ kind, checksumOk, content }: JsonInspection): string[] {
  const lines = [`checksum ${ok(checksumOk)}`];
  if (typeof content !== 'object' || content === null) return [...lines, 'its contents can not be read'];
  const facts = content as Record<string, unknown>;
  return [...lines, ...(kind === 'root' ? rootLines(facts) : fieldLines(facts))];
}

function fieldLines(facts: Record<string, unknown>, except: ReadonlySet<string> = new Set()): string[] {
  return Object.entries(facts).flatMap(([name, value]) => {
    if (except.has(name)) return [];
    return [`${name} ${typeof value === 'string' ? value : JSON.stringify(value)}${name.endsWith('AtMs') ? ` (${iso(value)})` : ''}`];
  });
}

function iso(ms: unknown): string {
  const date = new Date(Number(ms));
  return Number.isNaN(date.getTime()) ? 'no time' : date.toISOString();
}

const ROOT_LISTS: ReadonlySet<string> = new Set([
  'absorbed',
  'shards',
  'files',
  'dropped',
  'counts',
  'maxStamp',
  'dropFloor',
  'serialThrough',
  'serialNonces',
]);

function rootLines(facts: Record<string, unknown>): string[] {
  const lines = fieldLines(facts, ROOT_LISTS);
  for (const name of ['maxStamp', 'dropFloor']) lines.push(`${name} ${stampText(facts[name])}`);
  for (const [name, value] of Object.entries(record(facts['counts']))) lines.push(`counts.${name} ${String(value)}`);
  const absorbed = Object.entries(record(facts['absorbed']));
  lines.push(`absorbed ${absorbed.length} segments`);
  for (const [segment, entry] of absorbed) {
    const [offset, sealed] = list(entry);
    lines.push(`  ${segment} up to ${String(offset)}${sealed === 1 ? ', sealed' : ''}`);
  }
  for (const line of serialLines(record(facts['serialThrough']), record(facts['serialNonces']))) lines.push(line);
  const dropped = Object.entries(record(facts['dropped']));
  lines.push(`dropped ${dropped.length} files`);
  for (const [file, by] of dropped) lines.push(`  ${file} by root ${String(by)}`);
  const files = list(facts['files']);
  const shards = list(facts['shards']);
  lines.push(`shards ${shards.length}`);
  for (const shard of shards) {
    const { from, tables } = record(shard);
    lines.push(`  from ${show(from)}`);
    for (const table of list(tables)) lines.push(`    ${tableRowText(list(table), files)}`);
  }
  return lines;
}

function serialLines(through: Record<string, unknown>, nonces: Record<string, unknown>): string[] {
  const stripes = Object.entries(through).sort(([a], [b]) => Number(a) - Number(b));
  const lines = [`records of ${stripes.length} stripes`];
  for (const [stripe, number] of stripes) {
    const last = list(nonces[stripe]).map((nonce) => (nonce === '' ? 'no effect' : String(nonce)));
    lines.push(`  stripe ${stripe} up to ${String(number)}${last.length === 0 ? '' : `; the last ${last.length}: ${last.join(', ')}`}`);
  }
  return lines;
}

function tableRowText(row: readonly unknown[], files: readonly unknown[]): string {
  const [file, offset, length, indexOffset, first, last, entries, tombstones, expiring, maxTime, lastExpiry, checksum] = row;
  const crc = typeof checksum === 'number' ? checksum.toString(16).padStart(8, '0') : String(checksum);
  return (
    `${String(files[Number(file)])} at ${String(offset)}, ${String(length)} bytes, blocks end at ${String(indexOffset)}: ` +
    `${show(first)} to ${show(last)}, ${String(entries)} entries, ${String(tombstones)} tombstones, ${String(expiring)} expiring${
      lastExpiry === 0 ? '' : ` until ${iso(Number(lastExpiry))}`
    }, ` +
    `newest ${timeText(Number(maxTime))}, checksum ${crc}`
  );
}

function stampText(stamp: unknown): string {
  const [time, writer, sub] = list(stamp);
  return time === undefined ? 'none' : `${timeText(Number(time))} ${String(writer)} ${String(sub)}`;
}

function timeText(time: number): string {
  return iso(Math.floor(time / 1024));
}

function record(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
}

function list(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? (value as unknown[]) : [];
}

// ---- segments

function segmentLines({ segment, headerOk, frames, tail, sealed }: SegmentInspection): string[] {
  const lines: string[] = [];
  if (segment !== undefined) {
    const { root, writer, sequence, part } = segment;
    lines.push(`opened at root ${root} by writer ${writer}, its segment ${sequence}${part === undefined ? '' : `, object ${part}`}`);
  }
  lines.push(`header ${ok(headerOk)}`);
  for (const frame of frames) for (const line of frameLines(frame)) lines.push(line);
  lines.push(tailText(tail, sealed));
  return lines;
}

function frameLines({ offset, bytes, kind, groupStart, time, batches, deltas = [] }: FrameFacts): string[] {
  const head = `frame at ${offset}, ${bytes} bytes, group from ${groupStart}, checksum ok: ${kind}`;
  if (kind === 'seal') return [`${head} after ${batches} batches`];
  return [`${head} at ${time}, ${deltas.length} deltas`, ...deltas.map((delta) => `  ${entryText(delta)}`)];
}

function tailText({ kind, offset, bytes }: SegmentInspection['tail'], sealed: boolean): string {
  if (kind === 'torn') return `TORN TAIL at ${offset}, ${bytes} bytes: being written, or its sync never returned; dropped by every reader`;
  if (kind === 'allocated') return `ends at ${offset}; ${bytes} zero bytes follow, allocated ahead`;
  return `ends at ${offset}, ${sealed ? 'sealed' : 'not sealed'}`;
}

function entryText({ key, deleted, valueBytes, value, valueText, expiresAt, absorbedAt, stamp }: EntryFacts): string {
  const what = deleted === true ? 'delete' : 'put';
  return [
    `${what} ${show(key)}`,
    ...(deleted === true ? [] : [`${valueBytes} bytes ${valueText ?? valueJson(value)}`]),
    ...(expiresAt === undefined ? [] : [`expires ${expiresAt}`]),
    ...(absorbedAt === undefined ? [] : [`absorbed by root ${absorbedAt}`]),
    ...(stamp === undefined ? [] : [`stamp ${stamp}`]),
  ].join(', ');
}

// ---- records

function recordLines({ record: id, checksumOk, content }: RecordInspection): string[] {
  // Without its name nothing can be said of the checksum; that stands among the problems.
  const lines = id === undefined ? [] : [`number ${id.number} of stripe ${id.stripe}`, `checksum ${ok(checksumOk)}`];
  if (content === undefined) return [...lines, 'its contents can not be read'];
  const { kind, nonce, root, links, deltas } = content;
  const goesWith = links.length === 0 ? '' : `, ${kind === 'primary' ? 'decides for' : 'decided by'} ${links.join(', ')}`;
  lines.push(`${kind}${goesWith}; nonce ${show(nonce)}, rests on root ${root}, ${deltas.length} deltas`);
  for (const delta of deltas) lines.push(`  ${entryText(delta)}`);
  return lines;
}

// ---- tables

function tablesLines({ madeFor, tables }: TablesInspection): string[] {
  const lines: string[] = [];
  if (madeFor !== undefined) lines.push(`made for root ${madeFor.root} by pass ${madeFor.pass}, its file ${madeFor.index}`);
  lines.push(`${tables.length} tables`);
  for (const table of tables) for (const line of tableLines(table)) lines.push(line);
  return lines;
}

function tableLines({ offset, bytes, footer, index, filter, blocks }: TableFacts): string[] {
  const { ok: footerOk, maxTime, ...facts } = footer;
  const counts = Object.entries(facts).map(([name, value]) => `${name} ${String(value)}`);
  return [
    `table at ${offset}, ${bytes} bytes`,
    `  footer ${ok(footerOk)}${footerOk ? `: ${counts.join(', ')}, newest ${timeText(Number(maxTime))}` : ''}`,
    `  filter ${ok(filter.ok)}: ${filter.bytes} bytes`,
    `  index ${ok(index.ok)}`,
    ...blocks.flatMap((block) => {
      const range = block.ok ? `: ${block.entries} entries, ${show(block.first)} to ${show(block.last)}` : '';
      const entries = (block.contents ?? []).map((entry) => `    ${entryText(entry)}`);
      return [`  block at ${block.offset}, ${block.bytes} bytes, ${ok(block.ok)}${range}`, ...entries];
    }),
  ];
}
