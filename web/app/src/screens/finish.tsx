import { ConnectionError, type Page } from '@platen/sdk';
import { useId, useRef, useState } from 'preact/hooks';
import { platen } from '../api.js';
import { bytes, moment, t } from '../i18n/index.js';
import { keyOf } from '../document/edits.js';
import type { OpenDocument } from '../document/use.js';
import { navigate } from '../router.js';
import { device } from '../store/memory.js';
import { Banner, ProblemNote, Segmented } from '../ui/bits.js';
import { Button } from '../ui/button.js';
import { Sheet } from '../ui/sheet.js';
import { showToast } from '../ui/toast.js';
import { newScan } from './again.js';
import { address, usePrepared, useSealOf, type FileFormat as Format } from './file.js';
import { fileName, saveBlob, saveURL } from './save.js';

const endings: Record<Format, string> = { pdf: 'pdf', tiff: 'tiff', zip: 'zip', jpeg: 'jpg', png: 'png' };
const types: Record<Format, string> = { pdf: 'application/pdf', tiff: 'image/tiff', zip: 'application/zip', jpeg: 'image/jpeg', png: 'image/png' };

export function FinishSheet({ open, onClose, doc }: { open: boolean; onClose: () => void; doc: OpenDocument }) {
  return open ? <OpenFinish onClose={onClose} doc={doc} /> : null;
}

