import { describe, expect, it } from 'vitest';
import { nodeSystem } from '../../../src/base/system.ts';
import { MemoryMedium } from '../../../src/medium/memory-medium.ts';

describe('a power cut of a memory medium', () => {
  it('takes what was appended since the last sync, and ends the files that were open', async () => {
    const medium = new MemoryMedium({ canAppend: true, system: nodeSystem });
    await medium.putIfAbsent('root/1', Buffer.from('stays'));
    const file = await medium.openAppend('log/s');
    file.write(Buffer.from('synced'));
    await file.sync();
    file.write(Buffer.from(' lost'));
    medium.powerCut();
    expect((await medium.get('log/s'))?.toString()).toBe('synced');
    expect((await medium.get('root/1'))?.toString()).toBe('stays');
    expect(() => file.write(Buffer.from('x'))).toThrow('power');
    const another = await medium.openAppend('log/t');
    another.write(Buffer.from('never synced'));
    medium.powerCut();
    expect((await medium.get('log/t'))?.toString()).toBe('');
  });
});
