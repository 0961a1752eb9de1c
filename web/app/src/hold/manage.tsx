import type { Scanner } from '@platen/sdk';
import { useId, useState } from 'preact/hooks';
import { admin } from '../api.js';
import { t } from '../i18n/index.js';
import { may } from '../store/session.js';
import { act } from '../ui/act.js';
import { Field, Switch } from '../ui/bits.js';
import { Button, Link } from '../ui/button.js';
import { Icon } from '../ui/icon.js';
import { Sheet } from '../ui/sheet.js';

/** For those who may configure the scanner: name, place, holding of scans, sharing, and the sheet to put up beside it. */
export function ManageSheet({ scanner, onClose, onChange }: { scanner: Scanner; onClose: () => void; onChange: (scanner: Scanner) => void }) {
  const [name, setName] = useState(scanner.name);
  const [place, setPlace] = useState(scanner.location ?? '');
  const [hold, setHold] = useState(scanner.hold ?? false);
  const [shared, setShared] = useState(scanner.shared ?? false);
  const [working, setWorking] = useState(false);
  const ids = [useId(), useId()] as const;
  const edit = {
    ...(name.trim() !== scanner.name ? { name: name.trim() } : {}),
    ...(place.trim() !== (scanner.location ?? '') ? { location: place.trim() } : {}),
    ...(hold !== (scanner.hold ?? false) ? { hold } : {}),
    ...(shared !== (scanner.shared ?? false) ? { shared } : {}),
  };
  const save = async (): Promise<void> => {
    setWorking(true);
    if (await act(async () => onChange(await admin.editScanner(scanner.id, edit)), t('doc.saved'))) onClose();
    setWorking(false);
  };
  return (
    <Sheet open onClose={onClose} title={t('manage.title')} foot={<Button kind="primary" data-action="save" disabled={working || Object.keys(edit).length === 0} onClick={() => void save()}>{t('save')}</Button>}>
      <Field label={t('doc.name')} hint={t('manage.name.hint')} for={ids[0]}>
        <input id={ids[0]} type="text" maxLength={80} value={name} onInput={(event) => setName(event.currentTarget.value)} />
      </Field>
      <Field label={t('manage.place')} hint={t('manage.place.hint')} for={ids[1]}>
        <input id={ids[1]} type="text" maxLength={80} value={place} onInput={(event) => setPlace(event.currentTarget.value)} />
      </Field>
      <Switch label={t('manage.hold')} hint={t('manage.hold.hint')} name="hold" checked={hold} onChange={setHold} />
      <Switch label={t('manage.shared')} hint={t('manage.shared.hint', { node: scanner.nodeName })} name="shared" checked={shared} onChange={setShared} />
      <div class="card list">
        <Link class="row" to={`/scanners/${scanner.id}/sticker`} data-action="sticker"><Icon name="qr-code" /><span class="text head">{t('sticker.title')}</span><Icon name="chevron-right" /></Link>
        {may('admin') && <Link class="row" to={`/permissions?scanner=${scanner.id}`}><Icon name="lock" /><span class="text head">{t('manage.permissions')}</span><Icon name="chevron-right" /></Link>}
      </div>
      <p class="caption quiet">{scanner.id}</p>
    </Sheet>
  );
}
