import { useEffect, useRef } from 'preact/hooks';
import { t } from '../i18n/index.js';
import { keyOf, type Direction, type PageKey } from '../document/edits.js';
import { ratioOf, type OpenDocument } from '../document/use.js';
import { Icon } from '../ui/icon.js';
import { PageImage } from '../ui/page-image.js';

interface Props {
  open: OpenDocument;
  /** The selection, or undefined outside of selection mode. */
  selected: PageKey[] | undefined;
  /** The page that is shown beside the grid. */
  current: PageKey | undefined;
  onOpen: (key: PageKey) => void;
  onSelect: (keys: PageKey[]) => void;
  onRemove: (keys: PageKey[]) => void;
  onRotate: (keys: PageKey[]) => void;
  onMove: (keys: PageKey[], direction: Direction) => void;
}

const longPress = 400; // ms

/** The pages in order. Tap opens, a long press selects; the keyboard can do all that fingers can. */
export function PageGrid({ open, selected, current, onOpen, onSelect, onRemove, onRotate, onMove }: Props) {
  const { pages } = open.state!.document;
  const list = useRef<HTMLUListElement>(null);
  const seen = useRef<Set<PageKey>>(undefined);
  const fresh = (key: PageKey): boolean => seen.current !== undefined && !seen.current.has(key);
  useEffect(() => {
    seen.current ??= new Set();
    for (const p of pages) seen.current.add(keyOf(p));
  }, [pages]);

  const toggle = (key: PageKey): void => {
    const now = selected ?? [];
    onSelect(now.includes(key) ? now.filter((k) => k !== key) : pages.map(keyOf).filter((k) => k === key || now.includes(k)));
  };
  const focus = (at: number): void => {
    const tiles = list.current?.querySelectorAll<HTMLButtonElement>('.tile > button');
    tiles?.[Math.min(tiles.length - 1, Math.max(0, at))]?.focus();
  };
  const columns = (): number => getComputedStyle(list.current!).gridTemplateColumns.split(' ').length;

  const onKey = (event: KeyboardEvent, key: PageKey, i: number): void => {
    const targets = selected?.includes(key) ? selected : [key];
    const backwards = event.key === 'ArrowLeft' || event.key === 'ArrowUp';
    const arrow = backwards || event.key === 'ArrowRight' || event.key === 'ArrowDown';
    if (arrow && event.altKey) {
      onMove(targets, backwards ? 'earlier' : 'later');
      requestAnimationFrame(() => focus([...list.current!.children].findIndex((c) => (c as HTMLElement).dataset['key'] === key)));
    } else if (arrow) {
      const by = event.key === 'ArrowLeft' || event.key === 'ArrowRight' ? 1 : columns();
      focus(i + (backwards ? -by : by));
    } else if (event.key === 'Home') focus(0);
    else if (event.key === 'End') focus(pages.length - 1);
    else if (event.key === ' ') toggle(key);
    else if (event.key === 'Delete' || event.key === 'Backspace') onRemove(targets);
    else if (event.key === 'r' || event.key === ']') onRotate(targets);
    else return;
    event.preventDefault();
  };

  return (
    <div>
      <ul class="grid" ref={list} aria-describedby="grid-keys">
        {pages.map((page, i) => {
          const key = keyOf(page);
          const known = open.pages.get(key);
          const lost = known?.state === 'lost' || known?.state === 'wiped';
          const on = selected?.includes(key) ?? key === current;
          return (
            <li class={`tile ${fresh(key) ? 'fresh' : ''}`} key={key} data-key={key}>
              <button
                type="button"
                aria-pressed={selected || current ? on : undefined}
                onClick={() => (selected ? toggle(key) : onOpen(key))}
                onKeyDown={(event) => onKey(event, key, i)}
                {...press(() => {
                  if (!selected) onSelect([key]);
                })}
              >
                <span class="for-readers">{t('doc.page-alt', { n: i + 1, count: pages.length })}</span>
                <span class="stage">
                  <PageImage
                    page={lost ? undefined : { job: page.job, n: page.n, width: 240 }}
                    alt=""
                    ratio={ratioOf(known)}
                    rotate={page.rotate}
                    lazy={i > 11}
                    broken={t('doc.page-unreadable', { n: i + 1 })}
                  >
                    {lost && <span class="note label">{t('doc.page-lost', { n: i + 1 })}</span>}
                  </PageImage>
                </span>
                <span class="number label numbers" aria-hidden="true">{i + 1}</span>
                {selected && <span class="tick"><Icon name="check" size={18} /></span>}
              </button>
            </li>
          );
        })}
      </ul>
      <p class="for-readers" id="grid-keys">{t('doc.keyboard')}</p>
    </div>
  );
}

/** A long press selects, and is no tap afterwards. A finger that moves scrolls instead. */
function press(act: () => void) {
  let timer: ReturnType<typeof setTimeout> | undefined;
  let from = { x: 0, y: 0 };
  let done = false;
  const stop = (): void => clearTimeout(timer);
  return {
    onPointerDown(event: PointerEvent) {
      if (event.button !== 0) return;
      done = false;
      from = { x: event.clientX, y: event.clientY };
      timer = setTimeout(() => {
        done = true;
        if (navigator.userActivation?.hasBeenActive) navigator.vibrate?.(10);
        act();
      }, longPress);
    },
    onPointerMove(event: PointerEvent) {
      if (Math.hypot(event.clientX - from.x, event.clientY - from.y) > 10) stop();
    },
    onPointerUp: stop,
    onPointerCancel: stop,
    onPointerLeave: stop,
    onContextMenu(event: MouseEvent) {
      if ((event as PointerEvent).pointerType === 'touch') event.preventDefault();
    },
    onClickCapture(event: MouseEvent) {
      if (!done) return;
      done = false;
      event.preventDefault();
      event.stopPropagation();
    },
  };
}
