import sprite from 'virtual:sprite';
import type { lucide, own } from '../../build/sprite.js';

export type IconName = (typeof lucide)[number] | (typeof own)[number];

/** Puts the symbols into the page, once, before the first icon is drawn. */
export function installSprite(): void {
  const svg = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
  svg.setAttribute('aria-hidden', 'true');
  svg.setAttribute('width', '0');
  svg.setAttribute('height', '0');
  svg.classList.add('sprite');
  svg.innerHTML = sprite;
  document.body.prepend(svg);
}

/** Always beside a word, except back, close and more. */
export function Icon({ name, size = 24, class: className = '' }: { name: IconName; size?: number; class?: string }) {
  return (
    <svg class={`icon ${className}`} width={size} height={size} viewBox="0 0 24 24" aria-hidden="true" focusable="false">
      <use href={`#i-${name}`} />
    </svg>
  );
}
