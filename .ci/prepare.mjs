/**
 * Makes a checkout ready, then runs a script of it: `node .ci/prepare.mjs <ready> [script [arguments…]]`.
 *
 * | ready | what is done first |
 * |---|---|
 * | `installed` | `npm ci`, if node_modules is missing or is not what the lock file asks for |
 * | `built` | that, and dist is built if it was made from other sources |
 * | `rebuilt` | that, and dist is built in any case |
 *
 * So `npm test` and `npm run replay` work in a fresh clone. This file imports nothing but Node for the same
 * reason. The script is imported, not spawned: signals, arguments, standard streams and the exit code are its
 * own, with nobody in between who could lose them.
 *
 * A build is tsc, then rolldown, which bundles what tsc has made into dist/lib. It never shows a half-made dist: they write into a
 * directory of its own, which then takes the place of the old one. The stamp in it is a hash of the sources, since file times say nothing in a copied checkout.
 */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmodSync, existsSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const root = resolve(dirname(fileURLToPath(import.meta.url)), '..');
const dist = join(root, 'dist');
const STAMP = '.sources';
const BUILD_INPUTS = ['src', 'compactor', 'bench', 'tsconfig.json', 'rolldown.config.mjs', 'package-lock.json'];

/**
 * @param {string} path
 * @returns {any} The parsed file, or undefined if there is none.
 */
function readJson(path) {
  return existsSync(path) ? JSON.parse(readFileSync(path, 'utf8')) : undefined;
}

/** Whether node_modules holds what the lock file asks for; npm leaves its own record of what it installed. */
function isInstalled() {
  const installed = readJson(join(root, 'node_modules', '.package-lock.json'))?.packages;
  if (installed === undefined) return false;
  const { '': _self, ...wanted } = readJson(join(root, 'package-lock.json')).packages;
  // Optional packages that are missing belong to other platforms.
  return Object.entries(wanted).every(([path, entry]) => {
    const there = installed[path];
    return there === undefined ? entry.optional || entry.devOptional : there.version === entry.version;
  });
}

/**
 * Runs a program and keeps its output to itself, unless it fails: then all of it is shown, and this process ends.
 *
 * @param {string} what
 * @param {string} command
 * @param {readonly string[]} args
 */
function runQuietly(what, command, args) {
  const { status, error, output } = spawnSync(command, args, {
    cwd: root,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
    maxBuffer: 64 * 1024 * 1024,
    shell: process.platform === 'win32' && command === 'npm',
  });
  if (status === 0) return;
  process.stderr.write(`${output?.join('') ?? ''}${error === undefined ? '' : `${error.message}\n`}peat: ${what} failed\n`);
  process.exit(1);
}

function install() {
  process.stderr.write('peat: installing dependencies (npm ci) ...\n');
  // The caller's environment must not leave out what the build needs (NODE_ENV=production), nor hide an error.
  const args = ['ci', '--no-audit', '--no-fund', '--loglevel=error', '--include=dev', '--include=optional'];
  const npm = process.env['npm_execpath'];
  if (npm?.endsWith('npm-cli.js')) runQuietly('npm ci', process.execPath, [npm, ...args]);
  else runQuietly('npm ci', 'npm', args);
}

/** @param {string} path @returns {string[]} The files at or under `path`, in a fixed order. */
function filesUnder(path) {
  if (!existsSync(join(root, path))) return [];
  const entries = readdirSync(join(root, path), { withFileTypes: true }).sort((a, b) => (a.name < b.name ? -1 : 1));
  return entries.flatMap((entry) => (entry.isDirectory() ? filesUnder(join(path, entry.name)) : [join(path, entry.name)]));
}

/** @returns {string} What dist is made from, as a hash. */
function hashSources() {
  const hash = createHash('sha256');
  for (const file of BUILD_INPUTS.flatMap((input) => (input.includes('.') ? [input] : filesUnder(input)))) {
    const bytes = readFileSync(join(root, file));
    hash.update(`${file}\0${bytes.length}\0`).update(bytes);
  }
  return hash.digest('hex');
}

function isBuilt() {
  const stamp = join(dist, STAMP);
  return existsSync(stamp) && readFileSync(stamp, 'utf8') === hashSources();
}

function build() {
  // Hashed before tsc reads them: a source that changes meanwhile makes the next call build again.
  const stamp = hashSources();
  // On the level of dist, so that the paths in the source maps hold after the renaming.
  const fresh = `${dist}.${process.pid}.new`;
  const old = `${dist}.${process.pid}.old`;
  rmSync(fresh, { recursive: true, force: true });
  process.on('exit', () => {
    for (const leftover of [fresh, old]) rmSync(leftover, { recursive: true, force: true });
  });
  const tsc = join(root, 'node_modules', 'typescript', 'bin', 'tsc');
  runQuietly('the build', process.execPath, [tsc, '-p', '.', '--outDir', fresh, '--noEmitOnError']);
  const rolldown = join(root, 'node_modules', 'rolldown', 'bin', 'cli.mjs');
  process.env['PEAT_BUILD'] = fresh;
  runQuietly('bundling', process.execPath, [rolldown, '--config', 'rolldown.config.mjs']);
  for (const bin of Object.values(readJson(join(root, 'package.json')).bin)) {
    const built = join(fresh, bin.slice('dist/'.length));
    if (existsSync(built)) chmodSync(built, 0o755);
  }
  writeFileSync(join(fresh, STAMP), stamp);
  if (existsSync(dist)) renameSync(dist, old);
  renameSync(fresh, dist);
}

const [ready, script, ...rest] = process.argv.slice(2);
if (ready !== 'installed' && ready !== 'built' && ready !== 'rebuilt') {
  process.stderr.write(`usage: node .ci/prepare.mjs installed|built|rebuilt [script [arguments...]], got ${ready}\n`);
  process.exit(64);
}
if (!isInstalled()) install();
if (ready === 'rebuilt' || (ready === 'built' && !isBuilt())) build();
if (script !== undefined) {
  const path = join(root, script);
  process.argv = [process.execPath, path, ...rest];
  await import(pathToFileURL(path).href);
}
