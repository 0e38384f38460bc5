/**
 * Versions. Many programs embed many releases of Peat and share one store, so what is persistent says itself what a
 * release must know: names of features, one list for readers and one for writers. An older release that meets
 * a name it does not know refuses before it writes a byte.
 */
import { corrupt, PeatError } from '../base/errors.ts';

export const FORMAT_VERSION = 1;

/** Lock files are in another place, which `peat.json` names. */
export const LOCK_DIR_FEATURE = 'lock-dir';

/** Features that this release knows. Format 1 itself needs none. */
const KNOWN: ReadonlySet<string> = new Set<string>([LOCK_DIR_FEATURE]);

interface Versioned {
  readonly format: number;
  readonly readerFeatures: readonly string[];
  readonly writerFeatures: readonly string[];
}

/** @throws PeatError `UNSUPPORTED_VERSION` if this release can't read what `file` describes; `CORRUPT` if it says nothing of the kind. */
export function checkFeatures(value: unknown, file: string): void {
  const versioned = typeof value === 'object' && value !== null ? (value as Partial<Versioned>) : {};
  if (typeof versioned.format !== 'number') throw corrupt(file, 0, 'it has no format');
  if (versioned.format !== FORMAT_VERSION) {
    throw new PeatError('UNSUPPORTED_VERSION', `${file} has format ${versioned.format}, this release knows ${FORMAT_VERSION}`, { file });
  }
  if (!isList(versioned.readerFeatures) || !isList(versioned.writerFeatures)) throw corrupt(file, 0, 'it has no lists of features');
  refuseUnknown(versioned.readerFeatures, `${file} can be read`, file);
}

function isList(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((one) => typeof one === 'string');
}

/** @throws PeatError `UNSUPPORTED_VERSION` if this release can't write to what `file` describes. */
export function checkWriterFeatures(versioned: Pick<Versioned, 'writerFeatures'>, file: string): void {
  refuseUnknown(versioned.writerFeatures, `${file} can be written to`, file);
}

function refuseUnknown(features: readonly string[], what: string, file: string): void {
  const unknown = features.filter((feature) => !KNOWN.has(feature));
  if (unknown.length > 0) {
    throw new PeatError('UNSUPPORTED_VERSION', `${what} only by a release that knows: ${unknown.join(', ')}`, { file });
  }
}
