import { ended, uuid7, type ModuleState } from '@platen/sdk';
import { useEffect, useId, useRef, useState } from 'preact/hooks';
import { platen } from '../api.js';
import { bytes } from '../i18n/index.js';
import { navigate } from '../router.js';
import { learnImporter } from '../store/importers.js';
import { followJob } from '../store/live.js';
import { usable } from '../store/modules.js';
import { behindGateway } from '../store/session.js';
import { Field, ProblemNote, Segmented } from '../ui/bits.js';
import { Button } from '../ui/button.js';
import { Sheet } from '../ui/sheet.js';
import { faultOf, nameOf, told } from './file.js';
import { Missing } from './missing.js';
import { t } from './words.js';

const normal = 200; // dpi
const fine = 300;

interface ImportProps {
  /** Empty at a node itself. */
  node: string;
  module: ModuleState;
  /** Add the pages to this one. */
  document?: string;
  onClose: () => void;
}

/** Pages of a file, as if they had been scanned. */
export function ImportSheet({ node, module, document, onClose }: ImportProps) {
  const [file, setFile] = useState<File>();
  const [resolution, setResolution] = useState(normal);
  const [sending, setSending] = useState(false);
  const [error, setError] = useState<unknown>();
  const intent = useRef({ key: uuid7(), stop: new AbortController() });
  const id = useId();
  useEffect(() => () => intent.current.stop.abort(), []);
  const fault = file && faultOf(file);
  const send = async (): Promise<void> => {
    const { key, stop } = intent.current;
    setSending(true);
    setError(undefined);
    try {
      const job = await platen.importPDF(file!, { key, signal: stop.signal, resolution, ...(behindGateway() ? { node } : {}), ...(document ? { document } : { name: nameOf(file!.name) }) });
      if (stop.signal.aborted) {
        if (!ended(job.state)) await platen.cancelJob(job.id);
        return;
      }
      learnImporter(job.scanner);
      followJob(job.id);
      navigate(`/jobs/${job.id}`, { replace: true });
    } catch (problem) {
      if (stop.signal.aborted) return;
      intent.current.key = uuid7();
      setError(problem);
      setSending(false);
    }
  };
  return (
    <Sheet open onClose={onClose} title={t('module.import')} foot={
      <Button kind="primary" data-action="import" disabled={!usable(module) || sending || !file || fault !== undefined} onClick={() => void send()}>{t(sending ? 'import.sending' : 'import.start')}</Button>
    }>
      <Missing state={module} />
      <p>{t(document ? 'import.into' : 'import.text')}</p>
      <Field label={t('import.file')} hint={fault ? undefined : t('import.file.hint', { size: bytes(told) })} for={id}>
        <input id={id} type="file" name="file" accept="application/pdf,.pdf" disabled={!usable(module) || sending} aria-invalid={fault !== undefined} onChange={(event) => {
          setFile(event.currentTarget.files?.[0]);
          setError(undefined);
          intent.current.key = uuid7();
        }} />
        {fault && <p class="label bad-text" role="alert">{fault === 'too-large' ? t('import.too-large', { size: bytes(file.size), most: bytes(told) }) : t('import.not-pdf')}</p>}
      </Field>
      <Segmented label={t('import.quality')} name="resolution" value={resolution} onChange={setResolution} choices={[
        { value: normal, label: t('import.quality.normal'), hint: t('settings.quality.dpi', { dpi: String(normal) }) },
        { value: fine, label: t('import.quality.fine'), hint: t('settings.quality.dpi', { dpi: String(fine) }) },
      ]} />
      {error !== undefined && <ProblemNote error={error} />}
    </Sheet>
  );
}
