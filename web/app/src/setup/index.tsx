import { ProblemError, type Setup as SetupData } from '@platen/sdk';
import { useEffect } from 'preact/hooks';
import { useLanguage } from '../i18n/index.js';
import { useStore } from '../store/store.js';
import { Banner, Empty, ProblemScreen, Skeletons } from '../ui/bits.js';
import { Screen } from '../ui/frame.js';
import { useLoad } from '../ui/use.js';
import { api } from './api.js';
import { Trial } from './changes.js';
import { pendingRestart } from './pending.js';
import { ApplyBar } from './plan.js';
import { Sections } from './sections.js';
import { edits } from './settings.js';
import { Status } from './status.js';
import { settingName, t } from './words.js';
import './setup.css';

const every = 5000; // ms between two looks at the service

/** The setup page of a node or gateway: status beside its sections, on a phone above them. */
export function Setup() {
  useLanguage();
  const loaded = useLoad((signal) => api.setup(signal), []);
  const changes = useLoad((signal) => api.changes(signal), []);
  const editing = Object.keys(useStore(edits)).length > 0;
  const reload = (): void => {
    loaded.reload();
    changes.reload();
  };
  useEffect(() => {
    const timer = setInterval(reload, every);
    return () => clearInterval(timer);
  }, []);
  const setup = loaded.value;
  if (!setup) {
    const off = loaded.error instanceof ProblemError && loaded.error.status === 404;
    return (
      <Screen title={t('title')} up="/">
        {loaded.error === undefined && <Skeletons count={4} />}
        {off && <Empty icon="info" title={t('off')}>{t('off.text')}</Empty>}
        {loaded.error !== undefined && !off && <ProblemScreen error={loaded.error} onAgain={loaded.reload} />}
      </Screen>
    );
  }
  const waiting = pendingRestart(setup, changes.value ?? []);
  return (
    <Screen title={t('title')} class="setup-screen" bar={editing && <ApplyBar onDone={reload} />}>
      <Trial list={changes.error === undefined ? changes.value : undefined} reload={reload} />
      <Warnings setup={setup} />
      {waiting.length > 0 && <Banner icon="refresh-cw" tone="warn" title={t('restart.pending', { count: waiting.length, names: waiting.map(settingName).join(', ') })}><p>{t('restart.how')}</p></Banner>}
      <div class="setup">
        <Status setup={setup} onChange={reload} />
        <Sections setup={setup} changes={changes.value ?? []} reload={reload} />
      </div>
    </Screen>
  );
}

/** What an administrator should not overlook. */
function Warnings({ setup }: { setup: SetupData }) {
  return (
    <>
      {setup.warnings?.map(({ code, text }) => (
        <Banner key={text} icon="triangle-alert" tone="bad" title={t(`warning.${code}`)}>
          {code === 'any-origin' || code === 'no-users' || code === 'plain-http' ? <p>{t(`warning.${code}.text`)}</p> : <p lang="en">{text}</p>}
        </Banner>
      ))}
    </>
  );
}
