import { describe, expect, it } from 'vitest';
import { lockPrefix, parseLockPrefix } from '../../../src/format/layout.ts';

describe('the prefix of a lock', () => {
  it('comes apart as it was put together, whatever the name', () => {
    for (const kind of ['user', 'compactor', 'stripe', 'structural'] as const) {
      for (const name of ['store', 'runs/12', 'Nächtlich: 100 %/a.b', '%41', '..', ' ', '\u{1f512}']) {
        const prefix = lockPrefix(kind, name);
        expect(prefix).toMatch(/^lock\/[a-z]+\/[A-Za-z0-9_%-]+\/$/);
        expect(parseLockPrefix(prefix)).toEqual({ kind, name });
      }
    }
  });

  it('is none where a folder has another form than a lock has', () => {
    const foreign = [
      'lock/other/x/',
      'lock/user/a b/',
      'lock/user/%41/',
      'lock/user/%C3%A4/',
      'lock/user/%ff/',
      'lock/user//',
      'lock/user/x',
      'lock/user/x/y/',
      'tmp/user/x/',
    ];
    for (const prefix of foreign) expect(parseLockPrefix(prefix), prefix).toBeUndefined();
  });
});
