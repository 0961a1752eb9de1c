import { ended } from '@platen/sdk';
import { useEffect } from 'preact/hooks';
import { t } from '../i18n/index.js';
import { isHeld } from '../hold/held.js';
import { navigate } from '../router.js';
import { useImport } from '../store/importers.js';
import { live } from '../store/live.js';
import { useStore } from '../store/store.js';
import { Link } from '../ui/button.js';
import { Icon } from '../ui/icon.js';
import { showToast } from '../ui/toast.js';

/** Leads back to the running scan from every other screen. */
export function Pill({ path }: { path: string }) {
  const now = useStore(live);
  const away = path !== `/jobs/${now?.id}` && path !== `/documents/${now?.job?.document}`;
  const over = now?.ended === true && now.job !== undefined;
  const imports = useImport(now?.job?.scanner);
  useEffect(() => {
    if (!over || !away || !now?.pages.length) return;
    const { document } = now.job!;
    showToast(t('live.ended', { count: now.pages.length }), { label: t('live.open'), run: () => navigate(`/documents/${document}`) });
  }, [over]);
  if (!now?.job || now.ended || now.failed || ended(now.job.state) || path === `/jobs/${now.id}`) return null;
  const n = now.job.growing ?? now.job.pages;
  const text = isHeld(now.job) ? t('live.pill.held') : now.job.state === 'processing-stopped' ? t('live.pill.stopped', { n: now.job.pages + 1 }) : n > 0 ? t(imports ? 'live.pill.import' : 'live.pill', { n }) : t('live.pill.starting');
  return (
    <aside><Link class="pill" to={`/jobs/${now.id}`}>
      <Icon name="scanner" size={20} />
      {text}
    </Link></aside>
  );
}
