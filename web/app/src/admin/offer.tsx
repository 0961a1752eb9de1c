import type { Pairing, PairingRequest } from '@platen/sdk';
import { useEffect, useState } from 'preact/hooks';
import { admin, platen } from '../api.js';
import { countdown } from '../i18n/index.js';
import { session } from '../store/session.js';
import { spell } from '../signin/code.js';
import { Banner, CheckString, ProblemNote, useClock } from '../ui/bits.js';
import { Button } from '../ui/button.js';
import { QrCode } from '../ui/qr.js';
import { t } from './words.js';

interface OfferProps {
  /** What the code gives. Another one makes another code. */
  request: PairingRequest;
  /** The code was used. */
  onUsed?: () => void;
}

/** A pairing code on show: as a picture and to type, until it is used, runs out, or is no longer looked at. */
export function Offer({ request, onUsed }: OfferProps) {
  const [pairing, setPairing] = useState<Pairing>();
  const [error, setError] = useState<unknown>();
  const [round, setRound] = useState(0);
  const wanted = JSON.stringify(request);
  useEffect(() => {
    let stale = false;
    let made: Pairing | undefined;
    setPairing(undefined);
    setError(undefined);
    const drop = (): void => {
      if (made) void admin.deletePairing(made.id).catch(() => {}); // used ones are refused, which is fine
    };
    admin.createPairing(request).then(
      (p) => {
        made = p;
        if (stale) drop();
        else setPairing(p);
      },
      (problem: unknown) => !stale && setError(problem),
    );
    return () => {
      stale = true;
      drop();
    };
  }, [wanted, round]);
  const now = usePairingState(pairing);
  useEffect(() => {
    if (now?.state === 'used') onUsed?.();
  }, [now?.state]);
  const again = (): void => setRound((n) => n + 1);
  if (error !== undefined) return <ProblemNote error={error} actions={<Button class="small" onClick={again}>{t('again')}</Button>} />;
  return pairing && now ? <Shown pairing={pairing} now={now} onNew={again} /> : <div class="card padded offer-space" aria-busy="true" />;
}

function Shown({ pairing, now, onNew }: { pairing: Pairing; now: Pairing; onNew: () => void }) {
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
  const unreachable = !host || onlyHere(host);
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
      <p class="pair-code numbers" data-code={pairing.code}>{pairing.code && spell(pairing.code)}</p>
      <p class="label quiet numbers">{t('connect.left', { time: countdown(left) })}</p>
    </div>
  );
}

/** An address that only this machine reaches. */
export function onlyHere(host: string): boolean {
  return /^(localhost|127\.|\[::1\])/.test(host);
}

/** The state as it is at the service. It changes once, when the phone taps; until then it is asked for gently. */
function usePairingState(pairing: Pairing | undefined): Pairing | undefined {
  const [now, setNow] = useState<Pairing | undefined>(pairing);
  useEffect(() => {
    setNow(pairing);
    if (!pairing) return;
    const stop = new AbortController();
    const timer = setInterval(() => {
      if (document.visibilityState !== 'visible') return;
      admin.pairing(pairing.id, stop.signal).then(
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
  return now?.id === pairing?.id && now ? now : pairing;
}
