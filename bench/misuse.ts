/** What a program of the benchmark was given wrongly is told in one line, without a stack. */
const EXIT_USAGE = 64;

/** What `work` gives. Ends the process where an argument, or a file that one names, is wrong. */
export function orMisuse<T>(work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (!(error instanceof TypeError || error instanceof RangeError)) throw error;
    console.error(`peat: ${error.message}`);
    process.exit(EXIT_USAGE);
  }
}
