/**
 * When the tables of a shard are merged, and how large shards are: pure functions of sizes.
 *
 * A shard is a stack of tables, oldest first. The oldest is its base; those above are the overlay. Sizes fall
 * from the base to the top by classes, each `factor` times the next, and no class has more than `factor - 1` tables. So a stack
 * has O(log size) tables, and an entry is rewritten about once a class on its way down. When the overlay has grown as
 * large as the base, all is merged: that costs twice what was taken in since the last time.
 */

/** Tables of this many equal sizes are merged into one. More writes less, and leaves more tables to look into. */
export const STACK_FACTOR = 4;
/** All tables are merged when the overlay reaches this part of the base. */
export const OVERLAY_MAX = 1;

/** What the size of a new table is estimated from is not exact; whatever comes of that, a stack grows no higher. */
const TABLES_MAX = 24;

const SHARD_BYTES_MIN: number = 256 * 1024;
const SHARD_BYTES_SCALE: number = 10 * 1024;

export interface StackPolicy {
  readonly factor?: number;
  readonly overlayMax?: number;
}

/**
 * How many of the newest tables are merged with a new one: 0 = it is put on top, all = the shard is written anew.
 *
 * @param sizes bytes of the stack's tables, oldest first
 * @param newBytes rather too large than too small: tables that turn out larger than was thought are not counted to its class
 */
export function tablesToMerge(sizes: readonly number[], newBytes: number, policy: StackPolicy = {}): number {
  const { factor = STACK_FACTOR, overlayMax = OVERLAY_MAX } = policy;
  const base = sizes[0];
  if (base === undefined) return 0;
  const overlay = sizes.reduce((sum, size) => sum + size, newBytes) - base;
  if (overlay >= base * overlayMax) return sizes.length;

  const classOf = (bytes: number): number => Math.floor(Math.log(Math.max(bytes, 1)) / Math.log(factor));
  let count = 0;
  let merged = newBytes;
  for (;;) {
    const level = classOf(merged);
    // Smaller tables don't stay below a larger one; as many of its own size as make a class full go down with it.
    let smaller = 0;
    let run = 0;
    let equal = 0;
    for (let i = sizes.length - 1 - count; i > 0 && classOf(sizes[i] as number) <= level; i--) {
      run++;
      if (classOf(sizes[i] as number) === level) equal++;
      else if (equal === 0) smaller++;
    }
    const take = equal >= factor - 1 ? run : smaller;
    if (take === 0) return sizes.length - count < TABLES_MAX ? count : sizes.length - 1;
    for (let i = 0; i < take; i++) merged += sizes[sizes.length - 1 - count - i] as number;
    count += take;
  }
}

/** How large a shard may grow before it splits. Grows as the root of the whole, so that the root's size does too. */
export function shardTargetBytes(namespaceBytes: number): number {
  return Math.max(SHARD_BYTES_MIN, Math.round(Math.sqrt(namespaceBytes * SHARD_BYTES_SCALE)));
}

/** How a shard that is written anew is cut: into so many parts, after so many bytes each. */
export interface Cut {
  readonly parts: number;
  readonly bytes: number;
}

/** Equal parts that are no larger than the target; a shard that is not too large is not cut. */
export function cutInto(bytes: number, target: number): Cut {
  const parts = Math.ceil(bytes / target);
  return parts <= 1 ? { parts: 1, bytes: Number.POSITIVE_INFINITY } : { parts, bytes: bytes / parts };
}
