import { ProblemError, type SetupChange } from '@platen/sdk';
import { useEffect, useState } from 'preact/hooks';
import { countdown, moment } from '../i18n/index.js';
import { createStore, useStore } from '../store/store.js';
import { act } from '../ui/act.js';
import { Banner, ProblemNote, useClock } from '../ui/bits.js';
import { Button } from '../ui/button.js';
import { showToast } from '../ui/toast.js';
import { api } from './api.js';
import { Edits } from './plan.js';
import { t } from './words.js';

const trial = createStore<SetupChange | undefined>(undefined);

/** Shows a change that reverts by itself, whether the service can still be reached here or not. */
export function startTrial(change: SetupChange): void {
  trial.set(change);
}

/** The change on trial: keep it, or watch it revert. `list` is undefined while the service cannot be reached. */
export function Trial({ list, reload }: { list: SetupChange[] | undefined; reload: () => void }) {
  const now = useStore(trial);
  const clock = useClock(api.now, now !== undefined);
  const [error, setError] = useState<unknown>();
  useEffect(() => {
    if (!list) return;
    const before = trial.get();
    const on = list.find((c) => c.state === 'on-trial');
    if (before && !on && list.find((c) => c.id === before.id)?.state === 'reverted') showToast(t('reverted'));
    trial.set(on);
    if (before?.id !== on?.id) setError(undefined);
  }, [list]);
  useEffect(() => {
    if (!now) return;
    const timer = setInterval(reload, 1500);
    return () => clearInterval(timer);
  }, [now?.id]);
  if (!now?.until) return null;
  const time = countdown(Date.parse(now.until) - clock);
  const elsewhere = now.addresses?.filter((a) => new URL(a).origin !== location.origin) ?? [];
  const here = elsewhere.length !== now.addresses?.length || stillHere(now);
  if (!list) return <div role="alert" data-state="lost"><Banner icon="wifi-off" tone="warn" title={t('trial.lost', { time })}><Addresses list={elsewhere} /></Banner></div>;
  const keep = async (): Promise<void> => {
    try {
      await api.keep(now.id!);
      trial.set(undefined);
      showToast(t('kept'));
    } catch (problem) {
      setError(problem);
    }
    reload();
  };
  const refused = error instanceof ProblemError && error.code === 'change-on-trial';
  return (
    <div role="alert" data-state="on-trial">
      <Banner icon="clock" tone="warn" title={t('trial', { time })} actions={<Button kind="primary" data-action="keep" onClick={() => void keep()}>{t('trial.keep')}</Button>}>
        <p>{t(refused ? 'trial.elsewhere' : here ? 'trial.text' : 'trial.moved')}</p>
        {(refused || !here) && <Addresses list={elsewhere} />}
        {error !== undefined && !refused && <ProblemNote error={error} />}
      </Banner>
    </div>
  );
}

/** The address is not among those that are listed, as one of a proxy, but its port is. */
function stillHere({ addresses = [] }: SetupChange): boolean {
  return addresses.some((a) => new URL(a).port === location.port && new URL(a).protocol === location.protocol);
}

function Addresses({ list }: { list: string[] }) {
  return <ul class="setup-addresses">{list.map((a) => <li key={a}><a href={a}>{a}</a></li>)}</ul>;
}

/** What was changed here, with the way back. */
export function Changes({ list, reload }: { list: SetupChange[]; reload: () => void }) {
  const undo = async (id: string): Promise<void> => {
    await act(async () => {
      const made = await api.undo(id);
      if (made.state === 'on-trial') startTrial(made);
      else showToast(t('changes.undone'));
    });
    reload();
  };
  if (list.length === 0) return null;
  return (
    <ul class="list">
      {list.map((c) => (
        <li class="row" key={c.id} data-change={c.state}>
          <div class="text">
            <dl class="setup-facts"><Edits of={c} /></dl>
            <span class="label quiet">{[c.time && moment(c.time), c.by, t(`state.${c.state}`)].filter(Boolean).join(' · ')}</span>
          </div>
          {c.state === 'kept' && c.id && <Button class="small" icon="undo-2" data-action="undo" onClick={() => void undo(c.id!)}>{t('changes.undo')}</Button>}
        </li>
      ))}
    </ul>
  );
}
