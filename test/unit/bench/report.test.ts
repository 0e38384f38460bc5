import { describe, expect, it } from 'vitest';
import { compareReports } from '../../../bench/harness/compare-reports.ts';
import type { FigureReport, PeerReport, Report } from '../../../bench/harness/report.ts';
import { ratioOf, spreadOf } from '../../../bench/harness/statistics.ts';
import { judge } from '../../../bench/harness/targets.ts';
import { reportMarkdown } from '../../../bench/report/markdown.ts';
import { countBetweenMarks, countIn } from '../../../bench/suites/metadata/trace.ts';

function figure(rounds: readonly number[], better: 'more' | 'less' = 'more'): FigureReport {
  return { unit: '/s', better, ...spreadOf(rounds), rounds };
}

function result(peer: PeerReport['peer'], rounds: readonly number[], more: Partial<PeerReport> = {}): PeerReport {
  return { peer, failures: [], figures: { throughput: figure(rounds) }, latencies: {}, ...more };
}

function report(results: readonly PeerReport[]): Report {
  return {
    format: 1,
    startedAt: '2026-01-01T00:00:00.000Z',
    seconds: 1,
    scale: 'smoke',
    rounds: 3,
    seed: 1,
    machine: { cpu: 'a processor', cores: 2, memoryGiB: 4, fileSystem: 'ext4' },
    versions: { node: '20' },
    load: { before: 0, after: 0 },
    peers: [],
    suites: [{ name: 'append', about: 'Appends.', cases: [{ name: 'one', processes: 1, params: {}, results }] }],
    targets: [],
  };
}

describe('figures', () => {
  it('are told as their median and their range', () => {
    expect(spreadOf([3, 1, 2])).toEqual({ median: 2, min: 1, max: 3 });
  });

  it('are divided round by round', () => {
    // The machine was three times as slow in the second round: the ratio does not show it.
    expect(ratioOf([9, 3, 12], [3, 1, 4])).toEqual({ median: 3, min: 3, max: 3 });
  });
});

describe('a target', () => {
  const of = { suite: 'append', case: 'one', peer: 'peat', figure: 'throughput' } as const;
  const { suites } = report([result('peat', [9, 10, 11]), result('lmdb', [10, 10, 10])]);

  it.each([
    [{ atLeast: 0.9 }, true],
    [{ atLeast: 1.1 }, false],
    [{ atMost: 1 }, true],
    [{ atMost: 0.9 }, false],
  ])('of %o against another peer is met: %s', (bound, isMet) => {
    expect(judge([{ name: 'a', of, to: { peer: 'lmdb' }, bound }], suites)).toMatchObject([{ measured: { median: 1 }, isMet }]);
  });

  it('that nothing was measured for is neither met nor missed', () => {
    expect(judge([{ name: 'a', of: { ...of, case: 'another' }, bound: { atLeast: 1 } }], suites)).toMatchObject([{ isMet: undefined }]);
  });
});

describe('two reports', () => {
  it('show what moved beyond the spread of both, and whether for the better', () => {
    const before = report([result('peat', [10, 11, 12]), result('lmdb', [10, 11, 12])]);
    const after = report([result('peat', [20, 21, 22]), result('lmdb', [12, 13, 14])]);
    const { compared, moves } = compareReports(before, after);
    expect(compared).toBe(2);
    expect(moves).toMatchObject([{ peer: 'peat', before: 11, after: 21, isBetter: true }]);
    expect(compareReports(after, before).moves).toMatchObject([{ peer: 'peat', isBetter: false }]);
  });
});

describe('a report in Markdown', () => {
  it('shows ratios, what peers can not do, failures, and that they disagree', () => {
    const text = reportMarkdown(
      report([
        result('peat', [20], { checksum: 'aa' }),
        result('lmdb', [10], { checksum: 'bb' }),
        result('classic-level', [], { cannot: 'it is alone' }),
        result('json-file', [], { failures: ['it broke'] }),
      ]),
    );
    expect(text).toContain('Peat 2×');
    expect(text).toContain("can't: it is alone");
    expect(text).toContain('**json-file failed**: it broke');
    expect(text).toContain('**Not the same was read back**: aa, bb');
  });
});

describe('the calls of a traced program', () => {
  it('are counted between its marks, by kind', () => {
    const log = [
      '12 openat(AT_FDCWD</>, "/s/before", O_RDONLY) = 3</s/before>',
      '12 write(2</dev/null>, "peat-bench: begin\\n", 18) = 18',
      '12 openat(AT_FDCWD</>, "/s/lock/a", O_WRONLY|O_CREAT|O_EXCL, 0666) = 4</s/lock/a>',
      '13 fdatasync(4</s/lock/a>) = 0',
      '13 write(17<anon_inode:[eventfd]>, "\\1\\0", 8) = 8',
      '12 fcntl(5</s/db>, F_SETLK, {l_type=F_RDLCK}) = 0',
      '12 pread64(5</s/db>, ""..., 10, 0) = 10',
      '12 write(2</dev/null>, "peat-bench: end\\n", 16) = 16',
      '12 unlink("/s/after") = 0',
    ].join('\n');
    expect(Object.fromEntries(countBetweenMarks(log))).toEqual({
      all: 4,
      creates: 1,
      opens: 1,
      syncs: 1,
      reads: 1,
      locks: 3,
    });
  });

  it('are counted where they have to do with a directory', () => {
    const log = ['12 openat(AT_FDCWD</>, "/usr/lib/a", O_RDONLY) = 3</usr/lib/a>', '12 fsync(3</s/a>) = 0', '12 unlink("/s/b") = 0'].join(
      '\n',
    );
    expect(Object.fromEntries(countIn('/s', log))).toEqual({ all: 2, syncs: 1, removals: 1 });
  });
});
