import { ProblemError, type Pairing, type Role, type Session } from '@platen/sdk';
import { useEffect, useState } from 'preact/hooks';
import { platen } from '../api.js';
import { countdown, moment, t, type Key } from '../i18n/index.js';
import { explain } from '../i18n/words.js';
import { may, session } from '../store/session.js';
import { useStore } from '../store/store.js';
import { Banner, CheckString, ProblemNote, Segmented, useClock } from '../ui/bits.js';
import { Button } from '../ui/button.js';
import { Screen } from '../ui/frame.js';
import { Icon } from '../ui/icon.js';
import { QrCode } from '../ui/qr.js';
import { showToast } from '../ui/toast.js';
import { useLoad } from '../ui/use.js';

/** An administrator connects a phone: QR code, typed code, live state, check string. */
export function ConnectScreen() {
  const [role, setRole] = useState<Role>('user');
  const [pairing, setPairing] = useState<Pairing>();
  const [error, setError] = useState<unknown>();
  const [round, setRound] = useState(0);
  const sessions = useLoad(() => platen.sessions({ limit: 100 }), [pairing?.state === 'used']);
  const allowed = may('admin');
  useEffect(() => {
    if (!allowed) return;
    let stale = false;
    let made: Pairing | undefined;
    setPairing(undefined);
    setError(undefined);
    platen.createPairing({ role }).then(
      (p) => {
        made = p;
        if (stale) void platen.deletePairing(p.id).catch(() => {});
        else setPairing(p);
      },
      (problem: unknown) => !stale && setError(problem),
    );
    return () => {
      stale = true;
      if (made) void platen.deletePairing(made.id).catch(() => {}); // used ones are refused, which is fine
    };
  }, [role, round, allowed]);
  const state = usePairingState(pairing);
  const again = (): void => setRound((n) => n + 1);
  return (
    <Screen title={t('connect.title')} up="/" class="connect-screen">
      {!allowed && <ProblemNote error={new ProblemError({ type: 'about:blank', status: 403, code: 'permission-denied', title: '', retryable: false })} />}
      {error !== undefined && <ProblemNote error={error} actions={<Button class="small" onClick={again}>{t('again')}</Button>} />}
      {pairing && <Offer pairing={pairing} now={state} onNew={again} />}
      <Segmented<Role>
        name="role"
        label={t('connect.as')}
        value={role}
        choices={[{ value: 'user', label: t('connect.as.user') }, { value: 'admin', label: t('connect.as.admin') }]}
        onChange={setRole}
        hint={t(`connect.as.${role}.text` as Key)}
      />
      <Devices sessions={sessions.value?.items ?? []} reload={sessions.reload} />
    </Screen>
  );
}

function Offer({ pairing, now, onNew }: { pairing: Pairing; now: Pairing; onNew: () => void }) {
  const clock = useClock(() => platen.now(), now.state === 'open');
  const left = Date.parse(pairing.expires) - clock;
  const state = now.state === 'open' && left <= 0 ? 'expired' : now.state;
  if (state === 'used') {
    return (
      <div class="card padded center" role="status" data-pairing="used">
        <p class="title">{t('connect.used')}</p>
        {now.check && <CheckString check={now.check} />}
        <p class="label">{t('connect.used.text')}</p>
        <Button kind="primary" onClick={onNew}>{t('connect.another')}</Button>
      </div>
    );
  }
  if (state !== 'open') {
    return (
      <div class="card padded center" role="status" data-pairing={state}>
        <p class="title">{t(state === 'void' ? 'connect.void' : 'connect.expired')}</p>
        <Button kind="primary" icon="refresh-cw" onClick={onNew}>{t('connect.new')}</Button>
      </div>
    );
  }
  const own = session.get();
  const gateway = own.state === 'in' && own.service.role === 'gateway';
  const host = pairing.url ? new URL(pairing.url).host : undefined;
  const unreachable = !pairing.url || /^(localhost|127\.|\[::1\])/.test(host ?? '');
  return (
    <div class="card padded center" data-pairing="open">
      {unreachable ? (
        <Banner icon="info" tone="warn" title={t(gateway ? 'connect.loopback.gateway' : 'connect.loopback')} />
      ) : (
        <>
          <p>{t('connect.intro')}</p>
          <QrCode text={pairing.url!} label={t('connect.intro')} />
        </>
      )}
      <p class="label">{host && !unreachable ? t('connect.or', { host }) : t('connect.or-code')}</p>
      <p class="pair-code numbers" data-code={pairing.code}>{pairing.code && `${pairing.code.slice(0, 4)} ${pairing.code.slice(4)}`}</p>
      <p class="label quiet numbers">{t('connect.left', { time: countdown(left) })}</p>
    </div>
  );
}

/** The state as it is at the service. It changes once, when the phone taps; until then it is asked for gently. */
function usePairingState(pairing: Pairing | undefined): Pairing {
  const [now, setNow] = useState<Pairing | undefined>(pairing);
  useEffect(() => {
    setNow(pairing);
    if (!pairing) return;
    const stop = new AbortController();
    const timer = setInterval(() => {
      if (document.visibilityState !== 'visible') return;
      platen.pairing(pairing.id, stop.signal).then(
        (p) => {
          setNow(p);
          if (p.state !== 'open') clearInterval(timer);
        },
        () => {},
      );
    }, 1500);
    return () => {
      clearInterval(timer);
      stop.abort();
    };
  }, [pairing]);
  return now?.id === pairing?.id && now ? now : pairing!;
}

function Devices({ sessions, reload }: { sessions: Session[]; reload: () => void }) {
  const own = useStore(session);
  const mine = own.state === 'in' ? own.session.id : '';
  const others = sessions.filter((s) => s.id !== 'loopback');
  if (others.length === 0) return null;
  const remove = async (s: Session): Promise<void> => {
    try {
      await platen.deleteSession(s.id);
      showToast(t('connect.device.removed', { device: s.device ?? t('connect.device.unknown') }));
      reload();
    } catch (error) {
      showToast(explain(error).what);
    }
  };
  return (
    <section aria-labelledby="devices">
      <h2 id="devices">{t('connect.devices')}</h2>
      <ul class="card list">
        {others.map((s) => (
          <li class="row" key={s.id}>
            <Icon name="smartphone" />
            <span class="text">
              <span class="head">{s.device || t('connect.device.unknown')}</span>
              <span class="label quiet">{s.id === mine ? t('connect.device.this') : t('connect.device.since', { role: t(`role.${s.role}` as Key), date: moment(s.created) })}</span>
            </span>
            {s.id !== mine && <Button kind="danger-plain" class="small" onClick={() => void remove(s)}>{t('connect.device.remove')}</Button>}
          </li>
        ))}
      </ul>
    </section>
  );
}
