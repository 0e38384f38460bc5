import { describe, expect, it } from 'vitest';
import { plain } from '../../../../src/cli/lock/ticket-text.ts';

describe("others' text in a line", () => {
  it.each(['nightly', 'Größe 7', '/srv/app/job.ts:12', 'say "hi"', '日本語 🔒'])('%j stands as it is', (text) => {
    expect(plain(text)).toBe(text);
  });

  it.each([
    ['a\nuser b', '"a\\nuser b"'],
    ['\u001b[2Jgone', '"\\u001b[2Jgone"'],
    ['x\u009b2J', '"x\\u009b2J"'],
    ['left\u202eright', '"left\\u202eright"'],
    ['a\u2028b', '"a\\u2028b"'],
  ])('%j can neither forge a line nor steer a terminal', (text, shown) => {
    expect(plain(text)).toBe(shown);
  });
});
