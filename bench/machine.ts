/** The machine that something was measured on. */
import { cpus, totalmem } from 'node:os';
import { fileSystemKind } from '../src/medium/file-system-kind.ts';

export interface Machine {
  readonly cpu: string | undefined;
  readonly cores: number;
  readonly memoryGiB: number;
  /** Of the directory where it was measured. */
  readonly fileSystem: string;
}

export function machineOf(directory: string): Machine {
  return {
    cpu: cpus()[0]?.model,
    cores: cpus().length,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    fileSystem: fileSystemKind(directory).name,
  };
}

export function machineText({ cpu, cores, memoryGiB, fileSystem }: Machine, node: string = process.versions.node): string {
  return `${cpu}, ${cores} cores, ${memoryGiB} GiB, ${fileSystem}; Node ${node}`;
}
