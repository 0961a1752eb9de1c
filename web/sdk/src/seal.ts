import { openBody } from './seal/chunks.js';
import { DeviceKey, type KeyStore } from './seal/device.js';
import { SealError } from './seal/error.js';
import { parseSealed, parseTag, sealedType, type SealedHeader } from './seal/header.js';
import { unwrap } from './seal/hpke.js';
import type { ContentFormat, Format, Job } from './types.js';

export { IndexedKeys, MemoryKeys, type KeyStore } from './seal/device.js';
export { SealError, type SealFault } from './seal/error.js';

/** What was asked for, and so what a sealed answer must be. */
export type Asked =
  | { kind: 'page'; job: string; n: number; format: Format | undefined; width: number | undefined }
  | { kind: 'document'; document: string; format: ContentFormat };

/** How to open an answer. */
export interface Opening {
  key: CryptoKey;
  /** Media type of what is inside. */
  type: string;
}

export type Policy = 'preferred' | 'required' | undefined;

/** Reports whether the body of an answer is sealed. */
export function isSealed(response: Response): boolean {
  return response.headers.get('Content-Type') === sealedType;
}

/** Has pages sealed for this device, and opens them; package node/seal describes the format. */
export class Sealing {
  readonly #device: DeviceKey;
  /** The node of a job or document. */
  readonly #nodeOf: (kind: 'jobs' | 'documents', id: string) => Promise<string>;

  constructor(store: KeyStore | undefined, nodeOf: (kind: 'jobs' | 'documents', id: string) => Promise<string>) {
    this.#device = new DeviceKey(store);
    this.#nodeOf = nodeOf;
  }

  /**
   * The recipient to name in a job request; undefined for none. Where one is required or wanted and this device can have no key, it
   * throws: nothing is sent without.
   */
  async recipient(policy: Policy, wanted: boolean | undefined): Promise<string | undefined> {
    if (!wanted && (policy === undefined || (wanted === false && policy === 'preferred'))) return undefined;
    try {
      return await this.#device.recipient();
    } catch (error) {
      if (wanted || policy === 'required' || !(error instanceof SealError)) throw error;
      return undefined;
    }
  }

  /** Whether this device opens the pages of a job when they come by way of a gateway. */
  async openable(job: Job): Promise<boolean> {
    if (!job.recipient) return true;
    if (!DeviceKey.possible) return false;
    return (await this.#device.own())?.recipient === job.recipient;
  }

  /** The key to a sealed answer. Throws SealError. */
  async opening(response: Response, asked: Asked): Promise<Opening> {
    const header = parseSealed(response.headers.get('Platen-Sealed'));
    const tag = parseTag(response.headers.get('ETag'));
    if (!tag?.sealed) throw new SealError('damaged');
    const own = await this.#device.own();
    if (!own) throw new SealError('key-lost');
    if (header.for !== undefined && header.for !== own.hint) throw new SealError('other-device');
    const { version, form } = tag;
    if (asked.kind === 'page') {
      if (!fits(asked, form, header) || !/^[a-z2-7]{16}-p[a-z2-7]{20}$/.test(version)) throw new SealError('damaged');
      const node = await this.#node('jobs', asked.job);
      return { key: await unwrap(own, { node, object: asked.job, part: String(asked.n), version, form }, header), type: header.type };
    }
    if (form !== '' || header.type !== contentTypes[asked.format]) throw new SealError('damaged');
    const node = await this.#node('documents', asked.document);
    return { key: await unwrap(own, { node, object: asked.document, part: '', version, form: asked.format }, header), type: header.type };
  }

  /** The same answer, opened: its body and type are those of what was sealed. Others are answered as they are. */
  async open(response: Response, asked: Asked): Promise<Response> {
    if (!isSealed(response) || !response.body) return response;
    let opening: Opening;
    try {
      opening = await this.opening(response, asked);
    } catch (error) {
      response.body.cancel(error).catch(() => {});
      throw error;
    }
    const headers = new Headers(response.headers);
    for (const name of ['Platen-Sealed', 'Content-Length', 'Content-Disposition']) headers.delete(name);
    headers.set('Content-Type', opening.type);
    return new Response(openBody(response.body, opening.key), { status: response.status, statusText: response.statusText, headers });
  }

  async #node(kind: 'jobs' | 'documents', id: string): Promise<string> {
    const node = await this.#nodeOf(kind, id);
    if (!node.startsWith(id.slice(0, 16))) throw new SealError('damaged'); // IDs begin as those of their nodes
    return node;
  }
}

const imageTypes: Record<Format, string> = { jpeg: 'image/jpeg', png: 'image/png', tiff: 'image/tiff', pnm: 'image/x-portable-anymap' };
const contentTypes: Record<ContentFormat, string> = { pdf: 'application/pdf', tiff: 'image/tiff', zip: 'application/zip', txt: 'text/plain' };

/** Whether the rendition is one that the node may answer to what was asked: the stored page serves where it is as wanted. */
function fits(asked: Asked & { kind: 'page' }, form: string, header: SealedHeader): boolean {
  const { format, width } = asked;
  if (!Object.values(imageTypes).includes(header.type)) return false;
  if (form === '') return format === undefined || header.type === imageTypes[format];
  if (width !== undefined && form === `jpeg-w${width}`) return header.type === imageTypes.jpeg;
  return format !== undefined && form === format && header.type === imageTypes[format];
}
