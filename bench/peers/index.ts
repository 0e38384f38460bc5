/** The peers by name. Each is loaded only where it acts. */
import type { Peer, PeerName } from './peer.ts';

const LOADERS: Readonly<Record<PeerName, () => Promise<Peer>>> = {
  peat: async () => (await import('./peat.ts')).peat('sync'),
  'peat-os': async () => (await import('./peat.ts')).peat('os'),
  'sqlite-full': async () => (await import('./sqlite.ts')).sqlite('FULL'),
  'sqlite-normal': async () => (await import('./sqlite.ts')).sqlite('NORMAL'),
  lmdb: async () => (await import('./lmdb.ts')).lmdb('sync'),
  'lmdb-nosync': async () => (await import('./lmdb.ts')).lmdb('os'),
  'classic-level': async () => (await import('./classic-level.ts')).classicLevel('sync'),
  'classic-level-os': async () => (await import('./classic-level.ts')).classicLevel('os'),
  'json-file': async () => (await import('./json-file.ts')).jsonFile,
  'json-shards': async () => (await import('./json-shards.ts')).jsonShards,
  'raw-sync': async () => (await import('./raw-limit.ts')).rawLimit('sync'),
  'raw-write': async () => (await import('./raw-limit.ts')).rawLimit('os'),
  memory: async () => (await import('./raw-limit.ts')).rawLimit('memory'),
};

export function peerNamed(name: PeerName): Promise<Peer> {
  return LOADERS[name]();
}
