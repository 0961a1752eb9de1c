import type { Page } from '@platen/sdk';
import { useEffect, useRef, useState } from 'preact/hooks';
import { platen } from '../api.js';
import { t } from '../i18n/index.js';
import { unopened } from '../seal.js';
import { Sealed, useWay } from './page-image.js';
import { a4 } from './paper.js';

/** Between tries to get the image again after its stream broke. Milliseconds. */
const pauses = [500, 1000, 2000, 4000];

/**
 * The page that is being scanned. The browser itself paints the image while its bytes come. What
 * is not scanned yet is paper tint; a fine line shows where the scanner is.
 */
export function GrowingPage({ page, up }: { page: Page; up: boolean }) {
  const [attempt, setAttempt] = useState(0);
  const [state, setState] = useState<'streaming' | 'broken' | 'whole'>('streaming');
  const [error, setError] = useState<unknown>();
  const painted = useRef<HTMLDivElement>(null);
  const way = useWay(page.job, page.id);
  const why = state === 'broken' ? unopened(error) : undefined;
  const scanning = page.state === 'growing';
  // Without its height a page cannot be streamed; it is shown when it is committed.
  const streamable = !scanning || page.height !== undefined;

  useEffect(() => {
    if (state !== 'broken' || why === 'other' || !up) return;
    const timer = setTimeout(() => {
      setState('streaming');
      setAttempt((n) => n + 1);
    }, pauses[Math.min(attempt, pauses.length - 1)]);
    return () => clearTimeout(timer);
  }, [state, up, scanning]);

  const alt = scanning ? t('live.growing', { n: page.n }) : t('doc.page', { n: page.n });
  const said = useRef(alt);
  said.current = alt;
  useEffect(() => {
    const image = painted.current?.querySelector('img');
    if (image) image.alt = alt;
  }, [alt]);
  useEffect(() => {
    const box = painted.current;
    if (way !== 'fetched' || !streamable || !box) return;
    let gone = false;
    let end: (() => void) | undefined;
    import('../pages/growing.js').then(({ paint }) => {
      if (gone) return;
      end = paint(box, page, () => said.current, (now, problem) => {
        setError(problem);
        setState(now);
      });
    }, () => !gone && setState('broken'));
    return () => {
      gone = true;
      end?.();
    };
  }, [way, streamable, attempt]);

  const height = page.height ?? Math.max(page.lines, page.width * 0.4);
  const ratio = page.height || page.lines > 0 ? page.width / height : a4;
  return (
    <div class="paper" style={{ '--r': ratio }} data-page={page.n} data-state={page.state} data-lines={page.lines} data-bytes={page.bytes} data-way={way}>
      {way === 'fetched' && <div class="painted" ref={painted} />}
      {(way === 'other' || why === 'other') && <Sealed room="all" alt={alt} />}
      {way === 'link' && streamable && state !== 'broken' && (
        <img
          key={attempt}
          class={state === 'whole' ? '' : 'streaming'}
          src={platen.pageURL(page.job, page.n)}
          alt={alt}
          draggable={false}
          decoding="sync"
          onLoad={() => setState('whole')}
          onError={() => setState('broken')}
        />
      )}
      {state === 'broken' && why !== 'other' && <div class="note label" data-seal={why}>{why === 'changed' ? t('sealed.changed') : t('live.broken', { n: page.n })}</div>}
      {scanning && page.lines > 0 && <div class="front" style={{ top: `${Math.min(99.6, (page.lines / height) * 100)}%` }} />}
    </div>
  );
}
