import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { auditMarkdown, auditText } from '../../../src/cli/lock/audit-text.ts';
import { LockAudit } from '../../../src/lock/lock-audit.ts';
import { LOCK_SITES, type LockSite } from '../../../src/lock/lock-sites.ts';
import type { TraceRecord } from '../../../src/lock/trace-record.ts';

const STRIPE: LockSite = { id: 'stripe', kind: 'stripe', mode: 'exclusive', guards: 'a stripe', why: 'to be fair' };
const NAMED: LockSite = { id: 'named', kind: 'user', mode: 'either', guards: 'what the caller says | what it means', why: 'it asks' };

function line(facts: Partial<TraceRecord>): string {
  const record: TraceRecord = {
    host: 'h1',
    pid: 1,
    at: 0,
    site: 'stripe',
    name: 'runs/1',
    mode: 'exclusive',
    callSite: null,
    outcome: 'released',
    waitMs: 0,
    holdMs: 1,
    token: 1,
    smells: [],
  };
  return JSON.stringify({ ...record, ...facts });
}

function audit(lines: readonly string[], longMs?: number): LockAudit {
  const made = new LockAudit({ sites: [STRIPE, NAMED], longMs });
  for (const one of lines) made.addLine(one);
  return made;
}

describe('the lock audit', () => {
  it('lists every registered site, also without a trace', () => {
    expect(audit([]).rows()).toEqual([
      { site: STRIPE, isRegistered: true, count: 0, outcomes: {}, waitMs: undefined, holdMs: undefined, smells: {}, callSites: [] },
      { site: NAMED, isRegistered: true, count: 0, outcomes: {}, waitMs: undefined, holdMs: undefined, smells: {}, callSites: [] },
    ]);
  });

  it('tells quantiles of waits and holds by nearest rank', () => {
    const lines = Array.from({ length: 200 }, (_, i) => line({ waitMs: 200 - i, holdMs: i + 1 }));
    expect(audit(lines).rows()[0]).toMatchObject({
      count: 200,
      waitMs: { p50: 100, p99: 198, max: 200 },
      holdMs: { p50: 100, p99: 198, max: 200 },
    });
  });

  it('counts waits that came to nothing, and no holds of theirs', () => {
    const rows = audit([line({ outcome: 'LOCK_TIMEOUT', waitMs: 60_000, holdMs: null }), line({ outcome: 'lost', holdMs: 5 })]).rows();
    expect(rows[0]).toMatchObject({
      count: 2,
      outcomes: { LOCK_TIMEOUT: 1, lost: 1 },
      waitMs: { max: 60_000 },
      holdMs: { p50: 5, max: 5 },
    });
  });

  it('counts holds by their smells', () => {
    const lines = [line({ smells: ['timer', 'subprocess'] }), line({ smells: ['timer'] }), line({})];
    expect(audit(lines).rows()[0]?.smells).toEqual({ timer: 2, subprocess: 1 });
  });

  it('finds holds longer than a second long where a lock is meant to be short', () => {
    const lines = [line({ holdMs: 1000 }), line({ holdMs: 1001 }), line({ site: 'named', holdMs: 90_000 })];
    expect(
      audit(lines)
        .rows()
        .map(({ smells }) => smells),
    ).toEqual([{ long: 1 }, {}]);
  });

  it('finds holds long that are longer than was asked about, of all locks', () => {
    const lines = [line({ holdMs: 2500 }), line({ site: 'named', holdMs: 2501 })];
    expect(
      audit(lines, 2500)
        .rows()
        .map(({ smells }) => smells),
    ).toEqual([{}, { long: 1 }]);
  });

  it('tells the places in programs apart, the most frequent first', () => {
    const at = (callSite: string, holdMs: number): string => line({ site: 'named', callSite, holdMs });
    const [, named] = audit([at('/a.ts:1', 1), at('/b.ts:2', 5), at('/b.ts:2', 7)]).rows();
    expect(named).toMatchObject({
      count: 3,
      callSites: [
        { callSite: '/b.ts:2', count: 2 },
        { callSite: '/a.ts:1', count: 1 },
      ],
    });
    expect(named?.callSites[0]?.holdMs).toEqual({ p50: 5, p99: 7, max: 7 });
  });

  it('counts and skips lines that are damaged or none of a trace', () => {
    const whole = line({});
    const made = audit([whole, whole.slice(0, -4), '{"level":"info"}', '\0\0\0\0', '', whole]);
    expect({ lines: made.lines, skipped: made.skipped, count: made.rows()[0]?.count }).toEqual({ lines: 2, skipped: 3, count: 2 });
  });

  it('shows sites that are not registered in this release', () => {
    const rows = audit([line({ site: 'of-tomorrow' })]).rows();
    expect(rows.map(({ site, isRegistered, count }) => [site.id, isRegistered, count])).toEqual([
      ['stripe', true, 0],
      ['named', true, 0],
      ['of-tomorrow', false, 1],
    ]);
  });
});

describe('the table', () => {
  it('is Markdown without a trace: what is registered', () => {
    expect(auditMarkdown(audit([]).rows(), { isTraced: false })).toEqual([
      '| Site | Kind | Mode | Guards | Why |',
      '| --- | --- | --- | --- | --- |',
      '| `stripe` | stripe | exclusive | a stripe | to be fair |',
      '| `named` | user | either | what the caller says \\| what it means | it asks |',
    ]);
  });

  it('is Markdown with the figures of a trace', () => {
    const rows = audit([line({ waitMs: 0.25, holdMs: 1500, smells: ['timer'] })]).rows();
    expect(auditMarkdown(rows, { isTraced: true })[2]).toBe(
      '| `stripe` | stripe | exclusive | a stripe | to be fair | 1 | 0.25 / 0.25 / 0.25 | 1500 / 1500 / 1500 | timer 1, long 1 |',
    );
  });

  it('is text for a terminal', () => {
    const rows = audit([line({ waitMs: 0.25, holdMs: 1500, smells: ['timer'] }), line({ site: 'named', callSite: '/a.ts:1' })]).rows();
    expect(`\n${auditText(rows, { isTraced: true }).join('\n')}`).toBe(`
site          kind    mode       count  wait p50   p99  max ms  hold p50   p99  max ms  outcomes    smells
stripe        stripe  exclusive      1      0.25  0.25    0.25      1500  1500    1500  released 1  timer 1, long 1
named         user    either         1      0.00  0.00    0.00      1.00  1.00    1.00  released 1  -
  at /a.ts:1                         1      0.00  0.00    0.00      1.00  1.00    1.00  released 1  -

stripe: guards a stripe
    to be fair
named: guards what the caller says | what it means
    it asks`);
  });
});

describe('the lock table of docs/locks.md', () => {
  it('is what `peat lock audit --markdown` prints', () => {
    const text = readFileSync(new URL('../../../docs/locks.md', import.meta.url), 'utf8');
    const [, table] = /<!-- generated: peat lock audit --markdown -->\n([\s\S]*?)\n<!-- end -->/.exec(text) ?? [];
    const rows = new LockAudit({ sites: Object.values(LOCK_SITES) }).rows();
    expect(table?.split('\n')).toEqual(auditMarkdown(rows, { isTraced: false }));
  });

  it('names each site once', () => {
    const ids = Object.values(LOCK_SITES).map(({ id }) => id);
    expect(new Set(ids).size).toBe(ids.length);
    expect(ids.length).toBeGreaterThan(0);
  });
});
