import { useEffect, useState } from 'preact/hooks';
import { platen } from '../api.js';
import { prepareRoad, useRoad } from '../store/roads.js';
import { Button } from '../ui/button.js';
import { Icon } from '../ui/icon.js';
import { Sheet } from '../ui/sheet.js';
import { t } from './words.js';

/** How pages come from a scanner computer, and what can be done for a shorter way. */
export function RoadLine({ node, name }: { node: string; name: string }) {
  const state = useRoad(node);
  const [asking, setAsking] = useState(false);
  useEffect(() => prepareRoad(node), [node]);
  if (!state) return null;
  const { road, direct } = state;
  const open = road !== 'relay';
  return (
    <div class="road" data-road={road} data-direct={direct}>
      <p role="status">
        <Icon name={open ? 'zap' : direct === 'unverified' ? 'triangle-alert' : 'server'} size={16} />
        <span>{open ? t('road.direct', { node: name }) : direct === 'unverified' ? t('road.unverified', { node: name }) : t('road.gateway')}</span>
      </p>
      {direct === 'permission-denied' && <p class="caption">{t('road.denied', { node: name })}</p>}
      {direct === 'permission-needed' && <Button kind="plain" class="small" data-action="connect-directly" onClick={() => setAsking(true)}>{t('road.connect')}</Button>}
      <Sheet
        open={asking && direct === 'permission-needed'}
        onClose={() => setAsking(false)}
        title={t('road.connect')}
        foot={<>
          <Button class="first" onClick={() => setAsking(false)}>{t('road.not-now')}</Button>
          <Button kind="primary" data-action="ask-directly" onClick={() => {
            platen.roads?.ask();
            setAsking(false);
          }}>{t('road.connect')}</Button>
        </>}
      >
        <p>{t('road.ask', { node: name })}</p>
        <p class="label quiet">{t('road.ask.else')}</p>
      </Sheet>
    </div>
  );
}
