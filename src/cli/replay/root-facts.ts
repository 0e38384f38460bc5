/** What the roots of a namespace say about its compaction: they outlive compactors that were killed before they could tell. */

import { namespaceLayout, parseRootName } from '../../format/layout.ts';
import { decodeRoot } from '../../format/root-codec.ts';
import { openLocation } from '../../medium/open-location.ts';

export interface RootFacts {
  readonly roots: number;
  readonly rootBytes: number;
  readonly tableBytes: number;
  /** Bytes of frames taken in. */
  readonly logBytes: number;
  readonly frames: number;
  readonly deltas: number;
  /** False if old roots are gone already, so that the numbers above are too small. */
  readonly isComplete: boolean;
}

export async function readRootFacts(location: string, namespace: string): Promise<RootFacts> {
  const medium = await openLocation(location, { readOnly: true });
  const layout = namespaceLayout(namespace);
  const sum = { roots: 0, rootBytes: 0, tableBytes: 0, logBytes: 0, frames: 0, deltas: 0 };
  let isComplete = false;
  try {
    for (const { name } of await medium.list(layout.root)) {
      const number = parseRootName(layout, name);
      const bytes = number === undefined ? undefined : await medium.get(name);
      if (bytes === undefined) continue;
      const { counts } = decodeRoot(bytes, name);
      if (number === 0) isComplete = true;
      sum.roots++;
      sum.rootBytes += bytes.length;
      sum.tableBytes += counts.tableBytesOut;
      sum.logBytes += counts.logBytesIn;
      sum.frames += counts.framesIn;
      sum.deltas += counts.deltasIn;
    }
  } finally {
    await medium.close();
  }
  return { ...sum, isComplete };
}
