/** A writer that is asked to end by a signal leaves a clean store: what was called is acknowledged, and its segments are sealed. */
import { describe, expect, it } from 'vitest';
import { nodeSystem } from '../../src/base/system.ts';
import { namespaceLayout } from '../../src/format/layout.ts';
import { listLog } from '../../src/log/log-listing.ts';
import { SegmentReader } from '../../src/log/segment-reader.ts';
import { FileMedium } from '../../src/medium/file-medium.ts';
import { runAsync } from '../../src/medium/steps.ts';
import { judge, type Summary } from '../crash/history.mjs';
import { Child, CRASH_WORKER } from '../support/child.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

const LAYOUT = namespaceLayout('crash');

/** The segments of a store, and whether each ends in a seal. */
async function seals(store: string): Promise<boolean[]> {
  const medium = FileMedium.open(store, { readOnly: true });
  const context = { medium, system: nodeSystem };
  const sealed: boolean[] = [];
  for (const { text, parts } of (await runAsync(listLog(LAYOUT), context)).segments.values()) {
    const reader = new SegmentReader(LAYOUT, text, { framed: parts !== undefined });
    await runAsync(reader.read({ parts }), context);
    sealed.push(reader.sealed && reader.tornBytes === 0);
  }
  await medium.close();
  return sealed;
}

describe.each(['SIGINT', 'SIGTERM', 'SIGHUP'] as const)('a writer that gets %s and closes', (signal) => {
  it.each(['appended', 'framed'])('leaves sealed segments behind (%s)', async (segments) => {
    const store = temporaryDirectory();
    const open = { segments, segmentBytesMax: 4096 };
    const facts = { writer: 'w', lane: 'l', inFlight: 8, sizeMax: 10, bytesMax: 500 };
    const child = new Child(CRASH_WORKER, { role: 'write', store, open, ...facts });
    await child.line('ack 20');
    child.kill(signal);
    expect(await child.exit).toEqual({ code: 0, signal: null });
    expect(child.lines.at(-1)).toBe('closed');

    const sealed = await seals(store);
    expect(sealed.length).toBeGreaterThan(1);
    expect(sealed).not.toContain(false);

    const acked = child.numbers('ack').sort((a, b) => a - b);
    const reader = new Child(CRASH_WORKER, { role: 'check', store });
    await reader.exit;
    // All that was called was acknowledged before it closed.
    expect(judge(reader.json('summary') as Summary, [{ writer: 'w', lane: 'l', acked, called: acked.at(-1) ?? 0 }])).toEqual([]);
    expect(acked).toEqual(acked.map((_, i) => i));
  });
});
