import { collect, type Node, type Scanner } from '@platen/sdk';
import { useState } from 'preact/hooks';
import { admin, platen } from '../api.js';
import { act } from '../ui/act.js';
import { useAfter } from '../ui/bits.js';
import { Button } from '../ui/button.js';
import { Icon } from '../ui/icon.js';
import { useLoad } from '../ui/use.js';
import { t } from './words.js';

/** Rows move up when one above them goes: a second tap that was meant for that one allows nothing. Milliseconds. */
const settling = 600;

/** How many scanners a node asks to show. */
export function asksToShow({ state, wants = [] }: Node): number {
  return state === 'revoked' ? 0 : wants.length;
}

/** Scanners of other nodes that a node shows to the computers around it, and those that it asks for. */
export function Presents({ node, onChange }: { node: Node; onChange: (node: Node) => void }) {
  const presents = node.presents ?? [];
  const wants = (node.wants ?? []).filter((id) => !presents.includes(id));
  const any = presents.length + wants.length > 0;
  const loaded = useLoad<Scanner[]>((signal) => (any ? collect((list) => platen.scanners({ limit: 200, ...list }, signal)) : Promise.resolve([])), ['', any, wants.join()]);
  const [working, setWorking] = useState(false);
  const settled = useAfter(settling, [...presents, '', ...wants].join());
  if (!any || (!loaded.value && loaded.error === undefined)) return null;
  const put = async (to: string[], done: string): Promise<void> => {
    setWorking(true);
    await act(async () => onChange(await admin.editNode(node.id, { presents: to })), done);
    setWorking(false);
  };
  const row = (id: string, asks: boolean) => {
    const scanner = loaded.value?.find((s) => s.id === id);
    const name = scanner?.name ?? t('presents.unknown', { id: id.slice(-6) });
    const said = { node: node.name, scanner: name };
    return (
      <li class="row" key={id} {...{ [asks ? 'data-wants' : 'data-presents']: id }}>
        <Icon name="scanner" />
        <span class="text">
          <span class="head">{asks ? t('presents.asks', { scanner: name }) : name}</span>
          <span class="label quiet">{scanner ? [...new Set([scanner.location, scanner.nodeName])].filter(Boolean).join(' · ') : loaded.value && t('presents.unknown.text')}</span>
        </span>
        {asks ? <Button class="small" data-action="allow-present" disabled={working || !settled} onClick={() => void put([...presents, id], t('presents.allowed', said))}>{t('allow.allow')}</Button>
          : <Button kind="danger-plain" class="small" data-action="remove-present" disabled={working || !settled} onClick={() => void put(presents.filter((p) => p !== id), t('presents.removed', said))}>{t('remove')}</Button>}
      </li>
    );
  };
  return (
    <section class="presents" aria-labelledby="presents">
      <h3 id="presents">{t('presents.title')}</h3>
      <p class="label quiet">{t('presents.text')}</p>
      <ul class="card list">
        {wants.map((id) => row(id, true))}
        {presents.map((id) => row(id, false))}
      </ul>
    </section>
  );
}
