import type { Job, Scanner } from '@platen/sdk';
import { useEffect, useState } from 'preact/hooks';
import { platen } from '../api.js';
import { moment, t } from '../i18n/index.js';
import { navigate, useRoute } from '../router.js';
import { followJob } from '../store/live.js';
import { act } from '../ui/act.js';
import { Banner } from '../ui/bits.js';
import { Button } from '../ui/button.js';
import { Icon } from '../ui/icon.js';
import { Sheet } from '../ui/sheet.js';
import { isOwnHeld } from './held.js';
import { presenceAt, presenceIn, rememberPresence } from './presence.js';

/**
 * The user has scanned the code at this scanner: what waits for them is offered to start. Without any, the next scan here
 * starts at once.
 */
export function Arrival({ scanner }: { scanner: Scanner }) {
  const { hash } = useRoute();
  const [waiting, setWaiting] = useState<Job[]>([]);
  const [, redraw] = useState(0);
  const presence = presenceAt(scanner.id);
  useEffect(() => {
    const come = presenceIn(hash);
    if (!come) return;
    rememberPresence(scanner.id, come);
    navigate(location.pathname + location.search, { replace: true }); // the address may be shown to others, or kept as a bookmark
    redraw((n) => n + 1);
    void act(async () => {
      const { items } = await platen.jobs({ scanner: scanner.id, state: 'pending-held', limit: 50 });
      setWaiting(items.filter(isOwnHeld));
    });
  }, [hash, scanner.id]);
  useEffect(() => {
    if (!presence) return;
    const timer = setInterval(() => redraw((n) => n + 1), 5000); // it runs out
    return () => clearInterval(timer);
  }, [presence]);
  const start = async (job: Job): Promise<void> => {
    if (!(await act(() => platen.releaseJob(job.id, presence)))) return;
    if (waiting.length > 1) {
      setWaiting((list) => list.filter((j) => j !== job));
      return;
    }
    followJob(job.id);
    navigate(`/jobs/${job.id}`);
  };
  if (!presence) return null;
  const [only] = waiting;
  if (!only) return scanner.hold ? <Banner icon="circle-check" tone="ok" title={t('held.here')}><p class="label">{t('held.here.text')}</p></Banner> : null;
  const close = (): void => setWaiting([]);
  return (
    <Sheet open onClose={close} rows={waiting.length > 1} still title={t('held.waits', { count: waiting.length })} foot={waiting.length === 1 && (
      <Button kind="primary" data-action="start-held" onClick={() => void start(only)}>{t('held.start')}</Button>
    )}>
      {waiting.length === 1 ? <p>{nameOf(only)}</p> : (
        <ul class="list">
          {waiting.map((job) => (
            <li class="row" key={job.id}>
              <Icon name="file-text" />
              <span class="text head">{nameOf(job)}</span>
              <Button class="small" data-action="start-held" onClick={() => void start(job)}>{t('held.start')}</Button>
            </li>
          ))}
        </ul>
      )}
    </Sheet>
  );
}

function nameOf(job: Job): string {
  return `${job.name ?? t('doc.untitled')}, ${moment(job.created)}`;
}
