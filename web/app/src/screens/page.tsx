import { useEffect, useRef, useState } from 'preact/hooks';
import { platen } from '../api.js';
import { t } from '../i18n/index.js';
import { keyOf, type PageKey } from '../document/edits.js';
import { ratioOf, type OpenDocument } from '../document/use.js';
import { back, navigate, useSheet } from '../router.js';
import { useSeal } from '../store/origins.js';
import { isDirect } from '../store/roads.js';
import { ProblemNote } from '../ui/bits.js';
import { IconButton, Tool } from '../ui/button.js';
import { Bar, Screen } from '../ui/frame.js';
import { MenuRow } from '../ui/menu.js';
import { PageImage } from '../ui/page-image.js';
import { Sheet } from '../ui/sheet.js';
import { announce, showToast } from '../ui/toast.js';
import { saveBlob, saveURL } from './save.js';

const swipe = 56; // px
const zooms = [1, 1.5, 2.25, 3.5];

interface Seen {
  open: OpenDocument;
  page: PageKey;
}

/** One page over the whole screen. */
export function PageView({ open, page }: Seen) {
  const { document } = open.state!;
  const { pages } = document;
  const at = pages.findIndex((p) => keyOf(p) === page);
  const picture = useSheet('picture');
  const go = (to: number): void => {
    const target = pages[to];
    if (!target) return;
    navigate(`?page=${keyOf(target)}`, { replace: true });
    announce(t('doc.page-of', { n: to + 1, count: pages.length }));
  };
  const grid = (): void => back(`/documents/${document.id}`);
  const remove = (): void => {
    open.editor!.edit({ kind: 'remove', keys: [page] });
    showToast(t('doc.removed', { count: 1, n: at + 1 }), { label: t('undo'), run: () => open.editor!.undo() });
    const next = pages[at + 1] ?? pages[at - 1];
    navigate(next ? `?page=${keyOf(next)}` : `/documents/${document.id}`, { replace: true });
  };
  const rotate = (): void => {
    open.editor!.edit({ kind: 'rotate', keys: [page], by: 90 });
    announce(t('doc.rotated', { count: 1, n: at + 1 }));
  };
  return (
    <Screen
      title={t('doc.page-of', { n: at + 1, count: pages.length })}
      onBack={grid}
      class="page-screen"
      actions={open.state!.canUndo && <IconButton icon="undo-2" label={t('undo')} onClick={() => open.editor!.undo()} />}
      menu={<MenuRow icon="download" label={t('doc.picture')} onClick={() => navigate(`?page=${page}#picture`, { replace: true, sheet: true })} />}
      bar={
        <Bar id="page">
          <div class="tools">
            <Tool icon="rotate-cw" label={t('doc.rotate')} onClick={rotate} />
            <Tool icon="download" label={t('doc.picture')} onClick={picture.show} />
            <Tool icon="trash-2" label={t('delete')} danger onClick={remove} />
          </div>
        </Bar>
      }
    >
      <Viewer key={page} open={open} page={page} onStep={(by) => go(at + by)} first={at === 0} last={at === pages.length - 1} />
      <PictureSheet open={picture.open} onClose={picture.hide} doc={open} page={page} />
    </Screen>
  );
}

/** The page beside the grid, on wide screens. */
export function PagePreview({ open, page, onRemove, onRotate }: Seen & { onRemove: () => void; onRotate: () => void }) {
  const { pages } = open.state!.document;
  const at = pages.findIndex((p) => keyOf(p) === page);
  const picture = useSheet('picture');
  const go = (to: number): void => {
    const target = pages[to];
    if (target) navigate(`?page=${keyOf(target)}`, { replace: true });
  };
  return (
    <aside class="doc-preview" aria-label={t('doc.page-of', { n: at + 1, count: pages.length })}>
      <Viewer key={page} open={open} page={page} onStep={(by) => go(at + by)} first={at === 0} last={at === pages.length - 1} />
      <div class="tools">
        <Tool icon="rotate-cw" label={t('doc.rotate')} onClick={onRotate} />
        <span class="page-of numbers">{t('doc.page-of', { n: at + 1, count: pages.length })}</span>
        <Tool icon="download" label={t('doc.picture')} onClick={picture.show} />
        <Tool icon="trash-2" label={t('delete')} danger onClick={onRemove} />
      </div>
      <PictureSheet open={picture.open} onClose={picture.hide} doc={open} page={page} />
    </aside>
  );
}

