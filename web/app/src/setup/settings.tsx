import type { Setup, SetupSetting } from '@platen/sdk';
import type { ComponentChildren } from 'preact';
import { useId } from 'preact/hooks';
import { createStore, useStore } from '../store/store.js';
import { Field, Switch } from '../ui/bits.js';
import { Icon } from '../ui/icon.js';
import { meaning, settingName, t, valueText } from './words.js';

/** What was typed and not applied yet, by key. It outlives tabs. */
export const edits = createStore<Record<string, string>>({});

/** The full key of one that stands without its section. */
const fullKey = (setup: Setup, key: string): string => (key.startsWith('[') ? key : `[${setup.role}] ${key}`);

export function findSetting(setup: Setup, key: string): SetupSetting | undefined {
  return setup.settings.find((s) => s.key === fullKey(setup, key));
}

/** What `[node] External` is now. */
export function settingValue(setup: Setup, key: string): string {
  return findSetting(setup, key)?.value ?? '';
}

/** A part of a section with its heading. */
export function Group({ title, children, name }: { title: string; children: ComponentChildren; name?: string }) {
  return (
    <section class="setup-group" data-group={name}>
      <h3>{title}</h3>
      {children}
    </section>
  );
}

/** What few people need, closed. It is open while something in it is set. */
export function Closed({ title, children, open }: { title: string; children: ComponentChildren; open?: boolean }) {
  return (
    <details class="more" open={open}>
      <summary>{title}<Icon name="chevron-right" size={20} /></summary>
      <div>{children}</div>
    </details>
  );
}

/** The settings that this end has of those that are named. */
export function Settings({ setup, keys }: { setup: Setup; keys: string[] }) {
  const now = useStore(edits);
  return (
    <>
      {keys.map((key) => {
        const setting = findSetting(setup, key);
        return setting && <SettingField key={key} setup={setup} setting={setting} value={now[setting.key] ?? setting.value} />;
      })}
    </>
  );
}

function SettingField({ setup, setting, value }: { setup: Setup; setting: SetupSetting; value: string }) {
  const id = useId();
  const { key, source, restart, unit, default: usual } = setting;
  const fixed = source === 'environment';
  const label = settingName(key);
  const edit = (to: string): void => {
    const { [key]: _, ...others } = edits.get();
    edits.set(to === setting.value ? others : { ...others, [key]: to });
  };
  const hint = [
    `${meaning(key, setting.meaning)}.`,
    usual && usual !== value && unit !== 'TRUE or FALSE' ? t('default', { value: usual }) : '',
    fixed ? t('env') : restart ? t('restart') : '',
  ].filter(Boolean).join(' ');
  const choices = choicesOf(setup, setting);
  if (unit === 'TRUE or FALSE' && !fixed) return <Switch label={label} name={key} checked={value === 'TRUE'} hint={hint} onChange={(on) => edit(on ? 'TRUE' : 'FALSE')} />;
  return (
    <Field label={label} hint={hint} for={id}>
      {choices && !fixed ? (
        <select id={id} name={key} value={value} onChange={(event) => edit(event.currentTarget.value)}>
          {choices.map((c) => <option key={c.value} value={c.value}>{c.label}</option>)}
          {!choices.some((c) => c.value === value) && <option value={value}>{value}</option>}
        </select>
      ) : (
        <Input id={id} setting={setting} value={value} onEdit={edit} />
      )}
    </Field>
  );
}

const secrets = ['[oidc] ClientSecret', '[alerts] Password'];

function Input({ id, setting: { key, source, unit }, value, onEdit }: { id: string; setting: SetupSetting; value: string; onEdit: (to: string) => void }) {
  const rest = {
    id, name: key, value, disabled: source === 'environment', autocomplete: 'off', autocapitalize: 'off' as const, spellcheck: false,
    onInput: (event: { currentTarget: HTMLInputElement }) => onEdit(event.currentTarget.value),
  };
  // Its value is never answered.
  if (secrets.includes(key)) return <input type="password" {...rest} placeholder={source === 'default' ? '' : t('secret.set')} />;
  return <input type="text" {...rest} inputMode={unit === 'port' ? 'numeric' : 'text'} />;
}

/** What there is to choose from; undefined where any text goes. */
function choicesOf(setup: Setup, { key, unit = '' }: SetupSetting): { value: string; label: string }[] | undefined {
  if (key === '[node] Address') {
    const all = setup.interfaces.flatMap((i) => i.addresses.map((a) => ({ value: a, label: `${a} (${i.name})` })));
    return [{ value: '', label: t('host.all') }, ...all];
  }
  if (!/^[a-z-]+(, [a-z-]+)* or [a-z-]+$/.test(unit)) return undefined;
  return unit.split(/, | or /).map((value) => (value === 'empty' ? { value: '', label: '–' } : { value, label: valueText(value) }));
}
