import type { AllowedOrigin } from '@platen/sdk';
import { useId, useState } from 'preact/hooks';
import { admin } from '../api.js';
import { date } from '../i18n/index.js';
import { act } from '../ui/act.js';
import { Banner, Chip, Empty, Field, ProblemScreen, Skeletons } from '../ui/bits.js';
import { Button } from '../ui/button.js';
import { Confirm } from '../ui/confirm.js';
import { Bar, Screen } from '../ui/frame.js';
import { Icon } from '../ui/icon.js';
import { Sheet } from '../ui/sheet.js';
import { useLoad } from '../ui/use.js';
import { Origin, WhatItMay } from './allow.js';
import { judgeOrigin } from './origin.js';
import { t } from './words.js';

/** Web pages of others that may scan here, and where each permission comes from. */
export function OriginsScreen() {
  const loaded = useLoad((signal) => admin.origins(signal), []);
  const [allowing, setAllowing] = useState(false);
  const [withdrawing, setWithdrawing] = useState<AllowedOrigin>();
  const origins = loaded.value?.items;
  return (
    <Screen title={t('origins.title')} up="/admin" bar={origins && <Bar id="origins">
      <Button kind="primary" icon="plus" class="primary-place" data-action="allow-origin" onClick={() => setAllowing(true)}>{t('origins.allow')}</Button>
    </Bar>}>
      {!origins && loaded.error === undefined && <Skeletons />}
      {!origins && loaded.error !== undefined && <ProblemScreen error={loaded.error} onAgain={loaded.reload} />}
      {origins?.some((o) => o.origin === '*') && <Banner icon="triangle-alert" tone="bad" title={t('origins.any')}><p>{t('origins.any.text')}</p></Banner>}
      {origins?.length === 0 && <Empty icon="globe" title={t('origins.empty')}>{t('origins.empty.text')}</Empty>}
      {origins && origins.length > 0 && (
        <ul class="card list">
          {origins.map((o) => (
            <li class="row" key={o.id ?? o.origin} data-origin={o.origin}>
              <Icon name="globe" />
              <span class="text">
                {o.origin === '*' ? <Chip icon="triangle-alert" tone="bad">{t('origins.any.row')}</Chip> : <span class="head"><Origin text={o.origin} /></span>}
                <span class="label quiet">{o.source === 'person' ? [o.by && o.by !== 'loopback' ? t('origins.source.person', { name: o.by }) : t('origins.source.here'), o.created && date(o.created)].filter(Boolean).join(', ') : t(`origins.source.${o.source}`)}</span>
              </span>
              {o.source === 'person' && o.id && <Button kind="danger-plain" class="small" data-action="withdraw" onClick={() => setWithdrawing(o)}>{t('origins.withdraw')}</Button>}
            </li>
          ))}
        </ul>
      )}
      {allowing && <AllowOrigin onClose={() => setAllowing(false)} onAllowed={loaded.reload} />}
      {withdrawing && (
        <Confirm title={t('origins.withdraw.ask')} label={t('origins.withdraw')} onClose={() => setWithdrawing(undefined)} onYes={async () => {
          if (await act(() => admin.withdrawOrigin(withdrawing.id!), t('origins.withdrawn', { origin: withdrawing.origin }))) loaded.reload();
        }}>{t('origins.withdraw.text', { origin: withdrawing.origin })}</Confirm>
      )}
    </Screen>
  );
}

function AllowOrigin({ onClose, onAllowed }: { onClose: () => void; onAllowed: () => void }) {
  const [text, setText] = useState('');
  const [working, setWorking] = useState(false);
  const id = useId();
  const origin = text.trim().replace(/\/$/, '');
  const judged = judgeOrigin(origin);
  const allow = async (): Promise<void> => {
    setWorking(true);
    if (await act(() => admin.allowOrigin(origin))) {
      onAllowed();
      onClose();
    }
    setWorking(false);
  };
  const wrong = origin.length > 8 && judged.verdict !== 'good';
  return (
    <Sheet open onClose={onClose} title={t('origins.allow')} foot={<Button kind="primary" data-action="save" disabled={working || judged.verdict !== 'good'} onClick={() => void allow()}>{t('allow.allow')}</Button>}>
      <Field label={t('origins.address')} hint={wrong ? undefined : t('origins.address.hint')} for={id}>
        <input id={id} type="url" autocomplete="off" autoCapitalize="none" spellcheck={false} maxLength={300} placeholder="https://shop.example" value={text} aria-invalid={wrong} onInput={(event) => setText(event.currentTarget.value)} />
        {wrong && <p class="label bad-text" role="alert">{t(judged.verdict === 'own' ? 'origins.own' : 'origins.malformed')}</p>}
      </Field>
      {judged.plain && <Banner icon="triangle-alert" tone="warn" title={t('origins.plain')} />}
      <WhatItMay />
    </Sheet>
  );
}
