import { describe, expect, it } from 'vitest';
import { checkNamespaceName, lockKindPrefix, lockPrefix, parseLockPrefix } from '../../../src/format/layout.ts';

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

describe('a name that a caller made up', () => {
  const TRICKS = ['..', '.', '../x', 'x/../../y', '/etc/passwd', 'a/b', 'a\\b', 'a\0', '\0', 'C:', '%2e%2e', '~', 'a\n', ' a', ''];

  it('is refused for a namespace where it could be another path', () => {
    for (const name of TRICKS) expect(() => checkNamespaceName(name), JSON.stringify(name)).toThrow(RangeError);
    for (const name of ['a', 'a..b', '0', 'runs.v2-x_y']) expect(checkNamespaceName(name)).toBe(name);
  });

  it('becomes one folder of its own for a lock, right below those of its kind', () => {
    const prefixes = TRICKS.filter((name) => name !== '').map((name) => lockPrefix('user', name));
    for (const prefix of prefixes) expect(prefix.slice(lockKindPrefix('user').length)).toMatch(/^[A-Za-z0-9_%-]+\/$/);
    expect(new Set(prefixes).size).toBe(prefixes.length);
  });
});
