/** When a commit counts as done: it survives a power cut, or the end of the process only. */
export type Durability = 'sync' | 'os';
