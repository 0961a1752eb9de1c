import { type Job, type Page, ProblemError, type Scanner } from '@platen/sdk';
import { useEffect, useRef, useState } from 'preact/hooks';
import { platen } from '../api.js';
import { t } from '../i18n/index.js';
import { explain, reason } from '../i18n/words.js';
import { isHeld } from '../hold/held.js';
import { Waiting } from '../hold/waiting.js';
import { navigate, useSheet } from '../router.js';
import { isScanner, noScanner, useImport } from '../store/importers.js';
import { ask, finished, followJob, growing, live, type Live } from '../store/live.js';
import { useStore } from '../store/store.js';
import { Empty, ProblemScreen, useAfter } from '../ui/bits.js';
import { Button } from '../ui/button.js';
import { Bar, Screen } from '../ui/frame.js';
import { GrowingPage } from '../ui/growing.js';
import { MenuRow } from '../ui/menu.js';
import { PageImage } from '../ui/page-image.js';
import { Paper } from '../ui/paper.js';
import { RoadLine } from '../ui/road.js';
import { SealedLine } from '../ui/sealed.js';
import { Sheet } from '../ui/sheet.js';
import { announce, showToast } from '../ui/toast.js';
import { repeatLast } from './again.js';
import { StopSheet } from './stopped.js';

/** While the request is on its way: the answer to the tap is already there. */
export function Sending({ title, onCancel }: { title: string; onCancel: () => void }) {
  return (
    <Screen title={title} noMenu class="live-screen" bar={<Bar id="sending"><Button kind="stop" class="primary-place" onClick={onCancel}>{t('live.cancel')}</Button></Bar>}>
      <div class="live-stage stage"><Paper src={undefined} alt="" /></div>
      <p class="status-line" role="status">{t('live.sending')}</p>
    </Screen>
  );
}

/** A running job: the page grows while the paper moves. */
export function LiveScreen({ id }: { id: string }) {
  useEffect(() => followJob(id), [id]);
  const now = useStore(live);
  const mine = now?.id === id ? now : undefined;
  const scanner = useScanner(mine?.job?.scanner);
  useEnd(mine);
  useAnnouncements(mine);
  if (mine?.failed !== undefined) return <Failed error={mine.failed} />;
  if (mine?.ended && mine.job && mine.pages.length === 0) return <EndedEmpty job={mine.job} />;
  return <Running mine={mine} scanner={scanner} />;
}

function Running({ mine, scanner }: { mine: Live | undefined; scanner: Scanner | undefined }) {
  const details = useSheet('details');
  const pages = mine?.pages ?? [];
  const now = growing(pages);
  const shown = now ?? finished(pages).at(-1);
  const job = mine?.job;
  const stopped = job?.state === 'processing-stopped' && mine?.asked === undefined;
  const imports = useImport(job?.scanner);
  const up = job && !imports ? `/scanners/${job.scanner}` : '/';
  return (
    <Screen
      title={scanner?.name ?? t(imports ? 'live.import' : 'live.title')}
      up={up}
      onBack={() => navigate(up, { replace: true })}
      class="live-screen"
      menu={job && !imports && <MenuRow icon="info" label={t('live.details')} onClick={() => navigate(`${location.pathname}#details`, { replace: true, sheet: true })} />}
      bar={<StopBar mine={mine} />}
    >
      {job && isHeld(job) ? <Waiting job={job} scanner={scanner} /> : <>
        <div class="live-stage stage" data-growing={now?.n ?? ''}>
          {shown ? <GrowingPage key={shown.id} page={shown} up={mine?.up ?? true} /> : <Paper src={undefined} alt="" />}
        </div>
        <Strip pages={finished(pages)} document={job?.document} />
        <StatusLine mine={mine} />
        {job && scanner && <div class="live-way"><RoadLine node={job.node} name={scanner.nodeName} /><SealedLine jobs={[job.id]} /></div>}
      </>}
      {job && <StopSheet job={job} pages={pages} open={stopped} />}
      {job && <Details job={job} open={details.open} onClose={details.hide} />}
    </Screen>
  );
}