function Viewer({ open, page, onStep, first, last }: Seen & { onStep: (by: number) => void; first: boolean; last: boolean }) {
  const { pages } = open.state!.document;
  const at = pages.findIndex((p) => keyOf(p) === page);
  const shown = pages[at];
  const [zoom, setZoom] = useState(0);
  const scroll = useRef<HTMLDivElement>(null);
  const from = useRef<{ x: number; y: number; at: number } | undefined>(undefined);
  const lastTap = useRef(0);
  useEffect(() => {
    const key = (event: KeyboardEvent): void => {
      if (document.querySelector('dialog[open]') || (event.target as HTMLElement).closest('input, select, .grid')) return;
      if (event.key === 'ArrowRight') onStep(1);
      else if (event.key === 'ArrowLeft') onStep(-1);
      else if (event.key === '+') setZoom((z) => Math.min(zooms.length - 1, z + 1));
      else if (event.key === '-') setZoom((z) => Math.max(0, z - 1));
    };
    addEventListener('keydown', key);
    return () => removeEventListener('keydown', key);
  });
  // What was in the middle stays in the middle.
  useEffect(() => {
    const box = scroll.current;
    if (box && zoom > 0) box.scrollTo((box.scrollWidth - box.clientWidth) / 2, (box.scrollHeight - box.clientHeight) / 3);
  }, [zoom]);
  if (!shown) return null;
  const known = open.pages.get(page);
  return (
    <div class="page-stage">
      <div
        class="page-scroll"
        ref={scroll}
        tabIndex={0}
        role="group"
        aria-label={t('doc.page-alt', { n: at + 1, count: pages.length })}
        onPointerDown={(event) => (from.current = event.isPrimary ? { x: event.clientX, y: event.clientY, at: event.timeStamp } : undefined)}
        onPointerUp={(event) => {
          const start = from.current;
          from.current = undefined;
          if (!start || !event.isPrimary) return;
          const x = event.clientX - start.x;
          const y = event.clientY - start.y;
          if (zoom === 0 && Math.abs(x) > swipe && Math.abs(x) > 2 * Math.abs(y) && event.pointerType !== 'mouse') onStep(x < 0 ? 1 : -1);
          else if (Math.hypot(x, y) < 10 && event.timeStamp - start.at < 300) {
            if (event.timeStamp - lastTap.current < 300) setZoom((z) => (z === 0 ? 2 : 0));
            lastTap.current = event.timeStamp;
          }
        }}
        onPointerCancel={() => (from.current = undefined)}
      >
        <div class="stage" style={{ '--zoom': zooms[zoom]! }}>
          <PageImage
            page={{ job: shown.job, n: shown.n, width: zoom > 1 ? 3000 : 1600 }}
            preview={{ job: shown.job, n: shown.n, width: 240 }}
            room="all"
            alt={t('doc.page-alt', { n: at + 1, count: pages.length })}
            ratio={ratioOf(known)}
            rotate={shown.rotate}
            broken={t('doc.page-unreadable', { n: at + 1 })}
          />
        </div>
      </div>
      <div class="page-nav">
        <div>
          <IconButton icon="zoom-out" label={t('doc.zoom-out')} disabled={zoom === 0} onClick={() => setZoom((z) => Math.max(0, z - 1))} />
          <IconButton icon="zoom-in" label={t('doc.zoom-in')} disabled={zoom === zooms.length - 1} onClick={() => setZoom((z) => Math.min(zooms.length - 1, z + 1))} />
        </div>
        <div>
          <IconButton icon="chevron-left" label={t('doc.previous')} disabled={first} onClick={() => onStep(-1)} />
          <IconButton icon="chevron-right" label={t('doc.next')} disabled={last} onClick={() => onStep(1)} />
        </div>
      </div>
    </div>
  );
}

/** One page as a picture file. */
function PictureSheet({ open, onClose, doc, page }: { open: boolean; onClose: () => void; doc: OpenDocument; page: PageKey }) {
  const { document } = doc.state!;
  const at = document.pages.findIndex((p) => keyOf(p) === page);
  const shown = document.pages[at];
  const seal = useSeal(shown ? [shown.job] : []);
  const [fetching, setFetching] = useState<AbortController>();
  const [error, setError] = useState<unknown>();
  useEffect(() => () => fetching?.abort(), [fetching, open]);
  if (!shown) return null;
  const close = (): void => {
    setFetching(undefined);
    setError(undefined);
    onClose();
  };
  const save = (format: 'jpeg' | 'png', ending: string) => async (): Promise<void> => {
    const name = `${document.name} ${at + 1}.${ending}`;
    if (seal !== 'own' && !isDirect(document.node)) {
      saveURL(platen.pageURL(shown.job, shown.n, { format, download: true }), name);
      return close();
    }
    const stop = new AbortController();
    setFetching(stop);
    setError(undefined);
    try {
      saveBlob(await platen.pageImage(shown.job, shown.n, { format, signal: stop.signal }), name);
      close();
    } catch (problem) {
      if (!stop.signal.aborted) setError(problem);
      setFetching(undefined);
    }
  };
  if (seal === 'other') return <Sheet open={open} onClose={close} title={t('doc.picture')}><p data-seal="other">{t('sealed.save')}</p></Sheet>;
  return (
    <Sheet open={open} onClose={close} title={t('doc.picture')} rows>
      {fetching ? <p class="row" role="status">{t('finish.preparing')}</p> : <>
        <MenuRow icon="image" label={t('doc.picture.jpeg')} onClick={() => void save('jpeg', 'jpg')()} />
        <MenuRow icon="image" label={t('doc.picture.png')} onClick={() => void save('png', 'png')()} />
      </>}
      {error !== undefined && <div style={{ padding: '8px 16px' }}><ProblemNote error={error} /></div>}
    </Sheet>
  );
}
