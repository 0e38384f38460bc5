import { describe, expect, it } from 'vitest';
import { callSite } from '../../../src/lock/call-site.ts';

function asked(): string {
  const called: { stack?: unknown } = {};
  Error.captureStackTrace(called, asked);
  return callSite(called);
}

describe('the place of a call', () => {
  it('is the file and the line that called', () => {
    expect(asked()).toMatch(/test\/unit\/lock\/call-site\.test\.ts:\d+$/);
  });

  it('is told through a callback of the engine, too', () => {
    expect([1].map(() => asked())[0]).toMatch(/call-site\.test\.ts:\d+$/);
    expect([1].map(asked)[0]).toMatch(/call-site\.test\.ts:\d+$/);
  });

  it.each([
    ['    at run (file:///srv/app/import.ts:42:7)', '/srv/app/import.ts:42'],
    ['    at async run (/srv/app/import.js:42:7)', '/srv/app/import.js:42'],
    ['    at file:///srv/app/import.mjs:1:2', '/srv/app/import.mjs:1'],
    ['    at async /srv/a (copy)/import.mjs:10:2', '/srv/a (copy)/import.mjs:10'],
    ['    at new Job (C:\\app\\job.js:3:4)', 'C:\\app\\job.js:3'],
    ['    at Array.map (<anonymous>)\n    at node:internal/timers:5:6\n    at work (/srv/x.js:9:1)', '/srv/x.js:9'],
  ])('of %j is %j', (frames, place) => {
    expect(callSite({ stack: `Error\n${frames}\n    at later (/srv/later.js:1:1)` })).toBe(place);
  });

  it('is empty where the stack tells nothing', () => {
    for (const stack of [undefined, '', 'Error', 'Error\n    at native', 5, []]) expect(callSite({ stack })).toBe('');
  });
});