function StopBar({ mine }: { mine: Live | undefined }) {
  const run = async (what: 'finish' | 'cancel'): Promise<void> => {
    try {
      await ask(what);
    } catch (error) {
      if (!(error instanceof ProblemError && error.code === 'job-wrong-state')) showToast(explain(error).what);
    }
  };
  const any = (mine?.pages.length ?? 0) > 0;
  const asked = mine?.asked?.what;
  const late = useAfter(5000, asked);
  if (asked === 'finish') {
    return <Bar id="asked"><p class="primary-place" role="status" data-asked="finish">{t(late ? 'live.stopping.long' : 'live.stopping')}</p></Bar>;
  }
  if (asked === 'cancel') return <Bar id="asked"><p class="primary-place" role="status">{t('live.canceling')}</p></Bar>;
  return (
    <Bar id="stop">
      {any ? (
        <Button kind="stop" icon="square" class="primary-place" data-action="stop" onClick={() => void run('finish')}>{t('live.stop')}</Button>
      ) : (
        <Button kind="stop" icon="x" class="primary-place" data-action="cancel" disabled={!mine?.job} onClick={() => void run('cancel')}>{t('live.cancel')}</Button>
      )}
    </Bar>
  );
}

function StatusLine({ mine }: { mine: Live | undefined }) {
  const warming = useAfter(4000, mine?.stirred);
  const silent = useAfter(20_000, mine?.stirred);
  const job = mine?.job;
  const pages = mine?.pages ?? [];
  const page = growing(pages);
  const done = finished(pages).length;
  const scans = job?.state === 'processing';
  const rate = useRate(pages);
  const imports = useImport(job?.scanner);
  if (job?.state === 'pending' || job?.state === 'pending-held') {
    return <p class="status-line" role="status">{t('live.waiting', { count: job.position ?? 1 })}</p>;
  }
  if (page || done > 0) {
    return (
      <div class="status-line" data-count={page?.n ?? done}>
        <p class="count numbers">{page ? t('live.page', { n: page.n }) : t(mine?.ended ? 'live.ended' : 'pages', { count: done })}</p>
        <p class="label quiet">{scans && silent ? t('live.no-answer') : scans && !page ? t('live.between') : rate !== undefined && t('live.rate', { count: rate })}</p>
        {page && <Progress page={page} />}
      </div>
    );
  }
  if (imports) return <p class="status-line" role="status">{t('live.importing')}</p>;
  return <p class="status-line" role="status">{t(silent ? 'live.no-answer' : warming ? 'live.warming' : 'live.starting')}</p>;
}

/** For assistive technology only; the growing page shows it to all others. */
function Progress({ page }: { page: Page }) {
  const known = page.height ? { 'aria-valuenow': Math.round((page.lines / page.height) * 100) } : {};
  return <span class="for-readers" role="progressbar" aria-label={t('live.page', { n: page.n })} {...known} />;
}

/** Pages a minute of the last few, once three pages say it. */
function useRate(pages: Page[]): number | undefined {
  const done = finished(pages).filter((p) => p.committed).slice(-10);
  if (done.length < 3) return undefined;
  const times = done.map((p) => Date.parse(p.committed!));
  const minutes = (times.at(-1)! - times[0]!) / 60_000;
  const rate = Math.round((done.length - 1) / minutes);
  return Number.isFinite(rate) && rate > 0 && rate < 1000 ? rate : undefined;
}

/** The finished pages, the newest in view. */
function Strip({ pages, document }: { pages: Page[]; document: string | undefined }) {
  const end = useRef<HTMLUListElement>(null);
  const seen = useRef(new Set(pages.map((p) => p.id)));
  useEffect(() => {
    const list = end.current;
    list?.scrollTo({ left: list.scrollWidth, behavior: matchMedia('(prefers-reduced-motion: reduce)').matches ? 'auto' : 'smooth' });
    for (const page of pages) seen.current.add(page.id);
  }, [pages.length]);
  return (
    <ul class="strip" ref={end} aria-label={t('live.finished-pages')}>
      {pages.map((page) => (
        <li key={page.id} data-n={page.n} class={seen.current.has(page.id) ? '' : 'fresh'}>
          <button type="button" aria-label={t('live.open-page', { n: page.n })} onClick={() => document && navigate(`/documents/${document}?page=${page.job}/${page.n}`)}>
            <span class="stage"><PageImage page={{ job: page.job, n: page.n, width: 240 }} alt="" room="sign" ratio={page.height ? page.width / page.height : undefined} broken={String(page.n)} /></span>
            <span class="number caption numbers" aria-hidden="true">{page.n}</span>
          </button>
        </li>
      ))}
    </ul>
  );
}

/** Speaks page 1, every fifth, stops and the end. */
function useAnnouncements(mine: Live | undefined): void {
  const count = mine?.job?.pages ?? 0;
  const said = useRef(count);
  useEffect(() => {
    if (count <= said.current) return;
    said.current = count;
    if (navigator.userActivation?.hasBeenActive) navigator.vibrate?.(10);
    if (count === 1 || count % 5 === 0) announce(t('live.page', { n: count }));
  }, [count]);
  const stop = mine?.job?.state === 'processing-stopped' ? mine.job.reasons?.[0] : undefined;
  useEffect(() => {
    if (stop) announce(`${reason(stop).what} ${t('sheets-safe', { count })}`);
  }, [stop]);
  useWelcomeBack(mine);
}

