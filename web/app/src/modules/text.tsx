import type { ModuleState } from '@platen/sdk';
import { useEffect, useId, useRef, useState } from 'preact/hooks';
import { platen } from '../api.js';
import type { OpenDocument } from '../document/use.js';
import { locale } from '../i18n/index.js';
import { useSealOf } from '../screens/file.js';
import { saveBlob } from '../screens/save.js';
import { device } from '../store/memory.js';
import { usable } from '../store/modules.js';
import { Banner, ProblemNote } from '../ui/bits.js';
import { Button } from '../ui/button.js';
import { Sheet } from '../ui/sheet.js';
import { showToast } from '../ui/toast.js';
import { firstChoice, languageNames, most } from './languages.js';
import { Missing } from './missing.js';
import { t } from './words.js';

const remembered = 'text-languages';

type Now =
  | { state: 'idle' }
  /** `n`: the page that is read; 0: all at once. */
  | { state: 'reading'; n: number }
  | { state: 'text'; text: string }
  | { state: 'saved'; file: Blob; name: string }
  | { state: 'failed'; error: unknown };

/** The text of a document: as a PDF that can be searched, or to copy. */
export function TextSheet({ doc, module, onClose }: { doc: OpenDocument; module: ModuleState; onClose: () => void }) {
  const { document, unsaved } = doc.state!;
  const codes = module.languages ?? [];
  const [chosen, choose] = useState(() => firstChoice(codes, device.read<string>(remembered), locale()));
  const [now, set] = useState<Now>({ state: 'idle' });
  const stop = useRef(new AbortController());
  const seal = useSealOf(doc);
  useEffect(() => () => stop.current.abort(), []);

  const ocr = chosen.join('+');
  const count = document.pages.length;
  const run = async (finish: (signal: AbortSignal) => Promise<Now>): Promise<void> => {
    device.write(remembered, ocr);
    const { signal } = stop.current;
    set({ state: 'reading', n: 0 });
    try {
      await doc.editor!.settled;
      // Page by page, so that one sees it go on; what was read is kept there. Sealed text comes only with the document.
      if (seal === 'none') {
        for (const [i, page] of document.pages.entries()) {
          set({ state: 'reading', n: i + 1 });
          await platen.pageText(page.job, page.n, { language: ocr, signal });
        }
      }
      const done = await finish(signal);
      if (!signal.aborted) set(done);
    } catch (error) {
      if (!signal.aborted) set({ state: 'failed', error });
    }
  };
  const pdf = (): Promise<void> => run(async (signal) => {
    const file = await (await platen.documentContent(document.id, { format: 'pdf', ocr }, signal)).blob();
    const name = `${document.name}.pdf`;
    if (!signal.aborted) saveBlob(file, name);
    return { state: 'saved', file, name };
  });
  const text = (): Promise<void> => run(async (signal) => ({ state: 'text', text: await (await platen.documentContent(document.id, { format: 'txt', ocr }, signal)).text() }));

  const ready = usable(module) && chosen.length > 0 && !unsaved && seal !== undefined && seal !== 'other' && count > 0;
  const working = now.state === 'reading';
  return (
    <Sheet open still={working} onClose={onClose} title={t('module.text')} foot={now.state !== 'text' && <>
      <Button class="first" data-action="show-text" disabled={!ready || working} onClick={() => void text()}>{t('text.copy')}</Button>
      <Button kind="primary" data-action="text-pdf" disabled={!ready || working} onClick={() => void pdf()}>{t('text.pdf')}</Button>
    </>}>
      <Missing state={module} />
      {seal === 'other' && <Banner icon="lock" tone="warn" title={t('text.other')} />}
      {now.state === 'text' ? <Found text={now.text} /> : usable(module) && <Languages codes={codes} chosen={chosen} disabled={working} onChange={choose} />}
      <div role="status" aria-live="polite">
        {working && <>
          <p data-reading={now.n}>{now.n > 0 ? t('text.reading', { n: now.n, count }) : t('text.reading.all', { pages: t('pages', { count }) })}</p>
          {now.n > 0 && <progress class="wide" max={count} value={now.n - 1} aria-label={t('text.reading', { n: now.n, count })} />}
          <p class="label quiet">{t('text.long')}</p>
        </>}
        {now.state === 'saved' && (
          <Banner icon="circle-check" tone="ok" title={t('text.saved', { name: now.name })} actions={<Button class="small" onClick={() => saveBlob(now.file, now.name)}>{t('text.save-again')}</Button>} />
        )}
      </div>
      {now.state === 'failed' && <ProblemNote error={now.error} />}
    </Sheet>
  );
}

function Languages({ codes, chosen, disabled, onChange }: { codes: string[]; chosen: string[]; disabled: boolean; onChange: (chosen: string[]) => void }) {
  const names = languageNames(codes, locale());
  if (names.length < 2) return null;
  return (
    <fieldset class="choices" data-setting="languages">
      <legend>{t('text.languages')}</legend>
      <p class="label quiet">{t('text.languages.hint')}</p>
      {names.map(({ code, name }) => {
        const on = chosen.includes(code);
        return (
          <label key={code}>
            <input type="checkbox" value={code} checked={on} disabled={disabled || (!on && chosen.length >= most)} onChange={() => onChange(on ? chosen.filter((c) => c !== code) : [...chosen, code])} />
            <span>{name}</span>
          </label>
        );
      })}
    </fieldset>
  );
}

function Found({ text }: { text: string }) {
  const id = useId();
  const field = useRef<HTMLTextAreaElement>(null);
  if (!text.trim()) return <Banner icon="info" title={t('text.none')} />;
  const copy = async (): Promise<void> => {
    try {
      await navigator.clipboard.writeText(text);
      showToast(t('copied'));
    } catch {
      field.current?.select(); // then its user copies it
    }
  };
  return (
    <div class="field">
      <label for={id}>{t('text.text')}</label>
      <textarea ref={field} id={id} rows={12} readOnly value={text} />
      <div class="actions"><Button icon="copy" data-action="copy-text" onClick={() => void copy()}>{t('text.copy-all')}</Button></div>
    </div>
  );
}
