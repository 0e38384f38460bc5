/** Where contract tests run: every kind of medium. Each handle that `open` gives stands for a process of its own on the same store. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MemoryMedium, nodeSystem, type OpenOptions, open, type Store } from '../../src/index.ts';

export interface Place {
  readonly name: string;
  make(): { open: (options?: OpenOptions) => Promise<Store>; remove: () => Promise<void> };
}

function memory(canAppend: boolean, blocking: boolean): Place {
  return {
    name: `memory ${canAppend ? 'with' : 'without'} append${blocking ? '' : ', not blocking'}`,
    make: () => {
      const medium = new MemoryMedium({ system: nodeSystem, canAppend, blocking });
      return { open: (options) => open(medium, options), remove: async () => undefined };
    },
  };
}

function files(segments: 'appended' | 'framed'): Place {
  return {
    name: `files, ${segments}`,
    make: () => {
      const directory = mkdtempSync(join(tmpdir(), 'peat-test-'));
      return {
        open: (options) => open(directory, { segments, ...options }),
        remove: async () => rmSync(directory, { recursive: true, force: true }),
      };
    },
  };
}

export const PLACES: readonly Place[] = [
  memory(true, true),
  memory(false, true),
  memory(true, false),
  memory(false, false),
  files('appended'),
  files('framed'),
];
