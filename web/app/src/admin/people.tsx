import type { Role, User } from '@platen/sdk';
import { collect } from '@platen/sdk';
import { useId, useState } from 'preact/hooks';
import { admin } from '../api.js';
import { alone, date } from '../i18n/index.js';
import { act } from '../ui/act.js';
import { Chip, Empty, Field, ProblemScreen, Skeletons } from '../ui/bits.js';
import { Button } from '../ui/button.js';
import { Bar, Screen } from '../ui/frame.js';
import { Icon } from '../ui/icon.js';
import { Sheet } from '../ui/sheet.js';
import { useLoad } from '../ui/use.js';
import { GroupsField, listOf, RoleField } from './fields.js';
import { Offer } from './offer.js';
import { PersonSheet } from './person.js';
import { t } from './words.js';

/** From so many rows on, searching is faster than looking. */
const many = 8;

export function PeopleScreen() {
  const loaded = useLoad((signal) => collect((list) => admin.users({ limit: 200, ...list }, signal)), []);
  const [wanted, setWanted] = useState('');
  const [open, setOpen] = useState<string>();
  const [adding, setAdding] = useState(false);
  const search = useId();
  const people = loaded.value;
  const word = wanted.trim().toLocaleLowerCase();
  const shown = people?.filter((p) => !word || [p.name, ...(p.groups ?? [])].some((s) => s.toLocaleLowerCase().includes(word)));
  const chosen = people?.find((p) => p.id === open);
  const change = (user: User): void => loaded.set(people!.map((p) => (p.id === user.id ? user : p)));
  return (
    <Screen title={t('people.title')} up="/admin" bar={people && <Bar id="people">
      <Button kind="primary" icon="plus" class="primary-place" data-action="add-person" onClick={() => setAdding(true)}>{t('people.add')}</Button>
    </Bar>}>
      {!people && loaded.error === undefined && <Skeletons />}
      {!people && loaded.error !== undefined && <ProblemScreen error={loaded.error} onAgain={loaded.reload} />}
      {people && people.length > many && (
        <Field label={t('people.search')} for={search}>
          <input id={search} type="search" value={wanted} onInput={(event) => setWanted(event.currentTarget.value)} />
        </Field>
      )}
      {people?.length === 0 && <Empty icon="users-round" title={t('people.empty')}>{t('people.empty.text')}</Empty>}
      {shown && shown.length > 0 && (
        <ul class="card list">
          {shown.map((person) => (
            <li key={person.id}>
              <button type="button" class="row" data-person={person.name} onClick={() => setOpen(person.id)}>
                <span class="badge"><Icon name="user-round" /></span>
                <span class="text">
                  <span class="head">{person.name}</span>
                  {person.locked && <Chip icon="lock" tone="bad">{t('people.locked')}</Chip>}
                  <span class="label quiet">{[alone(t(`role.${person.role}`)), ...(person.groups ?? [])].join(' · ')}</span>
                  <span class="label quiet">{person.seen ? t('people.seen', { date: date(person.seen) }) : t('people.never')}</span>
                </span>
                <Icon name="chevron-right" />
              </button>
            </li>
          ))}
        </ul>
      )}
      {shown?.length === 0 && word && <p class="quiet" role="status">{t('people.none', { word: wanted.trim() })}</p>}
      {chosen && <PersonSheet person={chosen} onClose={() => setOpen(undefined)} onChange={change} onGone={() => {
        setOpen(undefined);
        loaded.reload();
      }} />}
      {adding && <AddPerson onClose={() => setAdding(false)} onAdded={loaded.reload} />}
    </Screen>
  );
}

/** A name and a role; then the code that signs the new person's phone in. */
function AddPerson({ onClose, onAdded }: { onClose: () => void; onAdded: () => void }) {
  const [name, setName] = useState('');
  const [role, setRole] = useState<Role>('user');
  const [groups, setGroups] = useState('');
  const [added, setAdded] = useState<User>();
  const [working, setWorking] = useState(false);
  const id = useId();
  const add = async (): Promise<void> => {
    setWorking(true);
    await act(async () => {
      setAdded(await admin.createUser({ name: name.trim(), role, groups: listOf(groups) }));
      onAdded();
    });
    setWorking(false);
  };
  if (added) {
    return (
      <Sheet open still onClose={onClose} title={t('people.code.title', { name: added.name })} foot={<Button kind="primary" onClick={onClose}>{t('done')}</Button>}>
        <p>{t('people.code.text', { name: added.name })}</p>
        <Offer request={{ user: added.id }} />
      </Sheet>
    );
  }
  return (
    <Sheet open onClose={onClose} title={t('people.add')} foot={<Button kind="primary" data-action="save" disabled={working || !name.trim()} onClick={() => void add()}>{t('add')}</Button>}>
      <Field label={t('doc.name')} for={id}>
        <input id={id} type="text" maxLength={80} autocomplete="off" value={name} onInput={(event) => setName(event.currentTarget.value)} />
      </Field>
      <RoleField value={role} onChange={setRole} />
      <GroupsField value={groups} onChange={setGroups} />
    </Sheet>
  );
}
