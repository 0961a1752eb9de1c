import type { Session } from '@platen/sdk';
import { platen } from '../api.js';
import { alone, moment } from '../i18n/index.js';
import { useOwn } from '../store/session.js';
import { act } from '../ui/act.js';
import { Button } from '../ui/button.js';
import { Icon } from '../ui/icon.js';
import { t } from './words.js';

/** Sessions as people know them: what is signed in, in which role, since when. */
export function Devices({ title, sessions, reload }: { title: string; sessions: Session[]; reload: () => void }) {
  const own = useOwn();
  if (sessions.length === 0) return null;
  const remove = async (s: Session): Promise<void> => {
    if (await act(() => platen.deleteSession(s.id), t('devices.removed', { device: nameOf(s) }))) reload();
  };
  return (
    <section aria-label={title}>
      <h2>{title}</h2>
      <ul class="card list">
        {sessions.map((s) => (
          <li class="row" key={s.id} data-session={s.id === own.id ? 'own' : s.kind}>
            <Icon name={s.origin ? 'globe' : s.kind === 'device' || s.kind === 'token' ? 'terminal' : 'smartphone'} />
            <span class="text">
              <span class="head">{nameOf(s)}</span>
              <span class="label quiet">{s.id === own.id ? t('devices.this') : t('devices.since', { role: alone(t(`role.${s.role}`)), date: moment(s.created) })}</span>
            </span>
            {s.id !== own.id && <Button kind="danger-plain" class="small" data-action="end-session" onClick={() => void remove(s)}>{t('devices.remove')}</Button>}
          </li>
        ))}
      </ul>
    </section>
  );
}

function nameOf(s: Session): string {
  return s.origin ?? s.device ?? s.name ?? t('devices.unknown');
}
