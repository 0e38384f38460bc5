import { describe, expect, it } from 'vitest';
import { nodeSystem } from '../../../src/base/system.ts';
import type { ListedObject, ListOptions } from '../../../src/medium/medium.ts';
import { MemoryMedium } from '../../../src/medium/memory-medium.ts';
import { probeMedium } from '../../../src/medium/probe.ts';

const options = { canAppend: false, system: nodeSystem };

class IgnoresConditions extends MemoryMedium {
  override async putIfAbsent(name: string, bytes: Uint8Array): Promise<boolean> {
    await super.putIfAbsent(name, bytes);
    return true;
  }
}

class IgnoresLateConditions extends MemoryMedium {
  override async putIfAbsent(name: string, bytes: Uint8Array): Promise<boolean> {
    return (await super.putIfAbsent(name, bytes)) || bytes.toString().startsWith('late');
  }
}

class ListsLate extends MemoryMedium {
  override async list(): Promise<ListedObject[]> {
    return [];
  }
}

class ListsBackwards extends MemoryMedium {
  override async list(prefix: string, options?: ListOptions): Promise<ListedObject[]> {
    return (await super.list(prefix, options)).reverse();
  }
}

class ListsFromTheStart extends MemoryMedium {
  override async list(prefix: string): Promise<ListedObject[]> {
    return await super.list(prefix);
  }
}

class ReadsOthers extends MemoryMedium {
  override async get(): Promise<Buffer | undefined> {
    return Buffer.from('racer 9');
  }
}

class KeepsDeleted extends MemoryMedium {
  override async delete(): Promise<void> {}
}

describe('the probe', () => {
  it.each([
    ['ignores the condition of a put', new IgnoresConditions(options), '2 of 2 racers'],
    ['ignores it for late ones', new IgnoresLateConditions(options), 'created again'],
    ['lists what it holds only later', new ListsLate(options), 'a listing lacks'],
    ['lists in disorder', new ListsBackwards(options), 'not in order'],
    ['lists from the start always', new ListsFromTheStart(options), 'where it should start'],
    ['gives back other bytes', new ReadsOthers(options), 'does not hold the bytes'],
    ['does not delete', new KeepsDeleted(options), 'after its deletion'],
  ])('refuses a medium that %s', async (_, medium, message) => {
    await expect(probeMedium(medium, nodeSystem)).rejects.toMatchObject({
      code: 'MEDIUM_UNSUITABLE',
      message: expect.stringContaining(message),
    });
  });
});
