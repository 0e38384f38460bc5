/** Stands in for `src/lock/process-facts.ts` in the build of the simulation. */
export * from '../../src/lock/process-facts.ts';
export { nodeProcessFacts } from './process.ts';
