import { ProblemError, type Session, type SetupChange } from '@platen/sdk';
import { useEffect, useState } from 'preact/hooks';
import { admin } from '../api.js';
import { countdown, moment } from '../i18n/index.js';
import { useOwn } from '../store/session.js';
import { createStore, useStore } from '../store/store.js';
import { act } from '../ui/act.js';
import { Banner, ProblemNote, useClock } from '../ui/bits.js';
import { Button } from '../ui/button.js';
import { showToast } from '../ui/toast.js';
import { api } from './api.js';
import { settingName, t, valueText } from './words.js';

const trial = createStore<SetupChange | undefined>(undefined);
let ticket = '';

/**
 * Shows a change that reverts by itself, whether the service can still be reached here or not.
 * `secret` signs in where the page moves to: a browser knows nobody there.
 */
export function startTrial(change: SetupChange, secret = ''): void {
  ticket = secret;
  trial.set(change);
}

/** What signs this administrator in again, at another address of this service. */
export async function ticketHere(own: Session): Promise<string | undefined> {
  return (await admin.createPairing(own.user ? { user: own.user } : { role: own.role })).secret;
}

/** Whether a change takes the page away from the address at which it is open. */
export function moves({ addresses = [] }: SetupChange): boolean {
  return !addresses.some((a) => new URL(a).port === location.port && new URL(a).protocol === location.protocol);
}

/** The change on trial: keep it, or watch it revert. `list` is undefined while the service cannot be reached. */
export function Trial({ list, reload }: { list: SetupChange[] | undefined; reload: () => void }) {
  const now = useStore(trial);
  useEffect(() => {
    if (!list) return;
    const before = trial.get();
    const on = list.find((c) => c.state === 'on-trial');
    if (before && !on && list.find((c) => c.id === before.id)?.state === 'reverted') showToast(t('reverted'));
    trial.set(on);
  }, [list]);
  return now?.until ? <OnTrial key={now.id} now={now} until={now.until} reached={list !== undefined} reload={reload} /> : null;
}

function OnTrial({ now, until, reached, reload }: { now: SetupChange; until: string; reached: boolean; reload: () => void }) {
  const clock = useClock(api.now);
  const [error, setError] = useState<unknown>();
  useEffect(() => {
    const timer = setInterval(reload, 1500);
    return () => clearInterval(timer);
  }, []);
  const time = countdown(Date.parse(until) - clock);
  const moved = moves(now);
  if (!reached) return <div class="setup-trial" role="alert" data-state="lost"><Banner icon="wifi-off" tone="warn" title={t('trial.lost', { time })}>{moved && <><p>{t('trial.moved')}</p><Addresses of={now} /></>}</Banner></div>;
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
    <div class="setup-trial" role="alert" data-state="on-trial">
      <Banner icon="clock" tone="warn" title={t('trial', { time })} actions={<Button kind="primary" data-action="keep" onClick={() => void keep()}>{t('trial.keep')}</Button>}>
        <p>{t(refused ? 'trial.elsewhere' : moved ? 'trial.moved' : 'trial.text')}</p>
        {(refused || moved) && <Addresses of={now} />}
        {error !== undefined && !refused && <ProblemNote error={error} />}
      </Banner>
    </div>
  );
}

function Addresses({ of: { addresses = [] } }: { of: SetupChange }) {
  return <ul class="setup-addresses">{addresses.map((a) => <li key={a}><a href={ticket ? `${a}#pair=${ticket}` : a}>{a}</a></li>)}</ul>;
}

/** What was changed here, with the way back. */
export function Changes({ list, reload }: { list: SetupChange[]; reload: () => void }) {
  const own = useOwn();
  const undo = async ({ id, changes }: SetupChange): Promise<void> => {
    await act(async () => {
      const secret = changes.some(({ key }) => /Setup.*Port$|Address$|External$/.test(key)) ? await ticketHere(own) : undefined;
      const made = await api.undo(id!);
      if (made.state === 'on-trial') startTrial(made, secret);
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
          {c.state === 'kept' && c.id && <Button class="small" icon="undo-2" data-action="undo" onClick={() => void undo(c)}>{t('changes.undo')}</Button>}
        </li>
      ))}
    </ul>
  );
}

/** Each setting that a change touches, before and after. */
export function Edits({ of: { changes } }: { of: SetupChange }) {
  return (
    <>
      {changes.map(({ key, before, after }) => (
        <div key={key}>
          <dt>{settingName(key)}</dt>
          <dd>{before === after ? t('secret.changed') : <><del>{valueText(before)}</del> → <ins>{valueText(after)}</ins></>}</dd>
        </div>
      ))}
    </>
  );
}
