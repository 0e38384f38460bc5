/** A link between a writer and the place where the index lives: each transfer takes a round trip, and its bytes' time. */
import { setTimeout as delay } from 'node:timers/promises';

export interface Link {
  readonly bytesPerSecond: number;
  readonly roundTripMs: number;
}

/** Takes as long as this many bytes take over the link; nothing without one. */
export async function transfer(link: Link | undefined, bytes: number): Promise<void> {
  if (link !== undefined) await delay(link.roundTripMs + (bytes / link.bytesPerSecond) * 1000);
}
