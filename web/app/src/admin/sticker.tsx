import { useState } from 'preact/hooks';
import { admin, platen } from '../api.js';
import { act } from '../ui/act.js';
import { Banner, ProblemScreen, Skeletons } from '../ui/bits.js';
import { Button } from '../ui/button.js';
import { Confirm } from '../ui/confirm.js';
import { Bar, Screen } from '../ui/frame.js';
import { QrCode } from '../ui/qr.js';
import { useLoad } from '../ui/use.js';
import { onlyHere } from './offer.js';
import { t } from './words.js';

/** The sheet that is printed and put up at a scanner: whoever scans it has stood there. */
export function StickerScreen({ id }: { id: string }) {
  const loaded = useLoad((signal) => Promise.all([platen.scanner(id, signal), admin.sticker(id, signal)]), [id]);
  const [asking, setAsking] = useState(false);
  const up = `/scanners/${id}`;
  if (!loaded.value) {
    return <Screen title={t('sticker.title')} up={up}>{loaded.error === undefined ? <Skeletons /> : <ProblemScreen error={loaded.error} onAgain={loaded.reload} />}</Screen>;
  }
  const [scanner, sticker] = loaded.value;
  const renew = async (): Promise<void> => {
    await act(async () => loaded.set([scanner, await admin.renewSticker(id)]), t('sticker.renewed'));
  };
  return (
    <Screen title={t('sticker.title')} up={up} class="sticker-screen" bar={<Bar id="sticker">
      <Button icon="refresh-cw" data-action="renew" onClick={() => setAsking(true)}>{t('connect.new')}</Button>
      <Button kind="primary" icon="printer" class="primary-place" data-action="print" onClick={() => print()}>{t('sticker.print')}</Button>
    </Bar>}>
      {onlyHere(location.host) && <Banner icon="info" tone="warn" title={t('sticker.only-here')} />}
      <article class="card padded center sticker">
        <p class="title">{scanner.name}</p>
        {scanner.location && <p>{scanner.location}</p>}
        <QrCode text={location.origin + sticker.path} label={t('sticker.words')} />
        <p class="sticker-words">{t('sticker.words')}</p>
      </article>
      {asking && <Confirm title={t('sticker.renew.ask')} label={t('connect.new')} onYes={renew} onClose={() => setAsking(false)}>{t('sticker.renew.text')}</Confirm>}
    </Screen>
  );
}
