/**
 * Verifies the segments of a namespace: every frame, the seals, the order of stamps, and what the newest root says of them.
 *
 * A live segment grows while it is read, so what looks like damage is read once more before it is reported. A segment that vanishes
 * meanwhile was absorbed, and deleted by a compactor.
 */
import { type NamespaceLayout, segmentPartName } from '../format/layout.ts';
import type { Root } from '../format/root.ts';
import { type ListedSegment, listLog, partsWithGaps } from '../log/log-listing.ts';
import { runAsync } from '../medium/steps.ts';
import { type DamagedRange, dissectSegment, miscountedSeal, type SegmentAnatomy } from './segment-anatomy.ts';
import { readObject, type VerifyContext } from './verify-context.ts';

export interface LogCensus {
  segments: number;
  tailFrames: number;
  tailDeltas: number;
  tornBytes: number;
}

export class LogVerifier {
  readonly #context: VerifyContext;
  readonly #layout: NamespaceLayout;
  readonly #root: Root;
  readonly #census: LogCensus = { segments: 0, tailFrames: 0, tailDeltas: 0, tornBytes: 0 };

  /** @param root the newest one, read after the segments were there */
  constructor(context: VerifyContext, layout: NamespaceLayout, root: Root) {
    this.#context = context;
    this.#layout = layout;
    this.#root = root;
  }

  async verify(): Promise<LogCensus> {
    for (const segment of (await runAsync(listLog(this.#layout, { stats: true }), this.#context)).segments.values()) {
      this.#census.segments++;
      if (segment.parts === undefined) await this.#verifyFile(segment);
      else await this.#verifyParts(segment, segment.parts);
    }
    return this.#census;
  }

  // ---- one file

  async #verifyFile(segment: ListedSegment): Promise<void> {
    const name = this.#layout.log + segment.text;
    let bytes = await readObject(this.#context, name);
    if (typeof bytes === 'string') return;
    let anatomy = dissectSegment(bytes, segment.text);
    if (anatomy.damage.length > 0) {
      bytes = await readObject(this.#context, name);
      if (typeof bytes === 'string') return;
      anatomy = dissectSegment(bytes, segment.text);
    }
    const absorbed = this.#root.absorbed.get(segment.text);
    const isDone = this.#isBelowHorizon(segment) || absorbed?.sealed === true;
    const covered = isDone ? Number.POSITIVE_INFINITY : (absorbed?.offset ?? 0);
    for (const range of anatomy.damage) this.#reportDamage(name, range, covered >= range.end);
    this.#reportDisorder(name, anatomy);
    this.#reportTail(name, anatomy, covered);
    if (absorbed !== undefined && absorbed.offset > bytes.length) {
      this.#context.findings.add({
        severity: 'info',
        code: 'segment-short',
        file: name,
        offset: bytes.length,
        what: `the root has absorbed ${absorbed.offset} bytes of it, but it has ${bytes.length}`,
        meaning: 'a power cut took its end after it was absorbed; the tables have it',
        action: 'nothing',
      });
    }
    this.#countTail(anatomy, covered);
  }

  #isBelowHorizon({ id }: ListedSegment): boolean {
    return id.root < this.#root.horizon;
  }

  #countTail({ frames }: SegmentAnatomy, covered: number): void {
    for (const { kind, end, entries } of frames) {
      if (kind !== 'batch' || end <= covered) continue;
      this.#census.tailFrames++;
      this.#census.tailDeltas += entries.length;
    }
  }

  #reportDamage(file: string, range: DamagedRange, isCovered: boolean): void {
    this.#context.findings.add({
      severity: isCovered ? 'warning' : 'damage',
      code: 'segment-damaged',
      file,
      offset: range.start,
      bytes: range.end - range.start,
      what: range.what,
      meaning: isCovered
        ? 'nobody reads these bytes any more: the newest root has absorbed the segment beyond them, or it lies below the horizon'
        : 'the batches in these bytes are lost; until they are given up, reads fail, or stop before them',
      action: isCovered ? 'nothing; the compactor deletes the segment' : 'peat repair: it keeps every batch that can be read',
    });
  }

  #reportDisorder(file: string, { disorder }: SegmentAnatomy): void {
    for (const { start } of disorder) {
      this.#context.findings.add({
        severity: 'damage',
        code: 'segment-order',
        file,
        offset: start,
        what: 'the stamp of this batch is not above the one before',
        meaning: 'of two writes of one key the older may have won: a defect of the release that wrote it, or tampering',
        action: 'report it',
      });
    }
  }

  #reportTail(file: string, { tail, end }: SegmentAnatomy, covered: number): void {
    if (tail.kind !== 'torn') return;
    this.#census.tornBytes += tail.bytes;
    this.#context.findings.add({
      severity: 'info',
      code: 'torn-tail',
      file,
      offset: end,
      bytes: tail.bytes,
      what: `a torn tail of ${tail.bytes} bytes`,
      meaning:
        covered > end
          ? 'nobody reads these bytes any more: the newest root has absorbed the segment beyond them, or it lies below the horizon'
          : "a writer that is writing, or that died before these bytes were acknowledged; a damaged byte in the last unsealed group can't be told from that",
      action: 'nothing',
    });
  }

  // ---- one object a group

  async #verifyParts(segment: ListedSegment, listed: readonly number[]): Promise<void> {
    const absorbed = this.#root.absorbed.get(segment.text);
    const isDone = this.#isBelowHorizon(segment) || absorbed?.sealed === true;
    const covered = isDone ? Number.POSITIVE_INFINITY : (absorbed?.offset ?? 0);
    let batches = 0;
    let isWhole = true;
    for (const part of partsWithGaps(listed, isDone ? (listed[0] ?? 0) : covered)) {
      const id = segmentPartName(segment.text, part);
      const name = this.#layout.log + id;
      const bytes = await readObject(this.#context, name);
      if (typeof bytes === 'string') {
        isWhole = false;
        if (bytes === 'absent' && part >= covered) this.#reportGap(name);
        continue;
      }
      const anatomy = dissectSegment(bytes, id);
      for (const range of anatomy.damage) this.#reportDamage(name, range, part < covered);
      this.#reportDisorder(name, anatomy);
      if (part >= covered) this.#countTail(anatomy, -1);
      isWhole &&= anatomy.damage.length === 0;
      batches += anatomy.frames.filter(({ kind }) => kind === 'batch').length;
      const miscounted = isWhole && listed[0] === 0 ? miscountedSeal(anatomy, batches) : undefined;
      if (miscounted !== undefined) this.#reportDamage(name, miscounted, part < covered);
    }
  }

  #reportGap(file: string): void {
    this.#context.findings.add({
      severity: 'damage',
      code: 'object-missing',
      file,
      what: 'this object of a segment is missing before later ones',
      meaning: 'the batches in it are lost; reading and compacting pass over it',
      action: 'restore the file from a backup before the next compaction; or peat repair, which gives it up',
    });
  }
}
