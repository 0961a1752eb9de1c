import { useId, useState } from 'preact/hooks';
import { Field, ProblemNote } from '../ui/bits.js';
import { Button } from '../ui/button.js';
import { Sheet } from '../ui/sheet.js';
import { showToast } from '../ui/toast.js';
import { licences } from './api.js';
import { keyOf } from './parse.js';
import { t } from './words.js';

/** Hands a key to the licence tracking server. */
export function AddItem({ onClose, onAdded }: { onClose: () => void; onAdded: () => void }) {
  const [text, setText] = useState('');
  const [working, setWorking] = useState(false);
  const [error, setError] = useState<unknown>();
  const id = useId();
  const key = keyOf(text);
  const add = async (): Promise<void> => {
    setWorking(true);
    setError(undefined);
    try {
      await licences.addItem(key);
      showToast(t('items.added'));
      onAdded();
      onClose();
    } catch (problem) {
      setError(problem);
      setWorking(false);
    }
  };
  return (
    <Sheet open onClose={onClose} title={t('items.add')} foot={<Button kind="primary" data-action="save" disabled={working || !key} onClick={() => void add()}>{t('add')}</Button>}>
      <Field label={t('items.key')} hint={t('items.key.hint')} for={id}>
        <textarea id={id} name="key" class="key" rows={6} autocomplete="off" autoCapitalize="none" spellcheck={false} value={text} aria-invalid={error !== undefined} onInput={(event) => {
          setText(event.currentTarget.value);
          setError(undefined);
        }} />
      </Field>
      {error !== undefined && <ProblemNote error={error} />}
    </Sheet>
  );
}
