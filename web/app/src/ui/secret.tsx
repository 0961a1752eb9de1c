import { useRef } from 'preact/hooks';
import { t } from '../i18n/index.js';
import { Button } from './button.js';
import { showToast } from './toast.js';

/** Something to copy: a command, a token. Where the browser does not let a page copy, it is marked for the user to do so. */
export function Secret({ text }: { text: string }) {
  const code = useRef<HTMLElement>(null);
  const copy = async (): Promise<void> => {
    try {
      await navigator.clipboard.writeText(text);
      showToast(t('copied'));
    } catch {
      const range = document.createRange();
      range.selectNodeContents(code.current!);
      getSelection()?.removeAllRanges();
      getSelection()?.addRange(range);
    }
  };
  return (
    <>
      <code class="command" ref={code}>{text}</code>
      <div class="actions"><Button icon="copy" class="small" onClick={() => void copy()}>{t('copy')}</Button></div>
    </>
  );
}
