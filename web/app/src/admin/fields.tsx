import type { Role } from '@platen/sdk';
import { useId } from 'preact/hooks';
import { alone } from '../i18n/index.js';
import { Field } from '../ui/bits.js';
import { t } from './words.js';

const roles: Role[] = ['user', 'operator', 'admin', 'kiosk'];

export function RoleField({ value, onChange, disabled }: { value: Role; onChange: (role: Role) => void; disabled?: boolean }) {
  const id = useId();
  return (
    <Field label={t('people.role')} hint={t(`people.role.${value}`)} for={id}>
      <select id={id} value={value} disabled={disabled} onChange={(event) => onChange(event.currentTarget.value as Role)}>
        {roles.map((role) => <option key={role} value={role}>{alone(t(`role.${role}`))}</option>)}
      </select>
    </Field>
  );
}

export function GroupsField({ value, onChange, disabled }: { value: string; onChange: (groups: string) => void; disabled?: boolean }) {
  const id = useId();
  return (
    <Field label={t('people.groups')} hint={t('people.groups.hint')} for={id}>
      <input id={id} type="text" autocomplete="off" value={value} disabled={disabled} onInput={(event) => onChange(event.currentTarget.value)} />
    </Field>
  );
}

/** What stands between commas. */
export function listOf(text: string): string[] {
  return [...new Set(text.split(',').map((part) => part.trim()).filter(Boolean))];
}
