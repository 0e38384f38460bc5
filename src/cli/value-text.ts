/** Values on a command line: JSON where it is JSON, text otherwise. */

export function parseValue(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
