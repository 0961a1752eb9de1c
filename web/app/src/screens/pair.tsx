import { ProblemError } from '@platen/sdk';
import { useEffect, useId, useState } from 'preact/hooks';
import { t } from '../i18n/index.js';
import { navigate } from '../router.js';
import { session, signIn, type Credential } from '../store/session.js';
import { useStore } from '../store/store.js';
import { Banner, ProblemNote } from '../ui/bits.js';
import { Button } from '../ui/button.js';
import { Screen } from '../ui/frame.js';

/** What a pairing link carries in its fragment. */
export function linkOf(hash: string): { secret: string; ca: string | undefined } | undefined {
  const parameters = new URLSearchParams(hash);
  const secret = parameters.get('pair');
  return secret ? { secret, ca: parameters.get('ca') ?? undefined } : undefined;
}

/** Redeems a pairing link or a typed code, and only when tapped: opening the link does nothing, so a link preview burns no code. */
export function PairScreen({ hash }: { hash: string }) {
  const now = useStore(session);
  const link = linkOf(hash);
  const [typing, setTyping] = useState(link === undefined);
  const [code, setCode] = useState('');
  const [working, setWorking] = useState(false);
  const [error, setError] = useState<unknown>();
  const field = useId();
  useEffect(() => {
    if (link) setTyping(false);
  }, [link?.secret]);

  const redeem = async (credential: Credential): Promise<void> => {
    setWorking(true);
    setError(undefined);
    try {
      await signIn(credential);
      // The secret is spent; it need not stay in the address. A screen that was open before is opened again.
      const stay = location.pathname !== '/pair' && location.pathname !== '/';
      navigate(stay ? location.pathname + location.search : '/', { replace: true });
    } catch (problem) {
      setError(problem);
      if (problem instanceof ProblemError && /^pairing-/.test(problem.code)) {
        setTyping(true);
        setCode('');
      }
    } finally {
      setWorking(false);
    }
  };

  const reason = now.state === 'out' ? now.reason : undefined;
  return (
    <Screen title={t('pair.title')} heading={<span class="for-readers">{t('pair.title')}</span>} noMenu class="pair-screen">
      <div class="pair-head">
        <img class="logo" src="/icon.svg" alt="" width={88} height={88} />
        <p class="title">{typing ? t('pair.title') : t('pair.link.title')}</p>
        <p class="quiet">{t('pair.service', { host: location.host })}</p>
      </div>
      {reason === 'expired' && !error && <Banner icon="info" title={t('pair.expired-session')} />}
      {reason instanceof Error && !error && <ProblemNote error={reason} />}
      {error !== undefined && <ProblemNote error={error} />}
      {typing || !link ? (
        <form
          class="pair-form"
          onSubmit={(event) => {
            event.preventDefault();
            if (code.length === 8 && !working) void redeem({ code });
          }}
        >
          <p class="center">{t('pair.intro')}</p>
          <div class="field">
            <label for={field}>{t('pair.code')}</label>
            <input
              id={field}
              class="code-field"
              type="text"
              name="code"
              inputMode="numeric"
              autoComplete="one-time-code"
              pattern="[0-9]*"
              placeholder="––––––––"
              aria-describedby={`${field}-hint`}
              value={code}
              onInput={(event) => setCode((event.currentTarget.value = event.currentTarget.value.replace(/\D/g, '').slice(0, 8)))}
            />
            <p class="label quiet" id={`${field}-hint`}>{t('pair.code.hint')}</p>
          </div>
          <Button type="submit" kind="primary" class="wide" disabled={working || code.length !== 8}>
            {working ? t('pair.working') : t('pair.redeem')}
          </Button>
        </form>
      ) : (
        <div class="pair-form">
          <p class="center">{t('pair.link.intro')}</p>
          <Button kind="primary" class="wide" data-action="redeem" disabled={working} onClick={() => void redeem({ secret: link.secret })}>
            {working ? t('pair.working') : t('pair.link.redeem')}
          </Button>
          <Button kind="plain" onClick={() => setTyping(true)}>{t('pair.type-instead')}</Button>
        </div>
      )}
      <details class="more">
        <summary class="label">{t('pair.stored')}</summary>
        <div>
          <p class="label quiet">{t('pair.stored.text')}</p>
          {link?.ca && <p class="label quiet">{t('pair.fingerprint', { ca: link.ca })}</p>}
        </div>
      </details>
    </Screen>
  );
}
