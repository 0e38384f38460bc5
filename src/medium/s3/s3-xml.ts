/**
 * What S3 servers say in XML. The parser is lenient, so what it gives is checked here: an answer that was cut off, or that is
 * something else than asked for, must never look like an empty listing.
 */
import { parse, type TNode } from 'txml/txml';
import type { ListedObject } from '../medium.ts';

export interface ListPage {
  /** Whole keys. */
  readonly objects: readonly Required<ListedObject>[];
  readonly folders: readonly string[];
  /** Where the next page begins, if there is one. */
  readonly continuation: string | undefined;
}

/** An answer that does not say what it should. */
export class MalformedAnswerError extends Error {
  override readonly name = 'MalformedAnswerError';
}

/** @throws MalformedAnswerError */
export function parseListPage(body: Buffer): ListPage {
  const root = rootOf(body, 'ListBucketResult');
  const truncated = textOf(root, 'IsTruncated');
  if (truncated !== 'true' && truncated !== 'false') throw new MalformedAnswerError('a listing that does not say whether it goes on');
  const continuation = textOf(root, 'NextContinuationToken');
  if (truncated === 'true' && continuation === undefined) throw new MalformedAnswerError('a listing that goes on, but does not say where');
  return {
    objects: elementsOf(root, 'Contents').map(parseObject),
    folders: elementsOf(root, 'CommonPrefixes').map((element) => required(element, 'Prefix')),
    continuation: truncated === 'true' ? continuation : undefined,
  };
}

function parseObject(element: TNode): Required<ListedObject> {
  const size = Number(required(element, 'Size'));
  const modifiedMs = Date.parse(required(element, 'LastModified'));
  if (!Number.isSafeInteger(size) || Number.isNaN(modifiedMs))
    throw new MalformedAnswerError('a listing with a size or a date that is none');
  return { name: required(element, 'Key'), size, modifiedMs };
}

export interface S3ErrorFacts {
  readonly code: string;
  readonly message: string;
}

/** What an error's body says; undefined if it is none of S3's. Only code and message: other fields may echo what was signed. */
export function parseError(body: Buffer): S3ErrorFacts | undefined {
  if (body.length === 0) return undefined;
  try {
    const root = rootOf(body, 'Error');
    const code = textOf(root, 'Code');
    return code === undefined ? undefined : { code, message: textOf(root, 'Message') ?? '' };
  } catch {
    return undefined;
  }
}

export function encodeDeletion(keys: readonly string[]): Buffer {
  const objects = keys.map((key) => `<Object><Key>${escaped(key)}</Key></Object>`).join('');
  return Buffer.from(`<Delete xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Quiet>true</Quiet>${objects}</Delete>`);
}

/** What could not be deleted, and why. @throws MalformedAnswerError */
export function parseDeletion(body: Buffer): readonly (S3ErrorFacts & { readonly key: string })[] {
  return elementsOf(rootOf(body, 'DeleteResult'), 'Error').map((element) => ({
    key: required(element, 'Key'),
    code: required(element, 'Code'),
    message: textOf(element, 'Message') ?? '',
  }));
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}

function rootOf(body: Buffer, tag: string): TNode {
  const text = body.toString('utf8').trim();
  const roots = parsed(text).filter((node): node is TNode => typeof node !== 'string');
  const [root] = roots;
  const isWhole = text.endsWith(`</${tag}>`) || root?.selfClosed === true;
  if (root === undefined || roots.length !== 1 || root.tagName !== tag || !isWhole) {
    throw new MalformedAnswerError(`an answer that is no whole ${tag}`);
  }
  return root;
}

function parsed(text: string): (TNode | string)[] {
  try {
    return parse(text, { decodeEntities: true, keepWhitespace: true, selfClosingTags: [], skipXmlDeclaration: true }) as (TNode | string)[];
  } catch {
    throw new MalformedAnswerError('an answer that is no XML');
  }
}

function elementsOf(element: TNode, tag: string): TNode[] {
  return element.children.filter((child): child is TNode => typeof child !== 'string' && child.tagName === tag);
}

function textOf(element: TNode, tag: string): string | undefined {
  const [found] = elementsOf(element, tag);
  if (found === undefined) return undefined;
  return found.children.map((child) => (typeof child === 'string' ? child : '')).join('');
}

function required(element: TNode, tag: string): string {
  const text = textOf(element, tag);
  if (text === undefined || text === '') throw new MalformedAnswerError(`an answer with a ${element.tagName} without ${tag}`);
  return text;
}
