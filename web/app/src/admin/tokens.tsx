import type { Role, Token } from '@platen/sdk';
import { collect } from '@platen/sdk';
import { useId, useState } from 'preact/hooks';
import { admin } from '../api.js';
import { alone, date } from '../i18n/index.js';
import { act } from '../ui/act.js';
import { Banner, Empty, Field, ProblemScreen, Skeletons } from '../ui/bits.js';
import { Button } from '../ui/button.js';
import { Confirm } from '../ui/confirm.js';
import { Bar, Screen } from '../ui/frame.js';
import { Icon } from '../ui/icon.js';
import { Secret } from '../ui/secret.js';
import { Sheet } from '../ui/sheet.js';
import { useLoad } from '../ui/use.js';
import { RoleField } from './fields.js';
import { t } from './words.js';

const lives = [30, 90, 365, 1095]; // days

/** Bearer tokens of machines. Each is shown once, when it is made. */
export function TokensScreen() {
  const loaded = useLoad((signal) => collect((list) => admin.tokens({ limit: 200, ...list }, signal)), []);
  const [making, setMaking] = useState(false);
  const [revoking, setRevoking] = useState<Token>();
  const tokens = loaded.value;
  return (
    <Screen title={t('tokens.title')} up="/admin" bar={tokens && <Bar id="tokens">
      <Button kind="primary" icon="plus" class="primary-place" data-action="make-token" onClick={() => setMaking(true)}>{t('tokens.make')}</Button>
    </Bar>}>
      {!tokens && loaded.error === undefined && <Skeletons />}
      {!tokens && loaded.error !== undefined && <ProblemScreen error={loaded.error} onAgain={loaded.reload} />}
      {tokens?.length === 0 && <Empty icon="terminal" title={t('tokens.empty')}>{t('tokens.empty.text')}</Empty>}
      {tokens && tokens.length > 0 && (
        <ul class="card list">
          {tokens.map((token) => (
            <li class="row" key={token.id} data-token={token.label}>
              <Icon name="terminal" />
              <span class="text">
                <span class="head">{token.label}</span>
                <span class="label quiet">{t('tokens.row', { role: alone(t(`role.${token.role}`)), date: date(token.expires) })}</span>
                <span class="label quiet">{token.used ? t('tokens.used', { date: date(token.used) }) : t('tokens.unused')}</span>
              </span>
              <Button kind="danger-plain" class="small" data-action="revoke-token" onClick={() => setRevoking(token)}>{t('tokens.revoke')}</Button>
            </li>
          ))}
        </ul>
      )}
      {making && <MakeToken onClose={() => setMaking(false)} onMade={loaded.reload} />}
      {revoking && (
        <Confirm title={t('tokens.revoke.ask', { name: revoking.label })} label={t('tokens.revoke')} onClose={() => setRevoking(undefined)} onYes={async () => {
          if (await act(() => admin.deleteToken(revoking.id), t('tokens.revoked', { name: revoking.label }))) loaded.reload();
        }}>{t('tokens.revoke.text')}</Confirm>
      )}
    </Screen>
  );
}

function MakeToken({ onClose, onMade }: { onClose: () => void; onMade: () => void }) {
  const [label, setLabel] = useState('');
  const [role, setRole] = useState<Role>('user');
  const [days, setDays] = useState(365);
  const [made, setMade] = useState<Token>();
  const [working, setWorking] = useState(false);
  const name = useId();
  const life = useId();
  const make = async (): Promise<void> => {
    setWorking(true);
    await act(async () => {
      setMade(await admin.createToken({ label: label.trim(), role, days }));
      onMade();
    });
    setWorking(false);
  };
  if (made) {
    return (
      <Sheet open onClose={onClose} title={made.label} foot={<Button kind="primary" onClick={onClose}>{t('done')}</Button>}>
        <Banner icon="info" tone="warn" title={t('tokens.once')} />
        <Secret text={made.token ?? ''} />
        <p class="label quiet">{t('tokens.how')}</p>
      </Sheet>
    );
  }
  return (
    <Sheet open onClose={onClose} title={t('tokens.make')} foot={<Button kind="primary" data-action="save" disabled={working || !label.trim()} onClick={() => void make()}>{t('tokens.make')}</Button>}>
      <Field label={t('tokens.label')} hint={t('tokens.label.hint')} for={name}>
        <input id={name} type="text" maxLength={80} autocomplete="off" value={label} onInput={(event) => setLabel(event.currentTarget.value)} />
      </Field>
      <RoleField value={role} onChange={setRole} />
      <Field label={t('tokens.days')} for={life}>
        <select id={life} value={days} onChange={(event) => setDays(Number(event.currentTarget.value))}>
          {lives.map((n) => <option key={n} value={n}>{t('days', { count: n })}</option>)}
        </select>
      </Field>
    </Sheet>
  );
}
