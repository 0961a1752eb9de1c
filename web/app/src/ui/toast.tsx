import { useEffect, useRef } from 'preact/hooks';
import { createStore, useStore } from '../store/store.js';
import { Button } from './button.js';

interface Toast {
  id: number;
  text: string;
  action?: { label: string; run: () => void };
}

const toast = createStore<Toast | undefined>(undefined);
const spoken = createStore('');
let last = 0;

/** Says something that needs no answer. With an action, as Undo, it stays for 10 s. */
export function showToast(text: string, action?: Toast['action']): void {
  toast.set({ id: ++last, text, ...(action ? { action } : {}) });
}

/** Says something to those who listen instead of look. */
export function announce(text: string): void {
  // The same words again are only read if the region changed in between.
  spoken.set(spoken.get() === text ? `${text}\u00a0` : text);
}

/** The live regions; they exist from the start, or nothing in them is read. */
export function Toasts() {
  const now = useStore(toast);
  const words = useStore(spoken);
  const held = useRef(false);
  useEffect(() => {
    if (!now) return;
    let timer: ReturnType<typeof setTimeout>;
    const end = (): void => {
      if (held.current) timer = setTimeout(end, 1000);
      else if (toast.get()?.id === now.id) toast.set(undefined);
    };
    timer = setTimeout(end, now.action ? 10_000 : Math.max(4000, now.text.length * 60)); // long ones take longer to read
    return () => clearTimeout(timer);
  }, [now]);
  const hold = (is: boolean) => () => {
    held.current = is;
  };
  return (
    <>
      <div class="toasts" role="status" aria-live="polite">
        {now && (
          <div class="toast" key={now.id} onFocusIn={hold(true)} onFocusOut={hold(false)} onPointerEnter={hold(true)} onPointerLeave={hold(false)}>
            <span>{now.text}</span>
            {now.action && (
              <Button
                kind="plain"
                onClick={() => {
                  held.current = false;
                  toast.set(undefined);
                  now.action?.run();
                }}
              >
                {now.action.label}
              </Button>
            )}
          </div>
        )}
      </div>
      <div class="for-readers" role="status" aria-live="polite">{words}</div>
    </>
  );
}