/** After the phone was locked: how many pages came meanwhile. */
function useWelcomeBack(mine: Live | undefined): void {
  const hidden = useRef<number | undefined>(undefined);
  const count = mine?.job?.pages ?? 0;
  const latest = useRef(count);
  latest.current = count;
  useEffect(() => {
    const look = (): void => {
      if (document.visibilityState === 'hidden') hidden.current ??= latest.current;
    };
    document.addEventListener('visibilitychange', look);
    return () => document.removeEventListener('visibilitychange', look);
  }, []);
  useEffect(() => {
    if (document.visibilityState !== 'visible' || hidden.current === undefined) return;
    const came = count - hidden.current;
    hidden.current = undefined;
    if (came > 0) showToast(t('back-online', { count: came }));
  }, [count]);
}

/** Leads to the grid when the job has ended and has pages. */
function useEnd(mine: Live | undefined): void {
  const over = mine?.ended === true && mine.pages.length > 0;
  useEffect(() => {
    if (!over || !mine?.job) return;
    announce(t('live.ended', { count: mine.pages.length }));
    navigate(`/documents/${mine.job.document}`, { replace: true });
  }, [over]);
}

function EndedEmpty({ job }: { job: Job }) {
  const why = job.reasons?.[0];
  const canceled = job.state === 'canceled';
  const imports = useImport(job.scanner);
  const up = imports ? '/' : `/scanners/${job.scanner}`;
  useEffect(() => {
    if (!canceled) return;
    showToast(t('ended.canceled'));
    navigate(up, { replace: true });
  }, [canceled]);
  if (canceled) return null;
  const words = why ? reason(why) : undefined;
  const title = t(imports ? 'ended.import' : 'ended.aborted');
  return (
    <Screen title={title} heading={<span class="for-readers">{title}</span>} up={up} onBack={() => navigate(up, { replace: true })}
      bar={<Bar id="ended">
        {imports ? <Button kind="primary" class="primary-place" onClick={() => navigate('/', { replace: true })}>{t('route.home')}</Button> : <>
          <Button onClick={() => navigate('/scanners', { replace: true })}>{t('ended.other')}</Button>
          <Button kind="primary" class="primary-place" onClick={() => void repeatLast(job.scanner, job.settings)}>{t('again')}</Button>
        </>}
      </Bar>}>
      <Empty icon={job.state === 'completed' ? 'circle-check' : 'circle-alert'} title={title}>
        {words ? `${words.what} ${words.next}` : t('ended.aborted.text')}
      </Empty>
    </Screen>
  );
}

function Failed({ error }: { error: unknown }) {
  const gone = error instanceof ProblemError && error.code === 'not-found';
  return (
    <Screen title={t('live.title')} up="/">
      {gone ? (
        <Empty icon="info" title={t('ended.gone')} actions={<Button kind="primary" onClick={() => navigate('/', { replace: true })}>{t('route.home')}</Button>}>{t('ended.gone.text')}</Empty>
      ) : (
        <ProblemScreen error={error} onAgain={() => location.reload()} />
      )}
    </Screen>
  );
}

function Details({ job, open, onClose }: { job: Job; open: boolean; onClose: () => void }) {
  const { settings } = job;
  const rows = [
    [t('settings.source'), settings.source && t(settings.source === 'platen' ? 'settings.source.platen' : 'settings.source.feeder')],
    [t('settings.sides'), settings.source === 'adf-duplex' ? t('settings.sides.both') : t('settings.sides.one')],
    [t('settings.colour'), settings.mode && t(`settings.colour.${settings.mode}`)],
    [t('settings.quality'), settings.resolution && t('settings.quality.dpi', { dpi: String(settings.resolution) })],
  ].filter((row) => row[1]);
  return (
    <Sheet open={open} onClose={onClose} title={t('live.details')} rows>
      <dl class="list">
        {rows.map(([name, value]) => <div class="row" key={name}><dt class="text quiet">{name}</dt><dd>{value}</dd></div>)}
      </dl>
    </Sheet>
  );
}

/** Loads the scanner once; the job knows only its ID. */
function useScanner(id: string | undefined): Scanner | undefined {
  const [scanner, set] = useState<Scanner>();
  useEffect(() => {
    if (!id) return;
    const stop = new AbortController();
    platen.scanner(id, stop.signal).then((found) => {
      set(found);
      isScanner(id);
    }, (error: unknown) => noScanner(id, error));
    return () => stop.abort();
  }, [id]);
  return scanner;
}
