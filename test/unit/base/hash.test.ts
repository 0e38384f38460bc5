import { describe, expect, it } from 'vitest';
import { murmur3 } from '../../../src/base/hash.ts';
import type { Key } from '../../../src/base/key.ts';

/** Bytes, as hex or as text, with the seed and the result, as published for MurmurHash3_x86_32. */
const VECTORS: readonly (readonly [bytes: Buffer, seed: number, hash: number])[] = [
  [Buffer.from(''), 0, 0],
  [Buffer.from(''), 1, 0x514e28b7],
  [Buffer.from(''), 0xffffffff, 0x81f16f39],
  [Buffer.from('ffffffff', 'hex'), 0, 0x76293b50],
  [Buffer.from('21436587', 'hex'), 0, 0xf55b516b],
  [Buffer.from('21436587', 'hex'), 0x5082edee, 0x2362f9de],
  [Buffer.from('214365', 'hex'), 0, 0x7e4a8634],
  [Buffer.from('2143', 'hex'), 0, 0xa0f7b07a],
  [Buffer.from('21', 'hex'), 0, 0x72661cf4],
  [Buffer.from('00000000', 'hex'), 0, 0x2362f9de],
  [Buffer.from('000000', 'hex'), 0, 0x85f0b427],
  [Buffer.from('0000', 'hex'), 0, 0x30f4c306],
  [Buffer.from('00', 'hex'), 0, 0x514e28b7],
  [Buffer.from('aaaa'), 0x9747b28c, 0x5a97808a],
  [Buffer.from('aaa'), 0x9747b28c, 0x283e0130],
  [Buffer.from('aa'), 0x9747b28c, 0x5d211726],
  [Buffer.from('a'), 0x9747b28c, 0x7fa09ea6],
  [Buffer.from('abcd'), 0x9747b28c, 0xf0478627],
  [Buffer.from('abc'), 0x9747b28c, 0xc84a62dd],
  [Buffer.from('ab'), 0x9747b28c, 0x74875592],
  [Buffer.from('Hello, world!'), 0x9747b28c, 0x24884cba],
  [Buffer.from('ππππππππ'), 0x9747b28c, 0xd58063c1],
  [Buffer.from('a'.repeat(256)), 0x9747b28c, 0x37405bdc],
];

describe('murmur3', () => {
  it('gives the published results', () => {
    for (const [bytes, seed, hash] of VECTORS) {
      expect(murmur3(bytes.toString('latin1') as Key, seed), `${bytes.toString('hex')} with seed ${seed}`).toBe(hash);
    }
  });
});
