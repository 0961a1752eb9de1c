import { ConnectionError, SealError, type ContentFormat } from '@platen/sdk';
import { useEffect, useState } from 'preact/hooks';
import { platen } from '../api.js';
import type { OpenDocument } from '../document/use.js';
import type { Seal } from '../seal.js';
import { useSeal } from '../store/origins.js';
import { isDirect } from '../store/roads.js';

export type FileFormat = Exclude<ContentFormat, 'txt'> | 'jpeg' | 'png';

/** Larger files are saved by the browser straight from the service, not held here. */
const largest = 64 << 20;
/** Bytes that are put into one blob, so that the browser may keep them on disk. */
const gathered = 8 << 20;

export interface Prepared {
  blob: Blob | undefined;
  /** Bytes that have come. */
  bytes: number;
  tooLarge: boolean;
  error: unknown;
  again: () => void;
}

/** Where the browser saves the file from, if it is not sealed. */
export function address(doc: OpenDocument, format: FileFormat): string {
  const { document } = doc.state!;
  const first = document.pages[0];
  if ((format === 'jpeg' || format === 'png') && first) return platen.pageURL(first.job, first.n, { format });
  return platen.documentContentURL(document.id, { format: format as ContentFormat });
}

/** Who can save the document: `other` if this browser cannot open some page of it. */
export function useSealOf(doc: OpenDocument): Seal | undefined {
  return useSeal(doc.state!.document.pages.map((p) => p.job));
}

/** Fetches the file as soon as the sheet opens, so that the tap on Share still counts as the user's. */
export function usePrepared(doc: OpenDocument, format: FileFormat, seal: Seal | undefined, version: string | undefined): Prepared {
  const [state, set] = useState<Omit<Prepared, 'again'>>({ blob: undefined, bytes: 0, tooLarge: false, error: undefined });
  const [round, setRound] = useState(0);
  useEffect(() => {
    set({ blob: undefined, bytes: 0, tooLarge: false, error: undefined });
    if (version === undefined || seal === undefined || seal === 'other') return; // edits are still on their way, or nothing can be opened
    const stop = new AbortController();
    let timer: ReturnType<typeof setTimeout> | undefined;
    let told = 0;
    const progress = (bytes: number): void => {
      if (Date.now() - told < 250 || stop.signal.aborted) return;
      told = Date.now();
      set((s) => ({ ...s, bytes }));
    };
    prepare(doc, format, seal, progress, stop.signal).then(
      (blob) => !stop.signal.aborted && set({ blob, bytes: blob?.size ?? 0, tooLarge: blob === undefined, error: undefined }),
      (error: unknown) => {
        if (stop.signal.aborted) return;
        set({ blob: undefined, bytes: 0, tooLarge: false, error });
        if (error instanceof ConnectionError) timer = setTimeout(() => setRound((n) => n + 1), 2000);
      },
    );
    return () => {
      clearTimeout(timer);
      stop.abort();
    };
  }, [format, seal, version, round]);
  return { ...state, again: () => setRound((n) => n + 1) };
}

/** The bytes, or undefined if there are too many to hold. Sealed ones are held in any number: they cannot be saved by a link. */
async function prepare(doc: OpenDocument, format: FileFormat, seal: Seal, progress: (bytes: number) => void, signal: AbortSignal): Promise<Blob | undefined> {
  const { document } = doc.state!;
  const first = document.pages[0];
  if ((format === 'jpeg' || format === 'png') && first) {
    if (seal === 'own' || isDirect(document.node)) return platen.pageImage(first.job, first.n, { format, signal, onProgress: progress });
    const path = new URL(platen.pageURL(first.job, first.n), location.href).pathname.replace(/^\/api\/v1/, '');
    return gather(await platen.transport.send('GET', path, { query: { format }, signal }), largest, progress, signal);
  }
  return gather(await platen.documentContent(document.id, format as ContentFormat, signal), seal === 'own' ? Infinity : largest, progress, signal);
}

async function gather(response: Response, most: number, progress: (bytes: number) => void, signal: AbortSignal): Promise<Blob | undefined> {
  if (Number(response.headers.get('Content-Length')) > most) {
    await response.body?.cancel();
    return undefined;
  }
  const blobs: Blob[] = [];
  let parts: Uint8Array<ArrayBuffer>[] = [];
  let loose = 0;
  let size = 0;
  const reader = response.body!.getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      size += value.length;
      if (size > most) {
        await reader.cancel();
        return undefined;
      }
      parts.push(value);
      loose += value.length;
      if (loose > gathered) {
        blobs.push(new Blob(parts));
        parts = [];
        loose = 0;
      }
      progress(size);
    }
  } catch (error) {
    throw signal.aborted || error instanceof SealError ? error : new ConnectionError(error);
  }
  return new Blob([...blobs, ...parts], { type: response.headers.get('Content-Type') ?? '' });
}
