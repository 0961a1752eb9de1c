import type { ComponentChildren } from 'preact';
import { useEffect, useRef } from 'preact/hooks';
import { t } from '../i18n/index.js';
import { back } from '../router.js';
import { setTitle } from '../store/title.js';
import { IconButton } from './button.js';
import { ConnectionBar } from './connection.js';
import { MenuButton } from './menu.js';

interface ScreenProps {
  title: string;
  /** Shown instead of the title in the bar. */
  heading?: ComponentChildren;
  /** Where Back leads if there is nowhere to go back to. Absent: no Back. */
  up?: string;
  onBack?: () => void;
  /** Beside the overflow menu. */
  actions?: ComponentChildren;
  /** Rows on top of the overflow menu. */
  menu?: ComponentChildren;
  bar?: ComponentChildren;
  class?: string;
  noMenu?: boolean;
  children: ComponentChildren;
}

/** The frame of every screen: top bar, content, action bar. */
export function Screen({ title, heading, up, onBack, actions, menu, bar, class: className = '', noMenu, children }: ScreenProps) {
  const h1 = useRef<HTMLHeadingElement>(null);
  useEffect(() => setTitle(title), [title]);
  return (
    <div class={`screen ${bar ? 'with-bar' : ''} ${className}`}>
      <header class="topbar">
        {(up ?? onBack) !== undefined && <IconButton icon="arrow-left" label={t('back')} onClick={() => (onBack ? onBack() : back(up ?? '/'))} />}
        <h1 ref={h1} class={heading ? 'topbar-title' : 'middle-cut'}>{heading ?? title}</h1>
        {actions}
        {!noMenu && <MenuButton>{menu}</MenuButton>}
      </header>
      <ConnectionBar />
      <main>{children}</main>
      {bar && <footer class="actionbar">{bar}</footer>}
    </div>
  );
}

/** The bar's content. A new `id` means other buttons: they take no tap for a moment. */
export function Bar({ id, children }: { id: string; children: ComponentChildren }) {
  return <div key={id}>{children}</div>;
}
