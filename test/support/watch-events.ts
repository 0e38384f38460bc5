import type { Namespace, WatchEvent } from '../../src/index.ts';
import type { VirtualSystem } from './virtual-system.ts';

/** A watch whose events are gathered while virtual time goes on. */
export class Watch {
  readonly events: WatchEvent<unknown>[] = [];
  readonly #controller = new AbortController();
  readonly #done: Promise<void>;

  constructor(items: Namespace, from?: string) {
    this.#done = (async () => {
      const options = { signal: this.#controller.signal, pollMs: 100, ...(from === undefined ? {} : { from }) };
      for await (const event of items.watch(options)) this.events.push(event);
    })().catch(() => undefined);
  }

  get texts(): string[] {
    return this.events.map((event) =>
      event.type === 'resync' ? 'resync' : event.type === 'put' ? `${event.key}=${String(event.value)}` : `-${event.key}`,
    );
  }

  get token(): string {
    return (this.events.at(-1) as WatchEvent<unknown>).token;
  }

  async stop(system: VirtualSystem): Promise<void> {
    this.#controller.abort();
    await system.time.until(this.#done);
  }
}
