import { t } from '../i18n/index.js';
import { keyOf } from '../document/edits.js';
import { ratioOf, type OpenDocument } from '../document/use.js';
import { Button } from '../ui/button.js';
import { PageImage } from '../ui/page-image.js';
import { Sheet } from '../ui/sheet.js';

/** What was taken out and can be put back. */
export function RemovedSheet({ open, onClose, doc }: { open: boolean; onClose: () => void; doc: OpenDocument }) {
  const { removed } = doc.state!;
  return (
    <Sheet open={open} onClose={onClose} title={t('doc.removed-pages', { count: removed.length })}>
      <p class="label quiet">{t('doc.removed-pages.hint')}</p>
      <ul class="grid">
        {removed.map((entry) => (
          <li key={keyOf(entry.page)} class="tile">
            <span class="stage"><PageImage page={{ job: entry.page.job, n: entry.page.n, width: 240 }} alt={t('doc.page', { n: entry.page.n })} ratio={ratioOf(doc.pages.get(keyOf(entry.page)))} rotate={entry.page.rotate} /></span>
            <Button class="small" onClick={() => doc.editor!.edit({ kind: 'insert', pages: [entry] })}>{t('doc.put-back')}</Button>
          </li>
        ))}
      </ul>
    </Sheet>
  );
}
