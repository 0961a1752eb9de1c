import type { ComponentChildren } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import { platen } from '../api.js';
import { t } from '../i18n/index.js';
import type { Fetched, PageRef } from '../pages/images.js';
import { unopened } from '../seal.js';
import { useOrigin, type Origin } from '../store/origins.js';
import { isDirect } from '../store/roads.js';
import { Button } from './button.js';
import { Icon } from './icon.js';
import { Paper } from './paper.js';

/**
 * How a page's image comes. By `link` the browser fetches it, paints it while it comes, and keeps it. It is `fetched` by the
 * page's own code where it comes directly from its node, or has to be opened. `other`: this browser cannot open it.
 */
export type Way = 'link' | 'fetched' | 'other';

function wayOf(origin: Origin): Way {
  if (origin.seal === 'other') return 'other';
  return origin.seal === 'own' || isDirect(origin.node) ? 'fetched' : 'link';
}

/** Decides once for each key: what is there is not fetched again because a road has opened. */
export function useWay(job: string | undefined, key: string | undefined): Way | undefined {
  const origin = useOrigin(job);
  const decided = useRef<{ key: string; seal: string; way: Way } | undefined>(undefined);
  if (key === undefined || !origin) return undefined;
  if (decided.current?.key !== key || decided.current.seal !== origin.seal) decided.current = { key, seal: origin.seal, way: wayOf(origin) };
  return decided.current.way;
}

interface Image {
  way: Way | undefined;
  src: string | undefined;
  /** Why there is no image. */
  error: unknown;
  again: () => void;
}

/** The address to show a page's image by. `near`: it is about to be seen. */
function usePageImage(page: PageRef | undefined, near: boolean): Image {
  const key = page && `${page.job}/${page.n}?${page.width ?? ''}`;
  const way = useWay(page?.job, key);
  const [got, setGot] = useState<{ key: string; src?: string; error?: unknown }>();
  const [round, setRound] = useState(0);
  useEffect(() => {
    if (way !== 'fetched' || !near || !page || !key) return;
    let gone = false;
    let image: Fetched | undefined;
    void import('../pages/images.js').then((images) => {
      if (gone) return;
      image = images.borrow(key, page);
      image.src.then(
        (src) => !gone && setGot({ key, src }),
        (error: unknown) => !gone && setGot({ key, error }),
      );
    }, (error: unknown) => !gone && setGot({ key, error }));
    return () => {
      gone = true;
      image?.giveBack();
    };
  }, [way, near, key, round]);
  const mine = got?.key === key ? got : undefined;
  return {
    way,
    src: way === 'link' ? page && platen.pageURL(page.job, page.n, page.width ? { width: page.width } : {}) : way === 'fetched' ? mine?.src : undefined,
    error: way === 'fetched' ? mine?.error : undefined,
    again: () => {
      setGot(undefined);
      setRound((n) => n + 1);
    },
  };
}

interface PageImageProps {
  /** undefined: there is none to be had. */
  page: PageRef | undefined;
  alt: string;
  /** Width over height of the image as it is stored. */
  ratio?: number | undefined;
  /** Clockwise degrees. */
  rotate?: number | undefined;
  /** The same page in fewer pixels, shown first. */
  preview?: PageRef;
  /** What stands on the paper if the image cannot be had. */
  broken?: ComponentChildren;
  lazy?: boolean;
  /** How much can be said on the paper: a sign, a few words, or all with a button. */
  room?: 'sign' | 'words' | 'all';
  children?: ComponentChildren;
}

/** A page of a document or job. */
export function PageImage({ page, preview, alt, ratio, rotate, broken, lazy = false, room = 'words', children }: PageImageProps) {
  const box = useRef<HTMLDivElement>(null);
  const near = useNear(box, lazy);
  const image = usePageImage(page, near);
  const first = usePageImage(preview, near);
  const why = unopened(image.error);
  const changed = why === 'changed';
  return (
    <Paper box={box} src={image.src} preview={first.src} alt={alt} ratio={ratio} rotate={rotate} broken={broken} lazy={lazy}
      {...(image.way ? { 'data-way': image.way } : {})}>
      {(image.way === 'other' || why === 'other') && <Sealed room={room} alt={alt} />}
      {image.error !== undefined && why !== 'other' && (
        <span class="note label" data-seal={changed ? 'changed' : undefined}>
          {room === 'sign' ? <Icon name="triangle-alert" /> : changed ? t(room === 'all' ? 'sealed.changed' : 'sealed.changed.short') : (broken ?? alt)}
          {room === 'all' && <Button class="small" data-action="again" onClick={image.again}>{t('again')}</Button>}
        </span>
      )}
      {children}
    </Paper>
  );
}

/** In place of an image that only another device can open. */
export function Sealed({ room, alt }: { room: 'sign' | 'words' | 'all'; alt: string }) {
  return (
    <span class="note label" data-seal="other" {...(alt ? { role: 'img', 'aria-label': `${alt}. ${t('sealed.other')}` } : {})}>
      <Icon name="lock" size={room === 'all' ? 32 : 20} />
      {room !== 'sign' && <span>{t(room === 'all' ? 'sealed.other' : 'sealed.other.short')}</span>}
    </span>
  );
}

/** Turns true when the element comes near the screen; at once if it need not wait for that. */
function useNear(box: { current: HTMLElement | null }, lazy: boolean): boolean {
  const [near, setNear] = useState(!lazy);
  useEffect(() => {
    if (near || !box.current) return;
    const seen = new IntersectionObserver((entries) => {
      if (entries.some((e) => e.isIntersecting)) setNear(true);
    }, { rootMargin: '600px' });
    seen.observe(box.current);
    return () => seen.disconnect();
  }, [near]);
  return near;
}
