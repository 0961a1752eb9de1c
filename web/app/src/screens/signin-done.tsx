import { useEffect, useState } from 'preact/hooks';
import { t } from '../i18n/index.js';
import { navigate } from '../router.js';
import { lostFlow, takeProviderAnswer } from '../signin/oidc.js';
import { signIn } from '../store/session.js';
import { Empty, ProblemScreen } from '../ui/bits.js';
import { Button } from '../ui/button.js';
import { Screen } from '../ui/frame.js';

/** Where the office's identity provider sends the browser back to. */
export function SignInDone() {
  const [answer] = useState(takeProviderAnswer);
  const [error, setError] = useState<unknown>();
  const { credential, back, refused } = answer;
  useEffect(() => {
    if (refused) return;
    if (!credential) setError(lostFlow());
    else signIn(credential).then(() => navigate(back, { replace: true }), setError);
  }, []);
  const again = <Button kind="primary" data-action="again" onClick={() => navigate(back, { replace: true })}>{t('done.again')}</Button>;
  return (
    <Screen title={t('done.title')} heading={<span class="for-readers">{t('done.title')}</span>} noMenu class="pair-screen">
      {refused ? (
        <div class="fill" role="alert"><Empty icon="info" title={t(refused === 'access_denied' ? 'done.denied' : 'done.refused')} actions={again}>
          {refused === 'access_denied' ? t('done.denied.text') : t('done.refused.text', { error: refused.slice(0, 40) })}
        </Empty></div>
      ) : error !== undefined ? <ProblemScreen error={error} actions={again} /> : <p class="center" role="status">{t('pair.working')}</p>}
    </Screen>
  );
}
