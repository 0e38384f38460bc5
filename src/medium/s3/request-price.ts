/** What requests cost at list prices. An estimate: what moves out of the region and what is stored cost beside it, and providers differ. */
import type { RequestCounts, RequestKind } from './request-counts.ts';

export const PRICE_TABLE = 'AWS S3 Standard, us-east-1, list prices of requests';

/** Dollars for a million. */
const DOLLARS_PER_MILLION: Readonly<Record<RequestKind, number>> = { put: 5, list: 5, get: 0.4, head: 0.4, delete: 0 };

export interface CostEstimate {
  readonly dollars: number;
  /** Which prices these are. */
  readonly priceTable: string;
  readonly isEstimate: true;
}

export function estimateCost(counts: RequestCounts): CostEstimate {
  const kinds = Object.entries(DOLLARS_PER_MILLION) as [RequestKind, number][];
  const dollars = kinds.reduce((sum, [kind, price]) => sum + (counts.of(kind).requests * price) / 1e6, 0);
  return { dollars: Number(dollars.toFixed(9)), priceTable: PRICE_TABLE, isEstimate: true };
}
