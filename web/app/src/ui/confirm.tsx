import type { ComponentChildren } from 'preact';
import { useState } from 'preact/hooks';
import { t } from '../i18n/index.js';
import { Button } from './button.js';
import { Sheet } from './sheet.js';

interface ConfirmProps {
  title: string;
  /** The verb. */
  label: string;
  onYes: () => Promise<unknown>;
  onClose: () => void;
  children: ComponentChildren;
}

/** Asks before what cannot be undone. It closes once that is done. */
export function Confirm({ title, label, onYes, onClose, children }: ConfirmProps) {
  const [working, setWorking] = useState(false);
  const yes = (): void => {
    setWorking(true);
    void onYes().then(onClose);
  };
  return (
    <Sheet open still onClose={onClose} title={title} foot={<>
      <Button class="first" onClick={onClose}>{t('cancel')}</Button>
      <Button kind="danger" data-action="confirm" disabled={working} onClick={yes}>{label}</Button>
    </>}>
      <p>{children}</p>
    </Sheet>
  );
}
