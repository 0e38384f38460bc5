/**
 * Bundles what tsc has made: the library and the command line, with the parts they share. Node needs about as long to find and load
 * seventy small modules as to start, and a short-lived process does that each time. What is loaded late stays in files of its own.
 */
import { fileURLToPath } from 'node:url';

const dist = process.env['PEAT_BUILD'] ?? fileURLToPath(new URL('dist', import.meta.url));

/** What nearly every process needs stands in one file; what brings other modules along, or is needed seldom, does not. */
const ENGINE =
  /src\/(base|log\/(?!resolve)|write|format\/(?!checked-json-encode)|medium\/(?!folder|line|probe|s3|sweep|waker)|manifest\/newest|read\/(?!record|watcher|table-stream)|datastore\/(?!update|watch))/;

export default {
  cwd: dist,
  input: { peatlog: `${dist}/src/index.js`, peat: `${dist}/src/cli/main.js` },
  platform: 'node',
  // Dependencies are resolved where the package is installed.
  external: /^[^./]/,
  checks: { ineffectiveDynamicImport: false },
  output: {
    dir: `${dist}/lib`,
    format: 'esm',
    entryFileNames: '[name].js',
    chunkFileNames: '[name]-[hash].js',
    codeSplitting: { groups: [{ name: 'engine', test: ENGINE }] },
  },
};
