import type { Role } from '@platen/sdk';
import { useState } from 'preact/hooks';
import { platen } from '../api.js';
import { may } from '../store/session.js';
import { Segmented } from '../ui/bits.js';
import { Screen } from '../ui/frame.js';
import { useLoad } from '../ui/use.js';
import { Devices } from './devices.js';
import { Offer } from './offer.js';
import { t } from './words.js';

/** Somebody who looks after the scanners connects a phone: QR code, typed code, live state, check string. */
export function ConnectScreen() {
  const [role, setRole] = useState<Role>('user');
  const sessions = useLoad(() => platen.sessions({ limit: 200 }), []);
  const choices = (['user', 'kiosk', 'admin'] as const).filter((role) => may(role)).map((value) => ({ value, label: t(`connect.as.${value}`) }));
  return (
    <Screen title={t('connect.title')} up="/">
      <Offer request={{ role }} onUsed={sessions.reload} />
      <Segmented<Role> name="role" label={t('connect.as')} value={role} choices={choices} onChange={setRole} hint={t(`connect.as.${role as 'user'}.text`)} />
      <Devices title={t('connect.devices')} sessions={sessions.value?.items.filter((s) => s.id !== 'loopback') ?? []} reload={sessions.reload} />
    </Screen>
  );
}
