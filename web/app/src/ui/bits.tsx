import type { Scanner } from '@platen/sdk';
import type { ComponentChildren } from 'preact';
import { useEffect, useId, useState } from 'preact/hooks';
import { moment, t } from '../i18n/index.js';
import { explain, reason } from '../i18n/words.js';
import { Button } from './button.js';
import { Icon, type IconName } from './icon.js';

type Tone = 'ok' | 'warn' | 'bad' | '';

/** State = icon + word + colour, in this order of importance. */
export function Chip({ icon, tone = '', children }: { icon: IconName; tone?: Tone; children: ComponentChildren }) {
  return (
    <span class={`chip ${tone}`}>
      <Icon name={icon} size={18} />
      <span>{children}</span>
    </span>
  );
}

export function ScannerState({ scanner }: { scanner: Scanner }) {
  const { status } = scanner;
  const why = status.reasons?.[0];
  switch (status.state) {
    case 'offline':
      return <Chip icon="wifi-off">{t('state.offline.since', { time: moment(status.since) })}</Chip>;
    case 'stopped':
      return <Chip icon="triangle-alert" tone="warn">{why ? t('state.attention', { reason: reason(why).short }) : t('state.attention.unknown')}</Chip>;
    case 'processing':
      return <Chip icon="clock" tone="warn">{status.waiting > 0 ? t('state.busy.waiting', { count: status.waiting }) : t('state.busy')}</Chip>;
    default:
      return <Chip icon="circle-check" tone="ok">{t(status.feeder === 'loaded' ? 'state.ready.loaded' : 'state.ready')}</Chip>;
  }
}

interface BannerProps {
  icon: IconName;
  tone?: Tone;
  title: string;
  children?: ComponentChildren;
  actions?: ComponentChildren;
  close?: ComponentChildren;
}

export function Banner({ icon, tone = '', title, children, actions, close }: BannerProps) {
  return (
    <div class={`banner ${tone}`}>
      <Icon name={icon} />
      <div class="text">
        <strong>{title}</strong>
        {children}
        {actions && <div class="actions">{actions}</div>}
      </div>
      {close}
    </div>
  );
}

/** What the service says beyond the words of the code. */
function Detail({ error }: { error: unknown }) {
  const { detail, detailed } = explain(error);
  return detail ? <p class="label quiet" lang="en">{detailed ? detail : t('detail', { detail })}</p> : null;
}

/** An error in words: what, why, what next; small: its code for support. */
export function ProblemNote({ error, actions }: { error: unknown; actions?: ComponentChildren }) {
  const { what, why, next, code } = explain(error);
  return (
    <div role="alert">
      <Banner icon="circle-alert" tone="bad" title={what} actions={actions}>
        <p>{[why, next].filter(Boolean).join(' ')}</p>
        <Detail error={error} />
        {code && <p class="caption quiet">{t('support-code', { code })}</p>}
      </Banner>
    </div>
  );
}

interface EmptyProps {
  icon: IconName;
  title: string;
  children?: ComponentChildren;
  actions?: ComponentChildren;
}

export function Empty({ icon, title, children, actions }: EmptyProps) {
  return (
    <div class="empty">
      <Icon name={icon} size={48} />
      <p class="title">{title}</p>
      {children && <p class="quiet">{children}</p>}
      {actions && <div class="actions">{actions}</div>}
    </div>
  );
}

/** A whole screen's problem. */
export function ProblemScreen({ error, onAgain, actions }: { error: unknown; onAgain?: () => void; actions?: ComponentChildren }) {
  const { what, why, next, code } = explain(error);
  return (
    <div class="empty" role="alert">
      <Icon name="circle-alert" size={48} />
      <p class="title">{what}</p>
      <p class="quiet">{[why, next].filter(Boolean).join(' ')}</p>
      <Detail error={error} />
      {code && <p class="caption quiet">{t('support-code', { code })}</p>}
      <div class="actions">
        {onAgain && <Button kind="primary" onClick={onAgain}>{t('again')}</Button>}
        {actions}
      </div>
    </div>
  );
}

/** Rows in waiting; nothing for the first 400 ms, because most waits are shorter. */
export function Skeletons({ count = 3, height = 72 }: { count?: number; height?: number }) {
  const late = useAfter(400);
  if (!late) return null;
  return (
    <div class="card list" aria-busy="true" aria-label={t('loading')} role="status">
      {Array.from({ length: count }, (_, i) => (
        <div class="row" key={i} style={{ minHeight: `${height}px` }}>
          <div class="skeleton badge" />
          <div class="text">
            <div class="skeleton" style={{ width: `${60 - i * 8}%` }} />
            <div class="skeleton" style={{ width: `${40 - i * 5}%` }} />
          </div>
        </div>
      ))}
    </div>
  );
}

/** Turns true after so many milliseconds. */
export function useAfter(ms: number, since?: unknown): boolean {
  const [after, set] = useState(false);
  useEffect(() => {
    set(false);
    const timer = setTimeout(() => set(true), ms);
    return () => clearTimeout(timer);
  }, [ms, since]);
  return after;
}

/** The present time, every second while something counts down. */
export function useClock(now: () => number, running = true): number {
  const [at, set] = useState(now);
  useEffect(() => {
    if (!running) return;
    const timer = setInterval(() => set(now()), 1000);
    return () => clearInterval(timer);
  }, [running]);
  return at;
}

/** Four symbols for two people to compare. */
export function CheckString({ check }: { check: string }) {
  return (
    <span class="check" role="img" aria-label={[...check].join(' ')}>
      {[...check].filter((c) => c.trim()).map((c, i) => <span key={i} aria-hidden="true">{c}</span>)}
    </span>
  );
}

interface Choice<T> {
  value: T;
  label: string;
  hint?: string;
}

interface SegmentedProps<T> {
  label: string;
  name: string;
  value: T;
  choices: Choice<T>[];
  onChange: (value: T) => void;
  hint?: string | undefined;
}

export function Segmented<T extends string | number>({ label, name, value, choices, onChange, hint }: SegmentedProps<T>) {
  const id = useId();
  return (
    <fieldset class="segmented" data-setting={name}>
      <legend>{label}</legend>
      <div>
        {choices.map((choice) => (
          <label key={choice.value} data-value={choice.value}>
            <input type="radio" name={`${name}-${id}`} value={choice.value} checked={choice.value === value} onChange={() => onChange(choice.value)} />
            <span>{choice.label}</span>
            {choice.hint && <span class="caption">{choice.hint}</span>}
          </label>
        ))}
      </div>
      {hint && <p class="label quiet">{hint}</p>}
    </fieldset>
  );
}

export function Switch({ label, checked, onChange, name, hint }: { label: string; checked: boolean; onChange: (on: boolean) => void; name?: string; hint?: string | undefined }) {
  return (
    <label class="switch" data-option={name}>
      <span>
        {label}
        {hint && <span class="label quiet hint">{hint}</span>}
      </span>
      <input type="checkbox" role="switch" checked={checked} onChange={(event) => onChange(event.currentTarget.checked)} />
    </label>
  );
}

export function Field({ label, hint, children, for: id }: { label: string; hint?: string | undefined; children: ComponentChildren; for: string }) {
  return (
    <div class="field">
      <label for={id}>{label}</label>
      {children}
      {hint && <p class="label quiet">{hint}</p>}
    </div>
  );
}
