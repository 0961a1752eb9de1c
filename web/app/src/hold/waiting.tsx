import type { Job, Scanner } from '@platen/sdk';
import { useEffect } from 'preact/hooks';
import { platen } from '../api.js';
import { moment, t } from '../i18n/index.js';
import { tell } from '../store/live.js';
import { may } from '../store/session.js';
import { act } from '../ui/act.js';
import { Button } from '../ui/button.js';
import { Icon } from '../ui/icon.js';
import { presenceAt } from './presence.js';

/** A job that waits for its owner: how to start it. It starts by itself if the owner was at the scanner a moment ago. */
export function Waiting({ job, scanner }: { job: Job; scanner: Scanner | undefined }) {
  const presence = presenceAt(job.scanner);
  const release = (presence?: string) => act(async () => tell(await platen.releaseJob(job.id, presence)));
  useEffect(() => {
    if (presence) void release(presence);
  }, [job.id]);
  return (
    <div class="held center" data-held={job.id} role="status">
      <span class="badge"><Icon name="qr-code" /></span>
      <p class="title">{t('held.title')}</p>
      <p>{t('held.scan', { scanner: scanner?.name ?? t('scanners.title') })}</p>
      {job.releaseCode && <>
        <p class="label quiet">{t('held.type')}</p>
        <p class="release-code numbers" data-code={job.releaseCode}>{`${job.releaseCode.slice(0, 3)} ${job.releaseCode.slice(3)}`}</p>
      </>}
      {job.deadline && <p class="label quiet">{t('held.deadline', { time: moment(job.deadline) })}</p>}
      {may('operator') && <Button kind="plain" data-action="release" onClick={() => void release()}>{t('held.release')}</Button>}
    </div>
  );
}
