/**
 * Given to Node with `--import`: loads the parts of the built command line, then stops its own process, until someone sends CONT. So who
 * traces it from there sees the calls of the command, and not those that Node makes to start and to find its modules.
 */
import { closeSync, openSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';

const main = /** @type {string} */ (process.argv[1]);
const parts = readdirSync(dirname(main)).filter((name) => name.endsWith('.js') && !['peat.js', 'peatlog.js'].includes(name));
for (const part of parts) await import(pathToFileURL(join(dirname(main), part)).href);
process.kill(process.pid, 'SIGSTOP');
// The program itself is still to be read, by the other thread. So the first call of either is none of the command's; nor is it
// where Node has made one of its own before it.
try {
  closeSync(openSync('/dev/null', 'r'));
} catch {
  // It is the call that was made to fail.
}
