import { collect, type LicenseItem, type Project } from '@platen/sdk';
import { useId, useState } from 'preact/hooks';
import { may } from '../store/session.js';
import { act } from '../ui/act.js';
import { Banner, Empty, Field, ProblemNote, ProblemScreen, Segmented, Skeletons } from '../ui/bits.js';
import { Button } from '../ui/button.js';
import { Confirm } from '../ui/confirm.js';
import { Bar, Screen } from '../ui/frame.js';
import { Icon } from '../ui/icon.js';
import { Secret } from '../ui/secret.js';
import { Sheet } from '../ui/sheet.js';
import { useLoad } from '../ui/use.js';
import { licences } from './api.js';
import { holds, KeyState } from './key.js';
import { isCode, isOrganisation, isPattern, linesOf } from './parse.js';
import { t } from './words.js';

/** Handshake codes: what stands for the licences of an organisation. */
export function CodesScreen() {
  const loaded = useLoad((signal) => collect((list) => licences.projects({ limit: 200, ...list }, signal)), []);
  const items = useLoad((signal) => collect((list) => licences.items({ limit: 200, ...list }, signal)), []);
  const [making, setMaking] = useState(false);
  const [open, setOpen] = useState<string>();
  const projects = loaded.value;
  const chosen = projects?.find((p) => p.handshakeCode === open);
  return (
    <Screen title={t('codes')} up="/licences" class="licences" bar={projects && may('admin') && <Bar id="codes">
      <Button kind="primary" icon="plus" class="primary-place" data-action="make-code" onClick={() => setMaking(true)}>{t('codes.make')}</Button>
    </Bar>}>
      {!projects && loaded.error === undefined && <Skeletons />}
      {!projects && loaded.error !== undefined && <ProblemScreen error={loaded.error} onAgain={loaded.reload} />}
      {projects?.length === 0 && <Empty icon="globe" title={t('codes.empty')}>{t('codes.empty.text')}</Empty>}
      {projects && projects.length > 0 && (
        <ul class="card list">
          {projects.map((p) => (
            <li key={p.handshakeCode}>
              <button type="button" class="row" data-code={p.handshakeCode} onClick={() => setOpen(p.handshakeCode)}>
                <Icon name="globe" />
                <span class="text">
                  <span class="head">{p.handshakeCode}</span>
                  {p.name && <span class="label quiet">{p.name}</span>}
                  <span class="label quiet">{t('codes.row', { origins: p.origins.length, items: p.items.length })}</span>
                </span>
                <Icon name="chevron-right" />
              </button>
            </li>
          ))}
        </ul>
      )}
      {making && <MakeCode items={items.value ?? []} onClose={() => setMaking(false)} onMade={loaded.reload} />}
      {chosen && <CodeSheet key={chosen.handshakeCode} project={chosen} items={items.value ?? []} onClose={() => setOpen(undefined)} onChange={loaded.reload} />}
    </Screen>
  );
}

/** What can be changed of a code. */
interface Terms {
  name: string;
  origins: string;
  some: boolean;
  chosen: string[];
}

const wrongOrigin = (text: string): string | undefined => linesOf(text).find((o) => !isPattern(o));
const edited = ({ name, origins, some, chosen }: Terms) => ({ name: name.trim(), origins: linesOf(origins), items: some ? chosen : [] });

function MakeCode({ items, onClose, onMade }: { items: LicenseItem[]; onClose: () => void; onMade: () => void }) {
  const organisations = [...new Set(items.map((i) => i.key.organisation))].filter(isOrganisation).sort();
  const [organisation, setOrganisation] = useState(organisations[0] ?? '');
  const [code, setCode] = useState('');
  const [terms, setTerms] = useState<Terms>({ name: '', origins: '', some: false, chosen: [] });
  const [made, setMade] = useState<Project>();
  const [working, setWorking] = useState(false);
  const [error, setError] = useState<unknown>();
  const ids = [useId(), useId()] as const;
  const make = async (): Promise<void> => {
    setWorking(true);
    setError(undefined);
    try {
      const { name, ...rest } = edited(terms);
      setMade(await licences.createProject({ organisation, code, ...(name ? { name } : {}), ...rest }));
      onMade();
    } catch (problem) {
      setError(problem);
    }
    setWorking(false);
  };
  if (made) {
    return (
      <Sheet open still onClose={onClose} title={made.handshakeCode} foot={<Button kind="primary" onClick={onClose}>{t('done')}</Button>}>
        <Banner icon="circle-check" tone="ok" title={t('codes.made')} />
        <Secret text={made.handshakeCode} />
      </Sheet>
    );
  }
  const strange = { organisation: organisation !== '' && !isOrganisation(organisation), code: code !== '' && !isCode(code) };
  const good = isOrganisation(organisation) && isCode(code) && !wrongOrigin(terms.origins) && (!terms.some || terms.chosen.length > 0);
  return (
    <Sheet open onClose={onClose} title={t('codes.make')} foot={<Button kind="primary" data-action="save" disabled={working || !good} onClick={() => void make()}>{t('codes.make')}</Button>}>
      <Field label={t('codes.organisation')} hint={t(strange.organisation ? 'codes.malformed.organisation' : 'codes.organisation.hint')} for={ids[0]}>
        <input id={ids[0]} type="text" name="organisation" list="organisations" maxLength={32} autocomplete="off" autoCapitalize="none" spellcheck={false} value={organisation} aria-invalid={strange.organisation} onInput={(event) => setOrganisation(event.currentTarget.value.trim())} />
        <datalist id="organisations">{organisations.map((o) => <option key={o} value={o} />)}</datalist>
      </Field>
      <Field label={t('codes.code')} hint={strange.code ? t('codes.malformed') : t('codes.code.hint', { code: `${organisation || 'CONTOSO'}-${code || 'shop'}` })} for={ids[1]}>
        <input id={ids[1]} type="text" name="code" maxLength={64} autocomplete="off" autoCapitalize="none" spellcheck={false} value={code} aria-invalid={strange.code} onInput={(event) => setCode(event.currentTarget.value.trim())} />
      </Field>
      <TermsFields terms={terms} items={items.filter((i) => i.key.organisation === organisation)} onChange={setTerms} />
      {error !== undefined && <ProblemNote error={error} />}
    </Sheet>
  );
}

