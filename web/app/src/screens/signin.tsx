import { ProblemError, type SessionRequest, type SignIn } from '@platen/sdk';
import { useEffect, useState } from 'preact/hooks';
import { admin, platen } from '../api.js';
import { t } from '../i18n/index.js';
import { currentPath, navigate } from '../router.js';
import { codeLength, strays } from '../signin/code.js';
import { here, linkOf } from '../signin/link.js';
import { leaveForOIDC } from '../signin/oidc.js';
import { dismissed, hasPasskeys, usePasskey } from '../signin/passkey.js';
import { session, signIn } from '../store/session.js';
import { useStore } from '../store/store.js';
import { Banner, ProblemNote } from '../ui/bits.js';
import { Button } from '../ui/button.js';
import { CodeField } from '../ui/code.js';
import { Screen } from '../ui/frame.js';
import { useLoad } from '../ui/use.js';

/** Signs in by a pairing link, a typed code, the office's provider or a passkey, and only when tapped: a link preview burns no code. */
export function SignInScreen({ hash }: { hash: string }) {
  const now = useStore(session);
  const link = linkOf(hash);
  const setup = currentPath() === '/setup';
  const ways = useLoad((signal) => platen.waysToSignIn(signal), []);
  const [others, setOthers] = useState(link === undefined);
  const [working, setWorking] = useState(false);
  const [error, setError] = useState<unknown>();
  useEffect(() => {
    if (link) setOthers(false);
  }, [link?.secret]);

  const run = async (credential: () => Promise<SessionRequest | undefined>): Promise<void> => {
    setWorking(true);
    setError(undefined);
    try {
      const given = await credential();
      if (!given) return; // the browser is leaving for the provider
      await signIn(given);
      // A secret is spent; it need not stay in the address. A screen that was open before is opened again.
      navigate(here(), { replace: true });
    } catch (problem) {
      if (dismissed(problem)) return;
      setError(problem);
      if (problem instanceof ProblemError && /^pairing-/.test(problem.code)) setOthers(true);
    } finally {
      setWorking(false);
    }
  };

  const reason = now.state === 'out' ? now.reason : undefined;
  return (
    <Screen title={t('pair.title')} heading={<span class="for-readers">{t('pair.title')}</span>} noMenu class="pair-screen">
      <div class="pair-head">
        <img class="logo" src="/icon.svg" alt="" width={88} height={88} />
        <p class="title">{t(setup ? 'pair.setup.title' : others || !link ? 'pair.title' : 'pair.link.title')}</p>
        <p class="quiet">{t('pair.service', { host: location.host })}</p>
      </div>
      {reason === 'expired' && !error && <Banner icon="info" title={t('pair.expired-session')} />}
      {reason instanceof Error && !error && <ProblemNote error={reason} />}
      {error !== undefined && <ProblemNote error={error} />}
      {link && !others ? (
        <div class="pair-form">
          <p class="center">{t(setup ? 'pair.setup.intro' : 'pair.link.intro')}</p>
          <Button kind="primary" class="wide" data-action="redeem" disabled={working} onClick={() => void run(async () => ({ secret: link.secret }))}>
            {t(working ? 'pair.working' : setup ? 'pair.setup.redeem' : 'pair.link.redeem')}
          </Button>
          <Button kind="plain" onClick={() => setOthers(true)}>{t('pair.other-way')}</Button>
        </div>
      ) : (
        (ways.value ?? ways.error) !== undefined && <Ways ways={ways.value ?? { pairing: true, passkeys: false }} working={working} failed={error} onGo={(credential) => void run(credential)} />
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

interface WaysProps {
  ways: SignIn;
  working: boolean;
  /** A new refusal empties the code. */
  failed: unknown;
  onGo: (credential: () => Promise<SessionRequest | undefined>) => void;
}

function Ways({ ways, working, failed, onGo }: WaysProps) {
  const [code, setCode] = useState('');
  const passkeys = ways.passkeys && hasPasskeys();
  useEffect(() => {
    if (failed) setCode('');
  }, [failed]);
  return (
    <div class="pair-form">
      {ways.pairing && (
        <form
          class="pair-form"
          onSubmit={(event) => {
            event.preventDefault();
            if (code.length === codeLength && !strays(code) && !working) onGo(async () => ({ code }));
          }}
        >
          <p class="center">{t('pair.intro')}</p>
          <CodeField name="code" label={t('pair.code')} hint={t('pair.code.hint')} value={code} onChange={setCode} />
          <Button type="submit" kind="primary" class="wide" disabled={working || code.length !== codeLength || strays(code)}>
            {working ? t('pair.working') : t('pair.redeem')}
          </Button>
        </form>
      )}
      {ways.oidc && (
        <Button icon="users-round" class="wide" data-action="oidc" disabled={working} onClick={() => onGo(async () => {
          await leaveForOIDC();
          return undefined;
        })}>{t('pair.oidc', { name: ways.oidc })}</Button>
      )}
      {passkeys && (
        <Button icon="key-round" class="wide" data-action="passkey" disabled={working} onClick={() => onGo(async () => {
          const challenge = await admin.startPasskeySignIn();
          return { passkey: { flow: challenge.flow, credential: await usePasskey(challenge) } };
        })}>{t('pair.passkey')}</Button>
      )}
      {!ways.pairing && !ways.oidc && !passkeys && <p class="center">{t('pair.no-way')}</p>}
    </div>
  );
}
