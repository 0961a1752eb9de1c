import { type Page } from '@platen/sdk';
import { platen } from '../api.js';

const pause = 200; // milliseconds between two pictures

/**
 * Fetches a page while it grows, and shows in the box what has come of it: browsers paint images that are cut off. A picture is
 * decoded before it takes the place of the one before, so nothing flickers. Answers what ends it.
 */
export function paint(box: HTMLElement, page: Page, alt: () => string, told: (state: 'whole' | 'broken', error?: unknown) => void): () => void {
  const stop = new AbortController();
  let parts: readonly Uint8Array<ArrayBuffer>[] = [];
  let bytes = 0;
  let drawn = 0;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let shown: string | undefined;

  const show = async (blob: Blob): Promise<void> => {
    const url = URL.createObjectURL(blob);
    const image = new Image();
    image.alt = alt();
    image.draggable = false;
    image.decoding = 'sync';
    image.src = url;
    const fits = await image.decode().then(() => true, () => false);
    if (stop.signal.aborted || !fits) return URL.revokeObjectURL(url);
    box.replaceChildren(image);
    if (shown) URL.revokeObjectURL(shown);
    shown = url;
  };
  const draw = async (): Promise<void> => {
    const begun = performance.now();
    drawn = bytes;
    await show(new Blob([...parts], { type: `image/${page.format}` }));
    if (stop.signal.aborted) return;
    // A slow device is busy with this for half of its time at most.
    timer = setTimeout(() => {
      timer = undefined;
      if (bytes > drawn) soon();
    }, Math.max(pause, performance.now() - begun));
  };
  const soon = (): void => {
    timer ??= setTimeout(() => void draw(), 0);
  };

  platen.downloadPage(page.job, page.n, {
    signal: stop.signal,
    onProgress(count, _total, soFar) {
      bytes = count;
      parts = soFar;
      if (count < drawn) drawn = 0; // another attempt at the page
      soon();
    },
  }).then(async (got) => {
    clearTimeout(timer);
    await show(new Blob([got.bytes], { type: got.type }));
    if (!stop.signal.aborted) told('whole');
  }).catch((error: unknown) => {
    if (!stop.signal.aborted) told('broken', error);
  });

  return () => {
    stop.abort();
    clearTimeout(timer);
    box.replaceChildren();
    if (shown) URL.revokeObjectURL(shown);
  };
}