/** One code: copy it, change who may use it and what for, delete it. */
function CodeSheet({ project, items, onClose, onChange }: { project: Project; items: LicenseItem[]; onClose: () => void; onChange: () => void }) {
  const code = project.handshakeCode;
  const [terms, setTerms] = useState<Terms>({ name: project.name ?? '', origins: project.origins.join('\n'), some: project.items.length > 0, chosen: project.items });
  const [deleting, setDeleting] = useState(false);
  const [working, setWorking] = useState(false);
  const now = edited(terms);
  const changed = now.name !== (project.name ?? '') || now.origins.join('\n') !== project.origins.join('\n') || [...now.items].sort().join() !== [...project.items].sort().join();
  const save = async (): Promise<void> => {
    setWorking(true);
    if (await act(() => licences.editProject(code, now), t('doc.saved'))) {
      onChange();
      onClose();
    }
    setWorking(false);
  };
  if (deleting) {
    return (
      <Confirm title={t('codes.delete.ask', { code })} label={t('delete')} onClose={() => setDeleting(false)} onYes={async () => {
        if (!(await act(() => licences.deleteProject(code), t('codes.deleted', { code })))) return;
        onChange();
        onClose();
      }}>{t('codes.delete.text')}</Confirm>
    );
  }
  const good = changed && !wrongOrigin(terms.origins) && (!terms.some || terms.chosen.length > 0);
  return (
    <Sheet open onClose={onClose} title={code} foot={may('admin') && <>
      <Button kind="danger-plain" class="first" data-action="delete-code" onClick={() => setDeleting(true)}>{t('delete')}</Button>
      <Button kind="primary" data-action="save" disabled={working || !good} onClick={() => void save()}>{t('save')}</Button>
    </>}>
      <Secret text={code} />
      <TermsFields terms={terms} items={items.filter((i) => i.key.organisation === project.organisation)} onChange={setTerms} />
    </Sheet>
  );
}

function TermsFields({ terms, items, onChange }: { terms: Terms; items: LicenseItem[]; onChange: (terms: Terms) => void }) {
  const ids = [useId(), useId()] as const;
  const wrong = wrongOrigin(terms.origins);
  const fixed = !may('admin');
  return (
    <>
      <Field label={t('codes.name')} hint={t('codes.name.hint')} for={ids[0]}>
        <input id={ids[0]} type="text" name="name" maxLength={80} autocomplete="off" disabled={fixed} value={terms.name} onInput={(event) => onChange({ ...terms, name: event.currentTarget.value })} />
      </Field>
      <Field label={t('codes.origins')} hint={wrong ? undefined : t('codes.origins.hint')} for={ids[1]}>
        <textarea id={ids[1]} name="origins" rows={3} autocomplete="off" autoCapitalize="none" spellcheck={false} disabled={fixed} value={terms.origins} aria-invalid={wrong !== undefined} onInput={(event) => onChange({ ...terms, origins: event.currentTarget.value })} />
        {wrong && <p class="label bad-text" role="alert">{t('codes.origins.wrong', { text: wrong })}</p>}
      </Field>
      {items.length === 0 ? <p class="label quiet">{t('codes.items.none')}</p> : (
        <Segmented label={t('codes.items')} name="items" value={terms.some ? 'some' : 'all'} onChange={(value) => onChange({ ...terms, some: value === 'some' })}
          choices={[{ value: 'all', label: t('codes.items.all') }, { value: 'some', label: t('codes.items.some') }]} />
      )}
      {terms.some && (
        <div class="choices" role="group" aria-label={t('codes.items')}>
          {items.map(({ key, suspended }) => {
            const on = terms.chosen.includes(key.id);
            return (
              <label key={key.id}>
                <input type="checkbox" value={key.id} checked={on} disabled={fixed} onChange={() => onChange({ ...terms, chosen: on ? terms.chosen.filter((id) => id !== key.id) : [...terms.chosen, key.id] })} />
                <span>{holds(key)} <KeyState licence={key} suspended={suspended} /></span>
              </label>
            );
          })}
        </div>
      )}
    </>
  );
}
