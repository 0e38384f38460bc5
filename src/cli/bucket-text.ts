/** What `peat stats` says of the requests that it made itself, for a store in a bucket. */
import type { BucketStats } from '../medium/s3/bucket.ts';
import { REQUEST_KINDS } from '../medium/s3/request-counts.ts';

export function bucketText({ requests, retries, cost, cache }: BucketStats): string[] {
  const counts = REQUEST_KINDS.map((kind) => `${kind.toUpperCase()} ${requests[kind].requests}`).join(', ');
  const all = REQUEST_KINDS.map((kind) => requests[kind]);
  const sent = all.reduce((bytes, { bytesSent }) => bytes + bytesSent, 0);
  const received = all.reduce((bytes, { bytesReceived }) => bytes + bytesReceived, 0);
  const lines = [
    `requests of this command: ${counts}; ${retries} of them retries; ${sent} bytes up, ${received} down`,
    `estimated at $${cost.dollars.toFixed(6)} (${cost.priceTable})`,
  ];
  if (cache === undefined) return [...lines, 'cache: none on this machine'];
  const { directory, bytesMax, hits, misses, bytesFetched, trouble } = cache;
  lines.push(`cache: ${directory}, at most ${bytesMax} bytes; ${hits} hits, ${misses} misses, ${bytesFetched} bytes fetched`);
  return trouble === undefined ? lines : [...lines, `cache: nothing is kept at present: ${trouble}`];
}
