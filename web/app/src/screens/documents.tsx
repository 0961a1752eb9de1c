import type { Document, DocumentList } from '@platen/sdk';
import { useState } from 'preact/hooks';
import { platen } from '../api.js';
import { day, moment, sameDay, t, time } from '../i18n/index.js';
import { navigate } from '../router.js';
import { followed } from '../store/events.js';
import { live } from '../store/live.js';
import { useStore } from '../store/store.js';
import { Banner, Empty, ProblemScreen, Skeletons } from '../ui/bits.js';
import { Button, Link } from '../ui/button.js';
import { Bar, Screen } from '../ui/frame.js';
import { Icon } from '../ui/icon.js';
import { PageImage } from '../ui/page-image.js';
import { Paper } from '../ui/paper.js';
import { SealedLine } from '../ui/sealed.js';
import { useLoad } from '../ui/use.js';

/** Recent documents, by day. */
export function DocumentsScreen() {
  const { epoch } = useStore(followed);
  const job = useStore(live);
  const loaded = useLoad((signal) => platen.documents({ limit: 50 }, signal), ['', epoch, job?.ended]);
  const [more, setMore] = useState<DocumentList>();
  const [loading, setLoading] = useState(false);
  const first = loaded.value;
  const items = [...(first?.items ?? []), ...(more?.items ?? [])].filter((d) => d.pages.length > 0 || d.id === job?.job?.document);
  const next = more ? more.next : first?.next;
  const running = job && !job.ended ? job.job?.document : undefined;
  const days = [...new Set(items.map((d) => new Date(d.updated).toDateString()))];
  const showMore = async (): Promise<void> => {
    if (!next) return;
    setLoading(true);
    try {
      const part = await platen.documents({ limit: 50, cursor: next });
      setMore({ ...part, items: [...(more?.items ?? []), ...part.items] });
    } finally {
      setLoading(false);
    }
  };
  return (
    <Screen title={t('docs.title')} up="/" class="docs-screen" bar={items.length > 0 && <Bar id="docs"><Button kind="primary" class="primary-place" onClick={() => navigate('/')}>{t('docs.scan')}</Button></Bar>}>
      {!first && loaded.error === undefined && <Skeletons count={4} />}
      {!first && loaded.error !== undefined && <ProblemScreen error={loaded.error} onAgain={loaded.reload} />}
      {first && items.length === 0 && (
        <Empty icon="files" title={t('docs.empty')} actions={<Button kind="primary" onClick={() => navigate('/')}>{t('docs.scan')}</Button>}>{t('docs.empty.text')}</Empty>
      )}
      {days.map((key) => (
        <section key={key} aria-label={dayName(key)}>
          <h2>{dayName(key)}</h2>
          <ul class="card list">
            {items.filter((d) => new Date(d.updated).toDateString() === key).map((d) => <li key={d.id}><DocumentRow document={d} running={d.id === running ? job!.id : undefined} /></li>)}
          </ul>
        </section>
      ))}
      {first?.incomplete?.map((absent) => <Banner key={absent.node} icon="wifi-off" tone="warn" title={t('docs.absent', { name: absent.name })} />)}
      {next && <Button class="wide" disabled={loading} onClick={() => void showMore()}>{t('docs.more')}</Button>}
    </Screen>
  );
}

function dayName(key: string): string {
  const now = Date.now();
  if (sameDay(key, now)) return t('docs.today');
  if (sameDay(key, now - 86_400_000)) return t('docs.yesterday');
  return day(key);
}

function DocumentRow({ document, running }: { document: Document; running: string | undefined }) {
  const first = document.pages[0];
  return (
    <Link class="row" to={running ? `/jobs/${running}` : `/documents/${document.id}`} data-document={document.id}>
      <span class="thumb"><span class="stage">{first ? <PageImage page={{ job: first.job, n: first.n, width: 240 }} alt="" rotate={first.rotate} lazy room="sign" /> : <Paper src={undefined} alt="" />}</span></span>
      <span class="text">
        <span class="head middle-cut">{document.name}</span>
        <span class="label quiet numbers">{running ? t('docs.scanning') : t('docs.row', { pages: t('pages', { count: document.pages.length }), time: time(document.updated) })}</span>
        <SealedLine jobs={document.pages.map((p) => p.job)} short />
        {document.expires && !running && <span class="caption quiet">{t('docs.expires', { time: moment(document.expires) })}</span>}
      </span>
      <Icon name="chevron-right" />
    </Link>
  );
}
