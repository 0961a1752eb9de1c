import { t } from '../i18n/index.js';
import { useSeal } from '../store/origins.js';
import { Icon } from './icon.js';

/** Says with a lock who alone can open the pages of these jobs; nothing where everybody who may see them can. */
export function SealedLine({ jobs, short }: { jobs: readonly string[]; short?: boolean }) {
  const seal = useSeal(jobs);
  if (seal !== 'own' && seal !== 'other') return null;
  return (
    <span class={`sealed ${short ? 'caption' : 'label'} quiet`} data-seal={seal}>
      <Icon name="lock" size={16} />
      <span>{t(short ? `sealed.${seal}.short` : `sealed.${seal}`)}</span>
    </span>
  );
}
