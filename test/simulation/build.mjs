/**
 * Builds the simulation into one file: the engine as it is, but that each simulated process tells who it is, and, if asked for, with
 * one rule taken out of it (`mutants.mjs`). Nothing is loaded late then, so nothing but promises and the two seams decides what comes next.
 */
import { fileURLToPath } from 'node:url';
import { rolldown } from 'rolldown';

/** @param {string} name */
const inFolder = (name) => fileURLToPath(new URL(name, import.meta.url));

/**
 * @param {string} file where it is written to
 * @param {import('./mutants.mjs').Mutant} [mutant]
 */
export async function buildSimulation(file, mutant) {
  /** @type {Set<import('./mutants.mjs').Edit>} */
  const made = new Set();
  const bundle = await rolldown({
    input: inFolder('main.ts'),
    platform: 'node',
    external: /^[^./]/,
    transform: { target: 'es2023' },
    checks: { ineffectiveDynamicImport: false },
    plugins: [ownProcessFacts(), planted(mutant, made)],
  });
  await bundle.write({ file, format: 'esm', codeSplitting: false, sourcemap: 'inline' });
  await bundle.close();
  const missing = mutant?.edits.find((edit) => !made.has(edit));
  if (missing !== undefined) throw new Error(`${mutant?.name}: ${missing.file} is no part of the simulation`);
}

/**
 * The one place where the engine asks the machine past its seams.
 *
 * @returns {import('rolldown').Plugin}
 */
function ownProcessFacts() {
  const own = inFolder('simulated-facts.ts');
  return {
    name: 'own-process-facts',
    resolveId: (source, importer) => (importer !== own && source.endsWith('/process-facts.ts') ? own : null),
  };
}

/**
 * Edits sources as they are read. Each edit must find its place, and only one.
 *
 * @param {import('./mutants.mjs').Mutant | undefined} mutant
 * @param {Set<import('./mutants.mjs').Edit>} made
 * @returns {import('rolldown').Plugin}
 */
function planted(mutant, made) {
  return {
    name: 'planted',
    transform(code, id) {
      let edited = code;
      for (const edit of mutant?.edits ?? []) {
        if (!id.endsWith(`/${edit.file}`)) continue;
        if (edited.split(edit.from).length !== 2) throw new Error(`${mutant?.name}: ${edit.file} has to hold exactly once: ${edit.from}`);
        edited = edited.replace(edit.from, () => edit.to);
        made.add(edit);
      }
      return edited === code ? null : { code: edited };
    },
  };
}
