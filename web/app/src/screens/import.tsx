import { t } from '../i18n/index.js';
import { useSheet } from '../router.js';
import { missing, offered, useModules } from '../store/modules.js';
import { Icon } from '../ui/icon.js';
import { lazy } from '../ui/lazy.js';

export const ImportSheet = lazy(() => import('../modules/index.js').then((m) => m.ImportSheet), true);

/** The way to pages of a PDF, where a scanner computer makes them. Without a node: at the service itself. */
export function ImportRow({ node = '' }: { node?: string }) {
  const sheet = useSheet('import');
  const module = useModules(node).get('pdf-rasterizer');
  if (!module) return <div class="row" aria-hidden="true" />; // its place, so that nothing jumps under a finger
  if (!offered(module)) return null;
  const lack = missing(module);
  return (
    <>
      <button type="button" class="card row" data-action="import-pdf" onClick={sheet.show}>
        <Icon name="file-text" />
        <span class="text">
          <span class="head">{t('module.import')}</span>
          {lack && <span class="label quiet">{t(lack)}</span>}
        </span>
        <Icon name="chevron-right" />
      </button>
      {sheet.open && <ImportSheet node={node} module={module} onClose={sheet.hide} />}
    </>
  );
}
