import type { Setup, SetupFound } from '@platen/sdk';
import { useId, useState } from 'preact/hooks';
import { act } from '../ui/act.js';
import { CheckString, Field, ProblemNote } from '../ui/bits.js';
import { Button } from '../ui/button.js';
import { Confirm } from '../ui/confirm.js';
import { showToast } from '../ui/toast.js';
import { api } from './api.js';
import { Group, Settings } from './settings.js';
import { t } from './words.js';

export const finding = ['FindGateway', 'Gateways'];

export function gatewaySum({ gateway }: Setup): string {
  if (!gateway?.address) return gateway?.found?.length ? t('gateway.near', { count: gateway.found.length }) : t('gateway.none');
  if (gateway.waiting) return t('gateway.waiting', { address: gateway.address });
  return t(gateway.connected ? 'gateway.on' : 'gateway.away', { address: gateway.address });
}

/** The gateway that a node is linked to: find, join, wait for approval, leave. */
export function Gateway({ setup, onDone }: { setup: Setup; onDone: () => void }) {
  const { gateway } = setup;
  return (
    <>
      {!gateway?.address && <Found found={gateway?.found ?? []} onDone={onDone} />}
      {!gateway?.address && <Join onDone={onDone} />}
      {gateway?.address && gateway.waiting && (
        <>
          {gateway.check && <><CheckString check={gateway.check} /><p>{t('gateway.check')}</p></>}
          <div class="actions"><Button data-action="cancel" onClick={() => void act(() => api.leave()).then(onDone)}>{t('gateway.cancel')}</Button></div>
        </>
      )}
      {gateway?.address && !gateway.waiting && <Joined onDone={onDone} />}
      <Group title={t('gateway.settings')} name="settings"><Settings setup={setup} keys={[...finding, 'MaxRole']} /></Group>
    </>
  );
}

/** Gateways nearby. What they announce is a hint: only the four symbols, compared on both ends, prove who it is. */
function Found({ found, onDone }: { found: SetupFound[]; onDone: () => void }) {
  const [working, setWorking] = useState(false);
  if (found.length === 0) return null;
  const ask = async (address: string): Promise<void> => {
    setWorking(true);
    await act(() => api.join({ address }), t('gateway.asked'));
    setWorking(false);
    onDone();
  };
  return (
    <Group title={t('gateway.found')} name="found">
      <p class="label quiet">{t('gateway.found.text')}</p>
      <ul class="list">
        {found.map(({ name, address, fingerprint }) => (
          <li class="row" key={`${address} ${fingerprint}`} data-found={name}>
            <span class="text">
              <span class="head">{name}</span>
              <span class="label quiet">{address}</span>
              <span class="label quiet">{t('gateway.found.key')} <code>{fingerprint}</code></span>
            </span>
            <Button class="small" data-action="ask" disabled={working} onClick={() => void ask(address)}>{t('gateway.ask')}</Button>
          </li>
        ))}
      </ul>
    </Group>
  );
}

function Joined({ onDone }: { onDone: () => void }) {
  const [leaving, setLeaving] = useState(false);
  return (
    <>
      <div class="actions"><Button kind="danger-plain" data-action="leave" onClick={() => setLeaving(true)}>{t('gateway.leave')}</Button></div>
      {leaving && <Confirm title={t('gateway.leave.ask')} label={t('gateway.leave')} onYes={() => act(() => api.leave(), t('gateway.left')).then(onDone)} onClose={() => setLeaving(false)}>{t('gateway.leave.text')}</Confirm>}
    </>
  );
}

function Join({ onDone }: { onDone: () => void }) {
  const ids = { token: useId(), address: useId() };
  const [by, setBy] = useState({ token: '', address: '' });
  const [error, setError] = useState<unknown>();
  const [working, setWorking] = useState(false);
  const token = by.token.trim();
  const address = by.address.trim();
  const join = async (): Promise<void> => {
    setWorking(true);
    setError(undefined);
    try {
      await api.join(token ? { token } : { address });
      showToast(t(token ? 'gateway.joined' : 'gateway.asked'));
    } catch (problem) {
      setError(problem);
    }
    setWorking(false);
    onDone();
  };
  return (
    <Group title={t('gateway.join.title')} name="join">
      <form class="setup-body" onSubmit={(event) => { event.preventDefault(); if (token || address) void join(); }}>
        <Field label={t('gateway.token')} hint={t('gateway.token.text')} for={ids.token}>
          <input id={ids.token} type="text" name="token" autocomplete="off" autocapitalize="off" spellcheck={false} value={by.token} onInput={(event) => setBy({ token: event.currentTarget.value, address: '' })} />
        </Field>
        <Field label={t('gateway.address')} hint={t('gateway.address.text')} for={ids.address}>
          <input id={ids.address} type="text" name="address" autocomplete="off" autocapitalize="off" spellcheck={false} value={by.address} onInput={(event) => setBy({ token: '', address: event.currentTarget.value })} />
        </Field>
        {error !== undefined && <ProblemNote error={error} />}
        <div class="actions"><Button kind="primary" type="submit" data-action="join" disabled={working || (!token && !address)}>{t('gateway.join')}</Button></div>
      </form>
    </Group>
  );
}
