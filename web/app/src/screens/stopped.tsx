import type { Job, Page, Reason } from '@platen/sdk';
import { useEffect, useState } from 'preact/hooks';
import { moment, t } from '../i18n/index.js';
import { explain, reason } from '../i18n/words.js';
import { listen } from '../store/events.js';
import { ask, finished } from '../store/live.js';
import { Banner } from '../ui/bits.js';
import { Button } from '../ui/button.js';
import { Icon, type IconName } from '../ui/icon.js';
import { PageImage } from '../ui/page-image.js';
import { Sheet } from '../ui/sheet.js';
import { showToast } from '../ui/toast.js';

const pictures: Record<string, IconName> = {
  'feeder-empty': 'feeder',
  'jam': 'jam',
  'cover-open': 'cover',
  'next-sheet': 'next-sheet',
  'disk-low': 'hard-drive',
  'storage-failed': 'hard-drive',
  'offline': 'wifi-off',
  'interrupted': 'refresh-cw',
  'busy-elsewhere': 'clock',
};

/** Why a stopped job waits. */
function stopReason(job: Job): Reason {
  return job.reasons?.find((r) => r in pictures) ?? job.reasons?.[0] ?? 'interrupted';
}

/** The scan waits for a person: what happened, what is safe, what to do, and two ways on. */
export function StopSheet({ job, pages, open }: { job: Job; pages: Page[]; open: boolean }) {
  const [hidden, setHidden] = useState(false);
  const why = stopReason(job);
  useEffect(() => setHidden(false), [why, open]);
  useAutoResume(job, open);
  if (!open) return null;
  const words = reason(why);
  const done = finished(pages);
  const last = done.at(-1);
  const next = done.length + 1;
  const count = done.length;
  const run = async (what: 'resume' | 'finish' | 'cancel'): Promise<void> => {
    try {
      await ask(what);
    } catch (error) {
      const said = explain(error);
      showToast(`${said.what} ${said.next}`);
    }
  };
  if (hidden) {
    return (
      <div style={{ padding: '0 var(--margin)' }}>
        <Banner icon="triangle-alert" tone="warn" title={words.what} actions={<Button class="small" onClick={() => setHidden(false)}>{t('stop.show')}</Button>}>
          <p>{t('sheets-safe', { count })}</p>
        </Banner>
      </div>
    );
  }
  const lost = why === 'jam' || why === 'interrupted' || why === 'offline' || why === 'storage-failed';
  return (
    <Sheet
      open
      onClose={() => setHidden(true)}
      still
      title={words.what.replace(/\.$/, '')}
      foot={<>
        <Button class="first" data-action="finish" onClick={() => void run(count === 0 ? 'cancel' : 'finish')}>{t('stop.finish', { count })}</Button>
        <Button kind="primary" data-action="resume" onClick={() => void run('resume')}>{why === 'next-sheet' ? t('stop.next-sheet') : count === 0 ? t('stop.resume') : t('stop.continue', { n: next })}</Button>
      </>}
    >
      <div class="stop-body" data-reason={why}>
        <div>
          <span class="stop-picture"><Icon name={pictures[why] ?? 'triangle-alert'} size={40} /></span>
          <p>
            <strong>{t('sheets-safe', { count })}</strong> {lost && t('stop.not-scanned', { n: next })}
          </p>
          <Steps why={why} />
          {job.deadline && <p class="label quiet">{t('stop.deadline', { time: moment(job.deadline) })}</p>}
        </div>
        {last && (
          <div class="last-good">
            <span class="stage"><PageImage page={{ job: last.job, n: last.n, width: 240 }} alt={t('stop.last-good')} ratio={last.height ? last.width / last.height : undefined} /></span>
            <p class="caption quiet center">{t('stop.last-good')}</p>
          </div>
        )}
      </div>
    </Sheet>
  );
}

/** What to do: steps where there are several, a sentence where there is one. */
function Steps({ why }: { why: Reason }) {
  const { next } = reason(why);
  const steps = next.split(/, (?:and )?(?=\p{L})/u);
  if (why !== 'jam' || steps.length < 3) return <p>{next}</p>;
  return (
    <ol class="steps">
      {steps.map((step) => <li key={step}>{step.charAt(0).toUpperCase() + step.slice(1).replace(/\.$/, '')}</li>)}
    </ol>
  );
}

/** An empty feeder needs no button: the scan goes on when the scanner sees paper. */
function useAutoResume(job: Job, open: boolean): void {
  const waits = open && stopReason(job) === 'feeder-empty' && job.pages === 0;
  useEffect(() => {
    if (!waits) return;
    return listen((event) => {
      if (event.type !== 'device-state' || event.scanner?.id !== job.scanner || event.scanner.status.feeder !== 'loaded') return;
      void ask('resume').catch(() => {}); // the button is still there
    });
  }, [waits, job.scanner]);
}
