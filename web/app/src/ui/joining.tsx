import { t } from '../i18n/index.js';
import { navigate } from '../router.js';
import { useNodes } from '../store/nodes.js';
import { Banner } from './bits.js';
import { Button } from './button.js';

/** For a gateway's administrators, on screens about other things: somebody is waiting for them. */
export function Joining() {
  const { nodes } = useNodes();
  const count = nodes?.filter((n) => n.state === 'waiting').length ?? 0;
  if (count === 0) return null;
  return (
    <div role="status" data-joining={count}>
      <Banner icon="server" title={t('joining', { count })} actions={<Button class="small" data-action="joining" onClick={() => navigate('/nodes')}>{t('joining.look')}</Button>} />
    </div>
  );
}
