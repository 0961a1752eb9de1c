import type { User } from '@platen/sdk';
import { useState } from 'preact/hooks';
import { useId } from 'preact/hooks';
import { admin } from '../api.js';
import { act } from '../ui/act.js';
import { Field, Switch } from '../ui/bits.js';
import { Button } from '../ui/button.js';
import { Confirm } from '../ui/confirm.js';
import { Sheet } from '../ui/sheet.js';
import { Offer } from './offer.js';
import { GroupsField, listOf, RoleField } from './fields.js';
import { t } from './words.js';

interface PersonSheetProps {
  person: User;
  onClose: () => void;
  onChange: (person: User) => void;
  onGone: () => void;
}

/** One person: role, groups, lock, another code, delete. */
export function PersonSheet({ person, onClose, onChange, onGone }: PersonSheetProps) {
  const [shown, setShown] = useState<'person' | 'code' | 'delete'>('person');
  const [name, setName] = useState(person.name);
  const [role, setRole] = useState(person.role);
  const [groups, setGroups] = useState((person.groups ?? []).join(', '));
  const [locked, setLocked] = useState(person.locked ?? false);
  const [working, setWorking] = useState(false);
  const id = useId();
  const office = person.source === 'oidc';
  const edit = {
    ...(name.trim() && name.trim() !== person.name ? { name: name.trim() } : {}),
    ...(role !== person.role ? { role } : {}),
    ...(listOf(groups).join() !== (person.groups ?? []).join() ? { groups: listOf(groups) } : {}),
    ...(locked !== (person.locked ?? false) ? { locked } : {}),
  };
  const save = async (): Promise<void> => {
    setWorking(true);
    if (await act(async () => onChange(await admin.editUser(person.id, edit)), t('doc.saved'))) onClose();
    setWorking(false);
  };
  if (shown === 'delete') {
    return (
      <Confirm title={t('people.delete.ask', { name: person.name })} label={t('delete')} onClose={() => setShown('person')} onYes={async () => {
        if (await act(() => admin.deleteUser(person.id), t('people.deleted', { name: person.name }))) onGone();
      }}>{t('people.delete.text')}</Confirm>
    );
  }
  if (shown === 'code') {
    return (
      <Sheet open still onClose={() => setShown('person')} title={t('people.code.title', { name: person.name })} foot={<Button kind="primary" onClick={() => setShown('person')}>{t('done')}</Button>}>
        <p>{t('people.code.text', { name: person.name })}</p>
        <Offer request={{ user: person.id }} />
      </Sheet>
    );
  }
  return (
    <Sheet open onClose={onClose} title={person.name} foot={<>
      <Button kind="danger-plain" class="first" data-action="delete-person" onClick={() => setShown('delete')}>{t('delete')}</Button>
      <Button kind="primary" data-action="save" disabled={working || Object.keys(edit).length === 0} onClick={() => void save()}>{t('save')}</Button>
    </>}>
      {office ? <p class="label quiet">{t('people.office')}</p> : (
        <Field label={t('doc.name')} for={id}>
          <input id={id} type="text" maxLength={80} autocomplete="off" value={name} onInput={(event) => setName(event.currentTarget.value)} />
        </Field>
      )}
      <RoleField value={role} onChange={setRole} disabled={office} />
      <GroupsField value={groups} onChange={setGroups} disabled={office} />
      <Switch label={t('people.lock')} hint={t('people.lock.hint')} name="locked" checked={locked} onChange={setLocked} />
      <p class="label quiet">{t('people.has', { sessions: person.sessions ?? 0, passkeys: person.passkeys ?? 0 })}</p>
      <Button icon="smartphone" data-action="person-code" disabled={person.locked} onClick={() => setShown('code')}>{t('people.code')}</Button>
    </Sheet>
  );
}
