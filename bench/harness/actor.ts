/** A process of a trial: `node actor.js <assignment as JSON>`. */
import { once } from 'node:events';
import { suiteNamed } from '../suites/index.ts';
import type { Assignment, Said, Told } from './protocol.ts';
import type { Outcome, Stage } from './suite.ts';

async function act(assignment: Assignment): Promise<Outcome> {
  const { part, ...given } = assignment;
  const led = new AbortController();
  process.on('message', (told: Told) => {
    if (told === 'led') led.abort();
  });
  const suite = await suiteNamed(assignment.suite);
  const stage: Stage = {
    ...given,
    start: async () => {
      say({ ready: true });
      await once(process, 'message');
    },
    led: led.signal,
  };
  if (part === 'run') return suite.run(stage);
  if (part === 'check') return (await suite.check?.(stage)) ?? {};
  await suite.prepare?.(stage);
  return {};
}

function say(said: Said, then: () => void = () => {}): void {
  process.send?.(said, then);
}

// One that has lost its conductor would work for nobody.
const orphaned = (): never => process.exit(1);
process.on('disconnect', orphaned);
const said: Said = await act(JSON.parse(process.argv[2] as string) as Assignment).then(
  (outcome) => ({ outcome }),
  (error: unknown) => ({ failed: error instanceof Error ? (error.stack ?? error.message) : String(error) }),
);
process.off('disconnect', orphaned);
say(said, () => process.disconnect());
