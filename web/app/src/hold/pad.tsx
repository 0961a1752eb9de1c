import { useState } from 'preact/hooks';
import { platen } from '../api.js';
import { t } from '../i18n/index.js';
import { ProblemNote } from '../ui/bits.js';
import { Button } from '../ui/button.js';
import { Icon } from '../ui/icon.js';
import { Sheet } from '../ui/sheet.js';
import { showToast } from '../ui/toast.js';

const digits = 6;

/** At the scanner, for whoever comes with a code: the digits of a held job, then it starts. Its pages go to its owner. */
export function CodePad({ scanner, onClose }: { scanner: string; onClose: () => void }) {
  const [code, setCode] = useState('');
  const [working, setWorking] = useState(false);
  const [error, setError] = useState<unknown>();
  const start = async (): Promise<void> => {
    setWorking(true);
    setError(undefined);
    try {
      await platen.releaseAtScanner(scanner, code);
      showToast(t('pad.started'));
      onClose();
    } catch (problem) {
      setError(problem);
      setCode('');
    }
    setWorking(false);
  };
  const type = (digit: string): void => {
    setError(undefined);
    setCode((c) => (c + digit).slice(0, digits));
  };
  return (
    <Sheet open onClose={onClose} title={t('pad.title')} foot={<Button kind="primary" class="wide" data-action="start-code" disabled={working || code.length < digits} onClick={() => void start()}>{t('pad.start')}</Button>}>
      <p>{t('pad.text')}</p>
      {/* A keyboard can type as well. */}
      <input class="code-field" name="release-code" aria-label={t('pad.title')} type="text" inputMode="none" autoComplete="off" placeholder="––––––" value={code}
        onInput={(event) => setCode((event.currentTarget.value = event.currentTarget.value.replace(/\D/g, '').slice(0, digits)))}
        onKeyDown={(event) => event.key === 'Enter' && code.length === digits && !working && void start()} />
      {error !== undefined && <ProblemNote error={error} />}
      <div class="pad">
        {[...'123456789'].map((d) => <button type="button" key={d} class="key" onClick={() => type(d)}>{d}</button>)}
        <span />
        <button type="button" class="key" onClick={() => type('0')}>0</button>
        <button type="button" class="key" aria-label={t('pad.back')} onClick={() => setCode((c) => c.slice(0, -1))}><Icon name="delete" /></button>
      </div>
    </Sheet>
  );
}
