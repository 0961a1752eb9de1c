import type { ButtonHTMLAttributes, ComponentChildren } from 'preact';
import { navigate } from '../router.js';
import { Icon, type IconName } from './icon.js';

type Kind = 'primary' | 'outlined' | 'plain' | 'stop' | 'danger' | 'danger-plain';

interface ButtonProps extends Omit<ButtonHTMLAttributes<HTMLButtonElement>, 'icon' | 'class'> {
  kind?: Kind;
  icon?: IconName;
  class?: string;
  children: ComponentChildren;
}

export function Button({ kind = 'outlined', icon, class: className = '', children, ...rest }: ButtonProps) {
  return (
    <button type="button" class={`button ${kind} ${className}`} {...rest}>
      {icon && <Icon name={icon} size={20} />}
      {children}
    </button>
  );
}

interface IconButtonProps extends Omit<ButtonHTMLAttributes<HTMLButtonElement>, 'icon' | 'label' | 'class'> {
  icon: IconName;
  label: string;
}

/** Only for back, close, more and what stands beside its own words. */
export function IconButton({ icon, label, ...rest }: IconButtonProps) {
  return (
    <button type="button" class="icon-button" aria-label={label} title={label} {...rest}>
      <Icon name={icon} />
    </button>
  );
}

/** A tool of the selection or page: icon with its word below. */
export function Tool({ icon, label, danger, ...rest }: Omit<IconButtonProps, 'class'> & { danger?: boolean }) {
  return (
    <button type="button" class={`tool ${danger ? 'danger' : ''}`} {...rest}>
      <Icon name={icon} size={22} />
      <span>{label}</span>
    </button>
  );
}

interface LinkProps {
  to: string;
  replace?: boolean;
  class?: string;
  children: ComponentChildren;
  [data: `data-${string}`]: string | undefined;
}

/** A link inside the app: it stays a link for the browser, for a new tab or a long press. */
export function Link({ to, replace, children, ...rest }: LinkProps) {
  return (
    <a
      href={to}
      {...rest}
      onClick={(event) => {
        if (event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
        event.preventDefault();
        navigate(to, replace === undefined ? {} : { replace });
      }}
    >
      {children}
    </a>
  );
}
