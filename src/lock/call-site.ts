/**
 * Where in the caller's program a lock is asked for: so that who waits for it, and who lists the locks, can find the holder's line.
 *
 * The stack is cut at the called function itself, not at the name of a file. So it doesn't matter how the package was built, or whether
 * it became a part of somebody's bundle.
 */

/** "/srv/app/import.ts:42" from the stack below a call (`Error.captureStackTrace(called, calledFunction)`); "" where it tells nothing. */
export function callSite(called: { readonly stack?: unknown }): string {
  // A program may have replaced how stacks are made.
  if (typeof called.stack !== 'string') return '';
  for (const frame of called.stack.split('\n')) {
    const match = FRAME.exec(frame);
    if (match === null) continue;
    const [, file = match[3] as string, line = match[4] as string] = match;
    // Of the engine: a callback that `map` or a timer has called.
    if (file.startsWith('node:') || file.startsWith('<')) continue;
    return `${file.replace(/^file:\/\//, '')}:${line}`;
  }
  return '';
}

/** `    at run (file:///srv/app/import.ts:42:7)`, `    at async /srv/app/import.ts:42:7` */
const FRAME = /^\s+at (?:.*? \((.+):(\d+):\d+\)|(?:async )?(.+):(\d+):\d+)$/;
