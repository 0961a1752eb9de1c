import type { Action, PermissionRequest, Role } from '@platen/sdk';
import { useId, useState } from 'preact/hooks';
import { admin } from '../api.js';
import { act } from '../ui/act.js';
import { Field } from '../ui/bits.js';
import { Button } from '../ui/button.js';
import { Sheet } from '../ui/sheet.js';
import { t } from './words.js';

/** What a rule can name, with names for people. */
export interface Named {
  users: Map<string, string>;
  groups: string[];
  scanners: Map<string, string>;
  nodes: Map<string, string>;
  labels: string[];
}

/** Each level holds those before it. */
const levels: Action[][] = [['see'], ['see', 'scan'], ['see', 'scan', 'configure']];

interface AddPermissionProps {
  named: Named;
  /** Chosen already. */
  scanner: string | undefined;
  onClose: () => void;
  onAdded: () => void;
}

type Choice = [value: string, text: string];

/** One sentence of three choices: who, may what, where. */
export function AddPermission({ named, scanner, onClose, onAdded }: AddPermissionProps) {
  const who: [label: string, choices: Choice[]][] = [
    [t('permissions.who.role'), (['user', 'operator', 'kiosk'] as Role[]).map((role) => [`role ${role}`, t(`permissions.role.${role as 'user'}`)])],
    [t('permissions.who.group'), named.groups.map((g) => [`group ${g}`, g])],
    [t('permissions.who.user'), [...named.users].map(([id, name]) => [`user ${id}`, name])],
  ];
  const where: [label: string, choices: Choice[]][] = [
    [t('permissions.where.scanner'), [...named.scanners].map(([id, name]) => [`scanner ${id}`, name])],
    [t('permissions.where.node'), [...named.nodes].map(([id, name]) => [`node ${id}`, name])],
    [t('permissions.where.label'), named.labels.map((l) => [`label ${l}`, l])],
  ];
  const [subject, setSubject] = useState('role user');
  const [target, setTarget] = useState(scanner ? `scanner ${scanner}` : (where.flatMap(([, choices]) => choices)[0]?.[0] ?? ''));
  const [level, setLevel] = useState(1);
  const [working, setWorking] = useState(false);
  const add = async (): Promise<void> => {
    setWorking(true);
    const request = { actions: levels[level], ...pair(subject), ...pair(target) } as PermissionRequest;
    if (await act(() => admin.createPermission(request))) {
      onAdded();
      onClose();
    }
    setWorking(false);
  };
  return (
    <Sheet open onClose={onClose} title={t('permissions.add')} foot={<Button kind="primary" data-action="save" disabled={working || !target} onClick={() => void add()}>{t('add')}</Button>}>
      <Choices label={t('permissions.who')} name="who" groups={who} value={subject} onChange={setSubject} />
      <Choices label={t('permissions.may')} name="may" groups={[['', levels.map((actions, i) => [String(i), t(levelOf(actions))])]]} value={String(level)} onChange={(v) => setLevel(Number(v))} />
      <Choices label={t('permissions.where')} name="where" groups={where} value={target} onChange={setTarget} />
      <p class="label quiet">{t('permissions.effect')}</p>
    </Sheet>
  );
}

function Choices({ label, name, groups, value, onChange }: { label: string; name: string; groups: [string, Choice[]][]; value: string; onChange: (value: string) => void }) {
  const id = useId();
  const options = (choices: Choice[]) => choices.map(([v, text]) => <option key={v} value={v}>{text}</option>);
  return (
    <Field label={label} for={id}>
      <select id={id} name={name} value={value} onChange={(event) => onChange(event.currentTarget.value)}>
        {groups.filter(([, choices]) => choices.length > 0).map(([title, choices]) => (title ? <optgroup key={title} label={title}>{options(choices)}</optgroup> : options(choices)))}
      </select>
    </Field>
  );
}

/** `scanner ID` as a member of the request. */
function pair(choice: string): object {
  const [kind, ...rest] = choice.split(' ');
  return { [kind!]: rest.join(' ') };
}

export function levelOf(actions: Action[]): 'permissions.may.see' | 'permissions.may.scan' | 'permissions.may.configure' {
  return actions.includes('configure') ? 'permissions.may.configure' : actions.includes('scan') ? 'permissions.may.scan' : 'permissions.may.see';
}
