/** How many requests were made, and how many bytes they moved: every attempt counts, as it does on the bill. */

export const REQUEST_KINDS = ['put', 'get', 'head', 'list', 'delete'] as const;
export type RequestKind = (typeof REQUEST_KINDS)[number];

export interface RequestCount {
  readonly requests: number;
  readonly bytesSent: number;
  readonly bytesReceived: number;
}

const NONE: RequestCount = { requests: 0, bytesSent: 0, bytesReceived: 0 };

export class RequestCounts {
  readonly #kinds = new Map<RequestKind, RequestCount>();
  /** Attempts beyond the first of their request; they are in the counts of their kind, too. */
  retries = 0;

  note(kind: RequestKind, { sent, received }: { sent: number; received: number }): void {
    const { requests, bytesSent, bytesReceived } = this.of(kind);
    this.#kinds.set(kind, { requests: requests + 1, bytesSent: bytesSent + sent, bytesReceived: bytesReceived + received });
  }

  of(kind: RequestKind): RequestCount {
    return this.#kinds.get(kind) ?? NONE;
  }

  /** Requests so far, by kind: `{ put: 2, list: 1 }`. */
  requests(): Readonly<Partial<Record<RequestKind, number>>> {
    return Object.fromEntries([...this.#kinds].map(([kind, { requests }]) => [kind, requests]));
  }

  /** Each kind, those without a request included. */
  all(): Readonly<Record<RequestKind, RequestCount>> {
    return Object.fromEntries(REQUEST_KINDS.map((kind) => [kind, this.of(kind)])) as Record<RequestKind, RequestCount>;
  }
}
