/** For how long work keeps everything else in its process waiting. */

const EVERY_MS = 2;

/** The most by which a timer of 2 ms came late while `work` was under way. Work that blocks counts whole. */
export async function longestStallMs(work: () => unknown): Promise<number> {
  let longestMs = 0;
  let lastMs = performance.now();
  const look = (): void => {
    const nowMs = performance.now();
    longestMs = Math.max(longestMs, nowMs - lastMs - EVERY_MS);
    lastMs = nowMs;
  };
  const timer = setInterval(look, EVERY_MS);
  try {
    await work();
    look();
  } finally {
    clearInterval(timer);
  }
  return longestMs;
}
