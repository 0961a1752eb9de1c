import type { ComponentChildren } from 'preact';
import { useId, useLayoutEffect, useRef } from 'preact/hooks';
import { t } from '../i18n/index.js';
import { IconButton } from './button.js';

interface SheetProps {
  open: boolean;
  onClose: () => void;
  title: string;
  children: ComponentChildren;
  foot?: ComponentChildren;
  /** A side panel where there is room. */
  panel?: boolean;
  /** The body is a list of rows. */
  rows?: boolean;
  /** Nothing in the body takes the focus, so the body itself does, to be scrolled by keys. */
  still?: boolean;
}

/** A bottom sheet: modal, closed by its button, Esc, a tap beside it, a swipe down, and the phone's Back (useSheet). */
export function Sheet(props: SheetProps) {
  return props.open ? <OpenSheet {...props} /> : null;
}

function OpenSheet({ onClose, title, children, foot, panel, rows, still }: SheetProps) {
  const dialog = useRef<HTMLDialogElement>(null);
  const heading = useRef<HTMLHeadingElement>(null);
  const id = useId();
  useLayoutEffect(() => {
    const element = dialog.current!;
    const before = document.activeElement as HTMLElement | null;
    element.showModal();
    if (!element.querySelector('[autofocus]')) heading.current?.focus();
    return () => {
      element.close();
      before?.focus?.({ preventScroll: true });
    };
  }, []);
  return (
    <dialog
      ref={dialog}
      class={`sheet ${panel ? 'panel' : ''}`}
      aria-labelledby={id}
      onCancel={(event) => {
        event.preventDefault();
        onClose();
      }}
      onClick={(event) => {
        if (event.target === dialog.current) onClose();
      }}
    >
      <div class="sheet-head" {...swipeDown(dialog, onClose)}>
        <h2 id={id} ref={heading} tabIndex={-1}>{title}</h2>
        <IconButton icon="x" label={t('close')} onClick={onClose} />
      </div>
      <div class={`sheet-body ${rows ? 'rows' : ''}`} {...(still ? { tabIndex: 0 } : {})}>{children}</div>
      {foot && <div class="sheet-foot">{foot}</div>}
    </dialog>
  );
}

const closeAfter = 80; // px

function swipeDown(dialog: { current: HTMLDialogElement | null }, onClose: () => void) {
  let from: number | undefined;
  const move = (by: number): void => {
    if (dialog.current) dialog.current.style.transform = by > 0 ? `translateY(${by}px)` : '';
  };
  return {
    onPointerDown(event: PointerEvent) {
      if (event.pointerType === 'touch' && innerWidth < 600) from = event.clientY;
    },
    onPointerMove(event: PointerEvent) {
      if (from !== undefined) move(event.clientY - from);
    },
    onPointerUp(event: PointerEvent) {
      const far = from !== undefined && event.clientY - from > closeAfter;
      from = undefined;
      move(0);
      if (far) onClose();
    },
    onPointerCancel() {
      from = undefined;
      move(0);
    },
  };
}
