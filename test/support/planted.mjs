/**
 * Faults that a process plays on itself, between its program and the engine, so that it can be shown that the checks of histories find
 * them. Plain JavaScript, since the processes that tests start use it.
 */

import { setTimeout as delay } from 'node:timers/promises';

/**
 * @typedef {import('../../src/index.ts').Store} Store
 * @typedef {import('../../src/index.ts').Namespace<string>} Namespace
 * @typedef {import('../../src/index.ts').NamedLock} NamedLock
 * @typedef {(entries: Namespace, random: () => number) => Partial<Namespace>} NamespaceFault
 */

/** What is left out is as it was. @template {object} T @param {T} real @param {Partial<T>} changed @returns {T} */
function withChanges(real, changed) {
  return new Proxy(real, {
    get(target, name) {
      const value = name in changed ? Reflect.get(changed, name) : Reflect.get(target, name);
      return typeof value === 'function' && !(name in changed) ? value.bind(target) : value;
    },
  });
}

/** @type {Record<string, NamespaceFault>} */
const NAMESPACE_FAULTS = {
  /** Every other read finds what an earlier one found. */
  'stale reads': (entries, random) => {
    /** @type {Map<string, string | undefined>} */
    const seen = new Map();
    return {
      async get(key) {
        if (seen.has(key) && random() < 0.5) return seen.get(key);
        const value = await entries.get(key);
        seen.set(key, value);
        return value;
      },
    };
  },

  /** Every other put is acknowledged and forgotten. */
  'lost puts': (entries, random) => {
    let last = '';
    return {
      async put(key, value) {
        if (last !== '' && random() < 0.5) return last;
        last = await entries.put(key, value);
        return last;
      },
    };
  },

  /** A snapshot shows what is there when it is read. */
  'moving snapshots': (entries) => ({
    async snapshot() {
      const snapshot = await entries.snapshot();
      return withChanges(snapshot, { scan: (options) => entries.scan(options) });
    },
  }),

  /** Every other update reads, and writes some time later. */
  'lost updates': (entries, random) => ({
    async update(key, fn, options) {
      if (random() < 0.5) return await entries.update(key, fn, options);
      const value = await fn(await entries.get(key), { keys: [key], signal: new AbortController().signal });
      await delay(100);
      await entries.put(key, /** @type {string} */ (value));
      return { value: /** @type {string} */ (value), stamp: undefined, changed: false, token: undefined };
    },
  }),
};

export const plant = {
  /** @param {Namespace} entries @param {string | undefined} fault @param {() => number} random @returns {Namespace} */
  inNamespace(entries, fault, random) {
    const make = NAMESPACE_FAULTS[fault ?? ''];
    return make === undefined ? entries : withChanges(entries, make(entries, random));
  },

  /** @param {Store} store @param {string | undefined} fault @param {() => number} random @returns {Store} */
  inStore(store, fault, random) {
    if (fault !== 'locks of nobody') return store;
    let token = 1000;
    // One lock of five is not waited for.
    return withChanges(store, {
      async locks(names, options) {
        if (random() < 0.8) return await store.locks(names, options);
        const { signal } = new AbortController();
        const tokens = names.map(() => token++);
        const { mode = 'exclusive' } = options ?? {};
        const held = { names, mode, token, tokens, signal, env: {}, release: async () => {} };
        return /** @type {NamedLock} */ ({ ...held, [Symbol.asyncDispose]: held.release });
      },
    });
  },
};
