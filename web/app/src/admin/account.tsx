import type { Passkey, Session } from '@platen/sdk';
import { useState } from 'preact/hooks';
import { admin, platen } from '../api.js';
import { alone, date } from '../i18n/index.js';
import { alreadyHere, dismissed, hasPasskeys, makePasskey } from '../signin/passkey.js';
import { signOut, useOwn } from '../store/session.js';
import { act } from '../ui/act.js';
import { Button } from '../ui/button.js';
import { Confirm } from '../ui/confirm.js';
import { Screen } from '../ui/frame.js';
import { Icon } from '../ui/icon.js';
import { Sheet } from '../ui/sheet.js';
import { showToast } from '../ui/toast.js';
import { useLoad } from '../ui/use.js';
import { Devices } from './devices.js';
import { Offer } from './offer.js';
import { t } from './words.js';

/** Who one is here, on which devices one is signed in, and one's passkeys. */
export function AccountScreen() {
  const own = useOwn();
  const sessions = useLoad(() => platen.sessions({ limit: 200 }), []);
  const ways = useLoad((signal) => platen.waysToSignIn(signal), []);
  const [connecting, setConnecting] = useState(false);
  const mine = sessions.value?.items.filter((s) => isMine(s, own)) ?? [];
  return (
    <Screen title={t('account.title')} up="/">
      <div class="card">
        <div class="row">
          <span class="badge"><Icon name="user-round" /></span>
          <span class="text">
            <span class="head">{own.name ?? own.device ?? t('devices.this')}</span>
            <span class="label quiet">{alone(t(`role.${own.role}`))}</span>
            <span class="label quiet">{own.id === 'loopback' ? t('account.loopback') : t('account.until', { date: date(own.expires) })}</span>
          </span>
        </div>
      </div>
      {own.user && (hasPasskeys() && ways.value?.passkeys ? <Passkeys /> : ways.value && <p class="label quiet">{t('account.no-passkeys')}</p>)}
      <Devices title={t('account.devices')} sessions={mine} reload={sessions.reload} />
      {own.user && <Button icon="smartphone" data-action="connect-own" onClick={() => setConnecting(true)}>{t('account.connect')}</Button>}
      {own.id !== 'loopback' && <Button icon="log-out" kind="danger-plain" data-action="sign-out" onClick={() => void act(signOut)}>{t('menu.sign-out')}</Button>}
      {connecting && (
        <Sheet open still onClose={() => setConnecting(false)} title={t('account.connect')}>
          <Offer request={{ user: own.user! }} onUsed={sessions.reload} />
        </Sheet>
      )}
    </Screen>
  );
}

/** All devices of a person share a user; a device that was paired for nobody stands for itself. */
function isMine(s: Session, own: Session): boolean {
  return s.id !== 'loopback' && (s.id === own.id || (own.user !== undefined && s.user === own.user));
}

function Passkeys() {
  const list = useLoad((signal) => admin.passkeys(signal), []);
  const [removing, setRemoving] = useState<Passkey>();
  const [adding, setAdding] = useState(false);
  const own = useOwn();
  const add = async (): Promise<void> => {
    setAdding(true);
    await act(async () => {
      const challenge = await admin.startPasskey();
      try {
        const credential = await makePasskey(challenge);
        await admin.createPasskey({ flow: challenge.flow, credential, label: own.device ?? t('devices.unknown') });
        showToast(t('passkey.added'));
      } catch (error) {
        if (alreadyHere(error)) showToast(t('passkey.already'));
        else if (!dismissed(error)) throw error;
      }
    });
    setAdding(false);
    list.reload();
  };
  return (
    <section aria-labelledby="passkeys">
      <h2 id="passkeys">{t('passkey.title')}</h2>
      <p class="label quiet">{t('passkey.text')}</p>
      {list.value && list.value.items.length > 0 && (
        <ul class="card list">
          {list.value.items.map((p) => (
            <li class="row" key={p.id} data-passkey={p.label}>
              <Icon name="key-round" />
              <span class="text">
                <span class="head">{p.label}</span>
                <span class="label quiet">{p.used ? t('passkey.used', { date: date(p.used) }) : t('passkey.made', { date: date(p.created) })}</span>
              </span>
              <Button kind="danger-plain" class="small" onClick={() => setRemoving(p)}>{t('remove')}</Button>
            </li>
          ))}
        </ul>
      )}
      <Button icon="plus" data-action="add-passkey" disabled={adding} onClick={() => void add()}>{t('passkey.add')}</Button>
      {removing && (
        <Confirm title={t('passkey.remove.ask', { name: removing.label })} label={t('remove')} onClose={() => setRemoving(undefined)} onYes={async () => {
          if (await act(() => admin.deletePasskey(removing.id))) list.reload();
        }}>{t('passkey.remove.text')}</Confirm>
      )}
    </section>
  );
}
