import { ProblemError, type LicenseKey } from '@platen/sdk';
import type { ComponentChildren } from 'preact';
import { alone, date } from '../i18n/index.js';
import { Chip, ProblemNote } from '../ui/bits.js';
import { timeOf } from './state.js';
import { t, type Key } from './words.js';

/** What a key holds, in words: "10,000 pages a month". */
export function holds(key: LicenseKey): string {
  const period = key.kind === 'page' && key.period ? `.${key.period}` : '';
  return t(`quantity.${key.kind}${period}` as Key, { count: key.quantity ?? 0 });
}

/** What it is called in a list: its organisation and what it holds. */
export function nameOfKey(key: LicenseKey): string {
  return `${key.organisation} · ${holds(key)}`;
}

/** Where it is in its time, and whether it is of use; nothing if all is well. */
export function KeyState({ licence, suspended }: { licence: LicenseKey; suspended?: boolean | undefined }) {
  const { at, days } = timeOf(licence, Date.now());
  return (
    <span class="states">
      {suspended && <Chip icon="lock" tone="warn">{t('suspended')}</Chip>}
      {at === 'ended' ? <Chip icon="circle-alert" tone="bad">{t('ended', { date: date(licence.expires) })}</Chip>
        : licence.problem ? <Chip icon="circle-alert" tone="bad">{t('not-usable')}</Chip>
        : at === 'later' ? <Chip icon="clock" tone="warn">{t('later', { date: date(licence.notBefore) })}</Chip>
        : at === 'soon' ? <Chip icon="clock" tone="warn">{t('soon', { count: days })}</Chip> : null}
    </span>
  );
}

/** Why a key is of no use here. */
export function KeyProblem({ licence }: { licence: LicenseKey }) {
  return licence.problem ? <ProblemNote error={new ProblemError(licence.problem)} /> : null;
}

/** All that a key says. */
export function KeyFacts({ licence: key }: { licence: LicenseKey }) {
  const bound = [...(key.gateways ?? []), ...(key.nodes ?? [])];
  const facts: [Key, ComponentChildren][] = [
    ['fact.kind', t(`kind.${key.kind}`)],
    ['fact.quantity', alone(holds(key))],
    ['fact.organisation', key.organisation],
    ...(key.customer ? [['fact.customer', key.customer] as [Key, string]] : []),
    ['fact.valid', t('fact.valid.span', { from: date(key.notBefore), to: date(key.expires) })],
    ['fact.modules', key.modules?.length ? key.modules.map((m) => t(`module.${m}`)).join(', ') : t('fact.modules.none')],
    ['fact.origins', key.origins?.length ? <Lines of={key.origins} /> : t('fact.origins.none')],
    ['fact.bound', bound.length ? <Lines of={bound} /> : t('fact.bound.none')],
    ['fact.grace', t('fact.grace.value', { hours: Math.round((key.graceSeconds ?? 0) / 3600) })],
    ...(key.overUsePercent ? [['fact.over', t('fact.over.value', { percent: key.overUsePercent })] as [Key, string]] : []),
    ['fact.vendor', key.vendor],
    ['fact.id', t('fact.id.value', { id: key.id, revision: String(key.revision) })],
  ];
  return <dl class="key-facts">{facts.map(([name, value]) => <div key={name}><dt>{t(name)}</dt><dd>{value}</dd></div>)}</dl>;
}

function Lines({ of }: { of: string[] }) {
  return <>{of.map((text) => <span key={text} class="fact-line">{text}</span>)}</>;
}
