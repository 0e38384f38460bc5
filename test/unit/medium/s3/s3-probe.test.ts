/** Servers that break a promise are refused before a store is created, and told which. */
import { describe, expect, it } from 'vitest';
import { nodeSystem } from '../../../../src/base/system.ts';
import { open } from '../../../../src/datastore/open.ts';
import { S3Medium } from '../../../../src/medium/s3/s3-medium.ts';
import { type Deviation, FAKE_BUCKET } from '../../../support/s3/fake-operations.ts';
import { startFakeServer } from '../../../support/s3/fake-server.ts';

describe('a server that', () => {
  it.each<[Deviation, string]>([
    ['ignores-conditions', '2 of 2 racers created the same object'],
    ['ignores-start-after', 'ignores where it should start'],
    ['lists-late', 'a listing lacks an object'],
    ['lists-in-disorder', 'a listing is not in order'],
    ['keeps-deleted', 'after its deletion'],
  ])('%s is refused', async (deviation, message) => {
    const server = await startFakeServer({ deviation });
    const medium = await S3Medium.open(`s3://${FAKE_BUCKET}/store`, { env: server.env });
    await expect(open(medium, { system: nodeSystem })).rejects.toMatchObject({
      code: 'MEDIUM_UNSUITABLE',
      message: expect.stringContaining(message),
    });
    expect(await medium.get('peat.json')).toBeUndefined();
    await medium.close();
    await server.close();
  });
});
