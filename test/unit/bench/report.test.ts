import { writeFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { compareReports, moveText } from '../../../bench/harness/compare-reports.ts';
import { readReport } from '../../../bench/harness/read-report.ts';
import type { FigureReport, PeerReport, Report } from '../../../bench/harness/report.ts';
import { ratioOf, spreadOf } from '../../../bench/harness/statistics.ts';
import { judge } from '../../../bench/harness/targets.ts';
import { reportHtml } from '../../../bench/report/html.ts';
import { reportMarkdown } from '../../../bench/report/markdown.ts';
import { syncChart } from '../../../bench/report/sync-chart.ts';
import { countBetweenMarks, countIn } from '../../../bench/suites/metadata/trace.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';

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
    expect(spreadOf([4, 1])).toEqual({ median: 2.5, min: 1, max: 4 });
    expect(spreadOf([7])).toEqual({ median: 7, min: 7, max: 7 });
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
  const before = report([result('peat', [10, 11, 12]), result('lmdb', [10, 11, 12])]);
  const after = report([result('peat', [20, 21, 22]), result('lmdb', [12, 13, 14])]);

  it('show what moved beyond the spread of both, and whether for the better', () => {
    const { compared, moves, cautions } = compareReports(before, after);
    expect(compared).toBe(2);
    expect(moves).toMatchObject([{ peer: 'peat', before: 11, after: 21, isBetter: true, isSingle: false }]);
    expect(cautions).toEqual([]);
    expect(compareReports(after, before).moves).toMatchObject([{ peer: 'peat', isBetter: false }]);
  });

  it('show first what changed most, by whatever factor, and what came from nothing before all else', () => {
    const old = report([result('peat', [10]), result('lmdb', [10]), result('sqlite-full', [0]), result('classic-level', [5])]);
    const now = report([result('peat', [11]), result('lmdb', [1]), result('sqlite-full', [1]), result('classic-level', [5])]);
    const { moves } = compareReports(old, now);
    expect(moves.map(({ peer, isSingle }) => [peer, isSingle])).toEqual([
      ['sqlite-full', true],
      ['lmdb', true],
      ['peat', true],
    ]);
    expect(moves.map(moveText)[1]).toBe('WORSE  append: one: lmdb: throughput 10 → 1 /s (0.1×), from one round');
  });

  it('of different scales or machines are compared with a caution', () => {
    const elsewhere = { ...after, scale: 'full', machine: { ...after.machine, cores: 64 } } as const;
    expect(compareReports(before, elsewhere).cautions).toEqual([
      'the scale differs: smoke, then full',
      'the number of cores differs: 2, then 64',
    ]);
  });

  it('that are no reports are refused by name', () => {
    const directory = temporaryDirectory();
    const path = (name: string, text: string): string => {
      writeFileSync(`${directory}/${name}`, text);
      return `${directory}/${name}`;
    };
    expect(() => readReport(path('other.json', '{"format":2}'))).toThrow(/other\.json is no report of the benchmark/);
    expect(() => readReport(path('null.json', 'null'))).toThrow(TypeError);
    expect(() => readReport(path('text.json', 'hello'))).toThrow(/text\.json can't be read as a report: /);
    expect(() => readReport(`${directory}/none.json`)).toThrow(/ENOENT/);
    expect(readReport(path('good.json', JSON.stringify(before)))).toEqual(before);
  });
});

describe('a report in Markdown', () => {
  const text = reportMarkdown(
    report([
      result('peat', [20], { checksum: 'aa' }),
      result('lmdb', [10], { checksum: 'bb' }),
      result('classic-level', [], { figures: {}, cannot: 'it is alone' }),
      result('json-file', [0], { failures: ['it broke at <anonymous>'] }),
    ]),
  );

  it('shows a column a peer, with ratios where there are any', () => {
    expect(text).toContain('|  | peat | lmdb | json-file |');
    expect(text).toContain('| throughput | 20 /s | 10 /s · Peat 2× | 0 /s |');
  });

  it('shows what peers can not do, failures, and that they disagree', () => {
    expect(text).toContain("- classic-level can't: it is alone.");
    expect(text).toContain('- **json-file failed**: it broke at &lt;anonymous>');
    expect(text).toContain('**Not the same was read back**: aa, bb');
  });
});

describe('a report as a page', () => {
  it('has its charts in it, and no program', async () => {
    const latencies = {
      append: {
        buckets: [
          [100, 90],
          [200, 9],
          [300, 1],
        ],
        maxUs: 20,
      },
    } as const;
    const endings = [
      [
        { seconds: 1, isDone: true },
        { seconds: 60, isDone: false },
      ],
    ];
    const html = await reportHtml(report([result('peat', [20], { latencies, endings }), result('lmdb', [10], { latencies, endings })]));
    expect(html.match(/<svg/g)).toHaveLength(2);
    expect(html).toContain('1 in 100');
    expect(html).not.toMatch(/<script|https?:\/\/(?!www\.w3\.org)/);
  });
});

describe('the picture of the syncs', () => {
  const endingsOf = (seconds: readonly number[]) => seconds.map((each) => ({ seconds: each, isDone: each < 60 }));
  const picture = (...rounds: readonly (readonly number[])[]): string => {
    const [one] = report([result('peat', [1], { endings: rounds.map(endingsOf) })]).suites[0]?.cases ?? [];
    if (one === undefined) expect.unreachable('the report has a case');
    return syncChart(one, { titles: new Map([['peat', 'Peat']]) });
  };

  it('tells when each writer was done, or that it gave up', () => {
    const svg = picture([1.5, 50, 60]);
    for (const text of ['Peat', '1.5 s', '50 s', 'failed after 60 s']) expect(svg).toContain(`>${text}</text>`);
  });

  it('sums up where there are many writers, of the round in the middle', () => {
    const svg = picture([1, 2, 3, 4, 90], [1, 2, 3, 4, 80], [1, 2, 3, 4, 5]);
    expect(svg).toContain('>4 done, the last after 4.0 s</text>');
    expect(svg).toContain('>1 failed</text>');
  });

  it('is not drawn of nothing', () => {
    expect(() => picture()).toThrow(RangeError);
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
