/** A table of operations as tests: each medium, each operation. */
import { describe, expect, test } from 'vitest';
import { FORMS, type SweptOperation, sweep } from './sweep.ts';

/** How many failures a test shows; the first is mostly enough. */
const SHOWN = 5;

export function describeSweep(operations: readonly SweptOperation[]): void {
  describe.each(FORMS)('on a medium of the form "$name"', (form) => {
    const able = operations.filter(({ isBlocking }) => isBlocking !== true || form.blocking);
    test.each(able)('$name survives each call that fails', async (operation) => {
      const { calls, failures } = await sweep(operation, form);
      expect(calls).toBeGreaterThan(0);
      expect(failures.slice(0, SHOWN).join('\n'), `${failures.length} trials failed`).toBe('');
    });
  });
}
