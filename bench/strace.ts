/** Whether programs can be traced here. */
import { spawnSync } from 'node:child_process';

/** False where strace is missing, or may not trace. */
export const HAS_STRACE: boolean = spawnSync('strace', ['-o', '/dev/null', 'true']).status === 0;
