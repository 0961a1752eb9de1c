import { type Document, type Job, type Settings, type SourceCapabilities } from '@platen/sdk';
import { platen } from '../api.js';
import { t } from '../i18n/index.js';
import { lastScan } from '../scan/remember.js';
import { adjust } from '../scan/settings.js';
import { ProblemNote, Skeletons } from '../ui/bits.js';
import { Button } from '../ui/button.js';
import { MenuRow } from '../ui/menu.js';
import { Sheet } from '../ui/sheet.js';
import { useLoad } from '../ui/use.js';
import { navigate } from '../router.js';
import { useEffect, useState } from 'preact/hooks';
import { noScanner, useImport } from '../store/importers.js';
import { usable, useModules } from '../store/modules.js';
import { ImportSheet } from './import.js';
import { repeatLast } from './again.js';

/** The job that made the document's last page: its scanner and settings are those for more pages. */
export function useLastJob(document: Document) {
  const last = document.pages.at(-1)?.job;
  return useLoad<Job | undefined>((signal) => (last ? platen.job(last, signal) : Promise.resolve(undefined)), [last]);
}

/** After a page from the glass the next one is one tap away; else the choice of what to add. */
export function NextGlass({ document, onAdd }: { document: Document; onAdd: () => void }) {
  const { value: job } = useLastJob(document);
  if (job?.settings.source === 'platen') {
    return <>
      <Button icon="plus" data-action="next-glass" onClick={() => void repeatLast(job.scanner, { ...job.settings, pages: 1 }, document.id)}>{t('doc.next-glass')}</Button>
    </>;
  }
  return <Button icon="plus" data-action="add" onClick={onAdd}>{t('doc.add')}</Button>;
}

export function AddSheet({ open, onClose, document }: { open: boolean; onClose: () => void; document: Document }) {
  return open ? <OpenAdd onClose={onClose} document={document} /> : null;
}

function OpenAdd({ onClose, document }: { onClose: () => void; document: Document }) {
  const { value: job, error } = useLastJob(document);
  const remembered = lastScan();
  const imports = useImport(job?.scanner);
  const scanner = (!imports && job?.scanner) || (remembered?.scanner.slice(0, 16) === document.id.slice(0, 16) ? remembered.scanner : undefined);
  const capabilities = useLoad((signal) => (scanner ? platen.capabilities(scanner, signal) : Promise.resolve(undefined)), [scanner]);
  useEffect(() => noScanner(scanner ?? '', capabilities.error), [capabilities.error]);
  const base: Settings = (!imports && job?.settings) || remembered?.settings || {};
  const sources: SourceCapabilities[] = capabilities.value?.sources ?? [];
  const start = (source: 'platen' | 'adf' | 'adf-duplex') => (): void => {
    const { settings } = adjust(capabilities.value!, { ...base, source, pages: source === 'platen' ? 1 : 0 });
    navigate(location.pathname, { replace: true });
    void repeatLast(scanner!, settings, document.id);
  };
  const pdf = useModules(document.node).get('pdf-rasterizer');
  const [importing, setImporting] = useState(false);
  if (importing && pdf) return <ImportSheet node={document.node} module={pdf} document={document.id} onClose={onClose} />;
  const has = (s: string): boolean => sources.some((x) => x.source === s);
  return (
    <Sheet open onClose={onClose} title={t('doc.add.title')} rows>
      {has('platen') && <MenuRow icon="next-sheet" label={t('doc.add.glass')} onClick={start('platen')} />}
      {has('adf') && <MenuRow icon="feeder" label={t('doc.add.feeder')} onClick={start('adf')} />}
      {has('adf-duplex') && <MenuRow icon="both-sides" label={t('doc.add.feeder-both')} onClick={start('adf-duplex')} />}
      {usable(pdf) && <MenuRow icon="file-text" label={t('live.import')} onClick={() => setImporting(true)} />}
      {!capabilities.value && !capabilities.error && !error && <Skeletons />}
      {(error ?? capabilities.error) !== undefined && <div style={{ padding: '8px 16px' }}><ProblemNote error={error ?? capabilities.error} /></div>}
    </Sheet>
  );
}
