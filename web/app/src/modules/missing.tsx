import type { ModuleState } from '@platen/sdk';
import { missing } from '../store/modules.js';
import { Banner } from '../ui/bits.js';
import { Link } from '../ui/button.js';
import { t } from './words.js';

/** For administrators: what stands in the way of a module, and what to do about it. */
export function Missing({ state }: { state: ModuleState }) {
  const what = missing(state);
  if (what === undefined) return null;
  if (what === 'module.not-installed') {
    return <Banner icon="info" tone="warn" title={t('missing.installed')}>{state.hint && <p>{t('missing.installed.how', { hint: state.hint })}</p>}</Banner>;
  }
  return (
    <Banner icon="info" tone="warn" title={t('missing.licensed')} actions={<Link class="button outlined small" to="/licences">{t('missing.licences')}</Link>}>
      <p>{t('missing.licensed.how')}</p>
    </Banner>
  );
}
