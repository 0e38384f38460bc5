/** The built files that the processes of a soak run. */
import { fileURLToPath } from 'node:url';

export const ACTOR: string = fileURLToPath(new URL('./actor.js', import.meta.url));
export const PEAT: string = fileURLToPath(new URL('../../lib/peat.js', import.meta.url));