function OpenFinish({ onClose, doc }: { onClose: () => void; doc: OpenDocument }) {
  const { document, unsaved } = doc.state!;
  const single = document.pages.length === 1;
  const formats: Format[] = single ? ['pdf', 'jpeg', 'png'] : ['pdf', 'zip', 'tiff'];
  const [format, setFormat] = useState<Format>(() => {
    const last = device.read<Format>('format');
    return last && formats.includes(last) ? last : 'pdf';
  });
  const [name, setName] = useState(document.name);
  const [done, setDone] = useState<'saved' | 'shared'>();
  const [told, setTold] = useState(true); // the service knows that the bytes are here, and so until when it keeps them
  const [again, setAgain] = useState(false);
  const field = useId();
  const seal = useSealOf(doc);
  const file = usePrepared(doc, format, seal, unsaved ? undefined : `${document.revision}`);
  const shareable = useShareable(file.blob, format);
  const phone = matchMedia('(pointer: coarse)').matches;
  const full = `${name.trim() || document.name}.${endings[format]}`;

  const rename = (): void => {
    const clean = name.trim();
    if (clean && clean !== document.name) doc.editor!.rename(clean);
  };
  const arrived = (): void => {
    setTold(false);
    void acknowledge(doc).finally(() => setTold(true));
  };
  const save = (): void => {
    // A home-screen app on iOS has no downloads: the share sheet saves there.
    if (shareable && (navigator as { standalone?: boolean }).standalone) {
      void share();
      return;
    }
    rename();
    if (file.blob) {
      saveBlob(file.blob, full);
      arrived();
    } else {
      const url = address(doc, format);
      saveURL(`${url}${url.includes('?') ? '&' : '?'}download=true`, full);
    }
    setDone('saved');
  };
  const share = async (): Promise<void> => {
    if (!file.blob) return;
    rename();
    try {
      // Files only: other members break the share sheet of iOS.
      await navigator.share({ files: [new File([file.blob], fileName(full), { type: types[format] })] });
      arrived();
      setDone('shared');
    } catch (error) {
      const { name: kind } = error as Error;
      if (kind === 'NotAllowedError') setAgain(true);
      else if (kind !== 'AbortError') showToast(t('finish.failed'));
    }
  };

  if (done) return <After done={done} told={told} doc={doc} onClose={onClose} />;
  const shareFirst = phone && shareable;
  const ready = file.blob !== undefined || file.tooLarge;
  const size = file.blob ? bytes(file.blob.size) : estimate(doc);
  const words = { format: t(`finish.${format}`), pages: t('pages', { count: document.pages.length }), size: size ?? '' };
  const saveButton = (
    <Button kind={shareFirst ? 'outlined' : 'primary'} class={shareFirst ? 'first' : ''} icon="download" data-action="save" disabled={!ready} onClick={save}>
      {ready || shareFirst || seal === 'other' ? t('finish.save') : t('finish.preparing')}
    </Button>
  );
  return (
    <Sheet
      open
      onClose={() => {
        rename();
        onClose();
      }}
      title={t('finish.title')}
      foot={shareFirst ? <>{saveButton}<Button kind="primary" icon="share-2" data-action="share" onClick={() => void share()}>{t('finish.share')}</Button></>
        : <>{shareable && <Button class="first" icon="share-2" data-action="share" onClick={() => void share()}>{t('finish.share')}</Button>}{saveButton}</>}
    >
      <div class="field">
        <label for={field}>{t('finish.name')}</label>
        <input id={field} type="text" maxLength={200} value={name} onFocus={(event) => event.currentTarget.select()} onBlur={rename}
          onInput={(event) => setName((event.currentTarget.value = event.currentTarget.value.replace(/[<>:"/\\|?*]/g, '-')))} />
      </div>
      <Segmented<Format> name="format" label={t('finish.format')} value={format} choices={formats.map((f) => ({ value: f, label: t(`finish.${f}`) }))}
        onChange={(f) => {
          setFormat(f);
          setAgain(false);
          device.write('format', f);
        }} />
      <p class="label quiet" role="status" data-ready={ready} data-seal={seal}>
        {seal === 'other' ? t('sealed.save') : file.error instanceof ConnectionError ? t('finish.connection') : again ? t('finish.share-again') : !file.blob && file.bytes > 0 ? t('finish.preparing.size', { size: bytes(file.bytes) }) : size ? t(file.blob ? 'finish.size' : 'finish.size.about', words) : t('finish.preparing')}
      </p>
      {file.error !== undefined && !(file.error instanceof ConnectionError) && <ProblemNote error={file.error} actions={<Button class="small" onClick={file.again}>{t('again')}</Button>} />}
    </Sheet>
  );
}

function After({ done, told, doc, onClose }: { done: 'saved' | 'shared'; told: boolean; doc: OpenDocument; onClose: () => void }) {
  const { document } = doc.state!;
  const erase = async (): Promise<void> => {
    try {
      await doc.editor!.settled;
      await platen.deleteDocument(document.id);
      showToast(t('doc.deleted', { name: document.name }));
      navigate('/', { replace: true });
    } catch {
      showToast(t('error.title'));
    }
  };
  return (
    <Sheet
      open
      onClose={onClose}
      title={t(`finish.${done}`)}
      foot={<>
        <Button kind="danger-plain" class="first" onClick={() => void erase()}>{t('finish.delete-now')}</Button>
        <Button kind="primary" data-action="new-scan" onClick={() => {
          navigate(location.pathname, { replace: true });
          newScan();
        }}>{t('finish.new')}</Button>
      </>}
    >
      <Banner icon="circle-check" tone="ok" title={document.name}>
        <p>{told && document.expires ? t('finish.kept-until', { time: moment(document.expires) }) : '\u00a0'}</p>
      </Banner>
      <Button kind="plain" onClick={onClose}>{t('finish.open')}</Button>
    </Sheet>
  );
}

function useShareable(blob: Blob | undefined, format: Format): boolean {
  const known = useRef(false);
  if (!blob || !navigator.canShare) return known.current && blob !== undefined;
  try {
    known.current = navigator.canShare({ files: [new File([blob.slice(0, 1)], `scan.${endings[format]}`, { type: types[format] })] });
  } catch {
    known.current = false;
  }
  return known.current;
}

/** What the pages weigh, until the file itself is here. */
function estimate(doc: OpenDocument): string | undefined {
  const known = doc.state!.document.pages.map((p) => doc.pages.get(keyOf(p)));
  if (known.length === 0 || known.some((p) => p === undefined)) return undefined;
  return bytes(known.reduce((sum, p) => sum + (p as Page).bytes, 0));
}

/** The bytes are here: the node may free the pages when nothing else refers to them. It says anew until when it keeps them. */
async function acknowledge(doc: OpenDocument): Promise<void> {
  const { id, pages } = doc.state!.document;
  try {
    for (const { job, n } of pages) {
      const page = doc.pages.get(`${job}/${n}`);
      if (page?.digest) await platen.ackPage(job, n, page.digest);
    }
    await doc.editor!.settled;
    doc.editor!.accept(await platen.document(id));
  } catch {
    // nothing is lost: it is kept longer
  }
}
