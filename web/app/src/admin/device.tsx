import { ProblemError, type DeviceGrant } from '@platen/sdk';
import { useState } from 'preact/hooks';
import { admin } from '../api.js';
import { navigate } from '../router.js';
import { codeLength, spell, strays } from '../signin/code.js';
import { useOwn } from '../store/session.js';
import { Empty, ProblemNote } from '../ui/bits.js';
import { Button } from '../ui/button.js';
import { CodeField } from '../ui/code.js';
import { Bar, Screen } from '../ui/frame.js';
import { Icon } from '../ui/icon.js';
import { t } from './words.js';

/** A program without a browser shows a code; here a person types it, sees which program asks, and decides. */
export function DeviceScreen() {
  const [code, setCode] = useState('');
  const [grant, setGrant] = useState<DeviceGrant>();
  const [ended, setEnded] = useState<'allowed' | 'refused'>();
  const [working, setWorking] = useState(false);
  const [error, setError] = useState<unknown>();
  const own = useOwn();
  const run = async (what: () => Promise<void>): Promise<void> => {
    setWorking(true);
    setError(undefined);
    try {
      await what();
    } catch (problem) {
      setError(problem);
      if (problem instanceof ProblemError && problem.status === 404) {
        setGrant(undefined);
        setCode('');
      }
    } finally {
      setWorking(false);
    }
  };
  if (ended) {
    return (
      <Screen title={t('device.title')} up="/">
        <div class="fill" role="status"><Empty icon={ended === 'allowed' ? 'circle-check' : 'x'} title={t(`device.${ended}`)} actions={<Button onClick={() => navigate('/', { replace: true })}>{t('route.home')}</Button>}>
          {t(`device.${ended}.text`)}
        </Empty></div>
      </Screen>
    );
  }
  if (grant) {
    return (
      <Screen title={t('device.title')} up="/" bar={<Bar id="decide">
        <Button data-action="refuse" disabled={working} onClick={() => void run(async () => {
          await admin.denyDeviceGrant(grant.userCode);
          setEnded('refused');
        })}>{t('device.refuse')}</Button>
        <Button kind="primary" class="primary-place" data-action="allow" disabled={working} onClick={() => void run(async () => {
          await admin.allowDeviceGrant(grant.userCode);
          setEnded('allowed');
        })}>{t('allow.allow')}</Button>
      </Bar>}>
        <div class="card padded center">
          <span class="badge"><Icon name="terminal" /></span>
          <p>{t('device.asks')}</p>
          <p class="origin">{grant.device}</p>
          {grant.address && <p class="label quiet">{t('device.from', { address: grant.address })}</p>}
          <p class="label quiet numbers">{spell(grant.userCode)}</p>
        </div>
        <p>{t('device.may', { role: t(`role.${own.role}`) })}</p>
        <p class="label quiet">{t('device.care')}</p>
        {error !== undefined && <ProblemNote error={error} />}
      </Screen>
    );
  }
  return (
    <Screen title={t('device.title')} up="/">
      <form class="pair-form" onSubmit={(event) => {
        event.preventDefault();
        if (code.length === codeLength && !strays(code) && !working) void run(async () => setGrant(await admin.deviceGrant(code)));
      }}>
        <p>{t('device.intro')}</p>
        <CodeField name="user-code" label={t('pair.code')} hint={t('pair.code.hint')} value={code} onChange={setCode} />
        {error !== undefined && <ProblemNote error={error} />}
        <Button type="submit" kind="primary" class="wide" disabled={working || code.length !== codeLength || strays(code)}>{t('device.look')}</Button>
      </form>
    </Screen>
  );
}
