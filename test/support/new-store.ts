/** A store with constants of a test's own: those of a store are written when it is created, and `open` takes none. */
import { newNonce, type System } from '../../src/base/system.ts';
import { encodeCheckedJson } from '../../src/format/checked-json-encode.ts';
import { STORE_FILE } from '../../src/format/layout.ts';
import { newStoreFile, type StoreConstants } from '../../src/format/store-file.ts';
import type { Medium } from '../../src/medium/medium.ts';

/** @param place.canAppend that of the medium that those have who use the store */
export async function newStore(
  { medium, system, canAppend = medium.canAppend }: { medium: Medium; system: System; canAppend?: boolean },
  constants: StoreConstants,
): Promise<void> {
  const file = newStoreFile({
    storeId: newNonce(system),
    segments: canAppend ? 'appended' : 'framed',
    constants,
    probed: {},
    createdAtMs: system.wallNowMs(),
  });
  await medium.putIfAbsent(STORE_FILE, encodeCheckedJson(file));
}
