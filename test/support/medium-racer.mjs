/**
 * One of many processes that try to create the same objects: STORE RACER NAMES START_MS FORM. Prints the names that it won.
 * Runs what was built, since Node 20 can't run the sources.
 */
import { setTimeout } from 'node:timers/promises';
import { FileMedium } from '../../dist/src/medium/file-medium.js';

const [store = '', racer = '', names = '', startMs = '', form = ''] = process.argv.slice(2);
const medium = FileMedium.open(store);
// All begin at once, whenever they were started.
await setTimeout(Number(startMs) - Date.now());
/** @type {string[]} */
const won = [];
for (let i = 0; i < Number(names); i++) {
  const name = `ns/race/root/${String(i).padStart(20, '0')}`;
  const bytes = Buffer.from(`${name} by ${racer}`);
  const options = { durable: i % 10 === 0 };
  const mine = form === 'blocking' ? medium.blocking?.putIfAbsent(name, bytes, options) : await medium.putIfAbsent(name, bytes, options);
  if (mine === true) won.push(name);
}
await medium.close();
process.stdout.write(JSON.stringify(won));
