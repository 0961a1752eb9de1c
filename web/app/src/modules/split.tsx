import type { BarcodeFormat, Document, ModuleState, SplitRequest } from '@platen/sdk';
import { useId, useState } from 'preact/hooks';
import { platen } from '../api.js';
import type { OpenDocument } from '../document/use.js';
import { usable } from '../store/modules.js';
import { Banner, Field, ProblemNote, Segmented, Switch } from '../ui/bits.js';
import { Button, Link } from '../ui/button.js';
import { Icon } from '../ui/icon.js';
import { Sheet } from '../ui/sheet.js';
import { Missing } from './missing.js';
import { t } from './words.js';

/** Names as they stand on the packages of those who make them. */
const kinds: [format: BarcodeFormat, name: string][] = [
  ['qr', 'QR'], ['data-matrix', 'Data Matrix'], ['aztec', 'Aztec'], ['code128', 'Code 128'], ['code39', 'Code 39'], ['code93', 'Code 93'],
  ['ean13', 'EAN-13'], ['ean8', 'EAN-8'], ['upca', 'UPC-A'], ['upce', 'UPC-E'], ['itf', 'ITF'], ['codabar', 'Codabar'],
];

/** One stack becomes several documents. */
export function SplitSheet({ doc, module, onClose }: { doc: OpenDocument; module: ModuleState; onClose: () => void }) {
  const { document, unsaved } = doc.state!;
  const [format, setFormat] = useState<BarcodeFormat | ''>('');
  const [match, setMatch] = useState('');
  const [keep, setKeep] = useState(false);
  const [name, setName] = useState<NonNullable<SplitRequest['name']>>('number');
  const [working, setWorking] = useState(false);
  const [error, setError] = useState<unknown>();
  const [made, setMade] = useState<Document[]>();
  const ids = [useId(), useId()] as const;
  const split = async (): Promise<void> => {
    setWorking(true);
    setError(undefined);
    try {
      await doc.editor!.settled;
      const documents = await platen.splitDocument(document.id, { ...(format ? { format } : {}), ...(match.trim() ? { match: match.trim() } : {}), separator: keep ? 'keep' : 'drop', name });
      setMade(documents);
      doc.reload();
    } catch (problem) {
      setError(problem);
    }
    setWorking(false);
  };
  if (made && made.length > 1) return <Made documents={made} onClose={onClose} />;
  return (
    <Sheet open onClose={onClose} title={t('module.split')} foot={
      <Button kind="primary" data-action="split" disabled={!usable(module) || working || unsaved || document.pages.length === 0} onClick={() => void split()}>{t(working ? 'split.working' : 'split.start')}</Button>
    }>
      <Missing state={module} />
      <p>{t('split.text')}</p>
      <div role="status" aria-live="polite">{made && <Banner icon="info" title={t('split.none')} />}</div>
      {error !== undefined && <ProblemNote error={error} />}
      <Field label={t('split.kind')} for={ids[0]}>
        <select id={ids[0]} name="format" value={format} onChange={(event) => setFormat(event.currentTarget.value as BarcodeFormat | '')}>
          <option value="">{t('split.kind.any')}</option>
          {kinds.map(([value, label]) => <option key={value} value={value}>{label}</option>)}
        </select>
      </Field>
      <Switch label={t('split.keep')} hint={t('split.keep.hint')} name="keep" checked={keep} onChange={setKeep} />
      <Segmented label={t('split.name')} name="name" value={name} choices={[{ value: 'number', label: t('split.name.number') }, { value: 'barcode', label: t('split.name.barcode') }]} onChange={setName} />
      <details class="more">
        <summary>{t('split.more')}<Icon name="chevron-right" size={20} /></summary>
        <div>
          <Field label={t('split.match')} hint={t('split.match.hint')} for={ids[1]}>
            <input id={ids[1]} type="text" name="match" maxLength={200} autocomplete="off" autoCapitalize="none" spellcheck={false} value={match} onInput={(event) => setMatch(event.currentTarget.value)} />
          </Field>
        </div>
      </details>
    </Sheet>
  );
}

function Made({ documents, onClose }: { documents: Document[]; onClose: () => void }) {
  return (
    <Sheet open rows onClose={onClose} title={t('split.done', { count: documents.length })} foot={<Button kind="primary" onClick={onClose}>{t('done')}</Button>}>
      {documents.map((d) => (
        <Link key={d.id} class="row" to={`/documents/${d.id}`} data-document={d.id}>
          <Icon name="file-text" />
          <span class="text">
            <span class="head middle-cut">{d.name}</span>
            <span class="label quiet numbers">{t('pages', { count: d.pages.length })}</span>
          </span>
          <Icon name="chevron-right" />
        </Link>
      ))}
    </Sheet>
  );
}
