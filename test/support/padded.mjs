/** Values that are longer than what they say, so that tables have more than one block. Plain JavaScript, since the processes that tests start use it. */

/** @param {string} text */
const dotsOf = (text) => (text.length * 397 + text.charCodeAt(text.length - 1) * 61) % 1500;

/** @param {string} text that doesn't end with a dot */
export const pad = (text) => text + '.'.repeat(dotsOf(text));

/** What a value says, or, if its dots are wrong, all of it. @param {string} value */
export function unpad(value) {
  const text = value.replace(/\.*$/, '');
  return value === pad(text) ? text : value;
}
