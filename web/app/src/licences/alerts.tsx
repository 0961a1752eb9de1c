import type { Alert, AlertSent, Alerts, AlertSettings } from '@platen/sdk';
import { useId, useState } from 'preact/hooks';
import { moment } from '../i18n/index.js';
import { may } from '../store/session.js';
import { act } from '../ui/act.js';
import { Banner, Chip, Empty, Field, ProblemNote, ProblemScreen, Skeletons } from '../ui/bits.js';
import { Button } from '../ui/button.js';
import { Bar, Screen } from '../ui/frame.js';
import { Icon } from '../ui/icon.js';
import { Secret } from '../ui/secret.js';
import { useLoad } from '../ui/use.js';
import { licences } from './api.js';
import { isMail, isWebhook, linesOf, numbersOf } from './parse.js';
import { t } from './words.js';

/** When and how administrators are warned. */
export function AlertsScreen() {
  const loaded = useLoad((signal) => licences.alerts(signal), []);
  const [typed, setTyped] = useState<Typed>();
  const [working, setWorking] = useState(false);
  const [error, setError] = useState<unknown>();
  const [sent, setSent] = useState<AlertSent[]>();
  const alerts = loaded.value;
  const fields = typed ?? (alerts && typedOf(alerts.settings));
  const read = fields && settingsOf(fields);
  const changed = typed !== undefined && alerts !== undefined && JSON.stringify(read?.settings) !== JSON.stringify(settingsOf(typedOf(alerts.settings)).settings);
  const save = async (): Promise<void> => {
    setWorking(true);
    setError(undefined);
    try {
      loaded.set(await licences.setAlerts(read!.settings!));
      setTyped(undefined);
      setSent(undefined);
    } catch (problem) {
      setError(problem);
    }
    setWorking(false);
  };
  const test = async (): Promise<void> => {
    setWorking(true);
    await act(async () => {
      setSent((await licences.testAlerts()).sent);
      loaded.reload();
    });
    setWorking(false);
  };
  return (
    <Screen title={t('alerts')} up="/licences" class="licences" bar={alerts && may('admin') && <Bar id="alerts">
      <Button icon="bell" data-action="test" disabled={working || changed} onClick={() => void test()}>{t('alerts.test')}</Button>
      <Button kind="primary" class="primary-place" data-action="save" disabled={working || !changed || !read?.settings} onClick={() => void save()}>{t('save')}</Button>
    </Bar>}>
      {!alerts && loaded.error === undefined && <Skeletons />}
      {!alerts && loaded.error !== undefined && <ProblemScreen error={loaded.error} onAgain={loaded.reload} />}
      {alerts && fields && <>
        {!alerts.mailPossible && <Banner icon="info" tone="warn" title={t('alerts.mail.impossible')}><p>{t('alerts.mail.impossible.text')}</p></Banner>}
        {!alerts.settings.mail?.length && !alerts.settings.webhooks?.length && <Empty icon="bell" title={t('alerts.none')}>{t('alerts.none.text')}</Empty>}
        <div role="status" aria-live="polite">{sent && <Result sent={sent} />}</div>
        {error !== undefined && <ProblemNote error={error} />}
        <Fields fields={fields} faults={read!.faults} onChange={setTyped} />
        {alerts.webhookKey && (
          <details class="more">
            <summary>{t('alerts.webhooks.key')}<Icon name="chevron-right" size={20} /></summary>
            <div><p class="label quiet">{t('alerts.webhooks.key.text')}</p><Secret text={alerts.webhookKey} /></div>
          </details>
        )}
        <Last alerts={alerts} />
      </>}
    </Screen>
  );
}

/** As it stands in the fields. */
interface Typed {
  thresholds: string;
  days: string;
  mail: string;
  webhooks: string;
}

type Faults = Partial<Record<keyof Typed, string>>;

function typedOf({ thresholds, expiryDays, mail = [], webhooks = [] }: AlertSettings): Typed {
  return { thresholds: thresholds.join(', '), days: expiryDays.join(', '), mail: mail.join('\n'), webhooks: webhooks.join('\n') };
}

function settingsOf(typed: Typed): { settings?: AlertSettings; faults: Faults } {
  const thresholds = numbersOf(typed.thresholds, 1, 200);
  const expiryDays = numbersOf(typed.days, 0, 365);
  const mail = linesOf(typed.mail);
  const webhooks = linesOf(typed.webhooks);
  const noMail = mail.find((m) => !isMail(m));
  const noHook = webhooks.find((w) => !isWebhook(w));
  const faults: Faults = {
    ...(thresholds ? {} : { thresholds: t('alerts.thresholds.wrong') }),
    ...(expiryDays ? {} : { days: t('alerts.days.wrong') }),
    ...(noMail ? { mail: t('alerts.mail.wrong', { text: noMail }) } : mail.length > 20 ? { mail: t('alerts.mail.many') } : {}),
    ...(noHook ? { webhooks: t('alerts.webhooks.wrong', { text: noHook }) } : webhooks.length > 10 ? { webhooks: t('alerts.webhooks.many') } : {}),
  };
  if (!thresholds || !expiryDays || Object.keys(faults).length > 0) return { faults };
  return { settings: { thresholds, expiryDays, mail, webhooks }, faults };
}

function Fields({ fields, faults, onChange }: { fields: Typed; faults: Faults; onChange: (typed: Typed) => void }) {
  const fixed = !may('admin');
  const id = useId();
  const field = (name: keyof Typed, rows?: number) => {
    const fault = faults[name];
    const rest = {
      id: `${id}-${name}`, name, value: fields[name], disabled: fixed, autocomplete: 'off', autoCapitalize: 'none' as const, spellcheck: false, 'aria-invalid': fault !== undefined,
      onInput: (event: { currentTarget: { value: string } }) => onChange({ ...fields, [name]: event.currentTarget.value }),
    };
    return (
      <Field label={t(`alerts.${name}`)} hint={fault ? undefined : t(`alerts.${name}.hint`)} for={rest.id}>
        {rows ? <textarea rows={rows} {...rest} /> : <input type="text" {...rest} />}
        {fault && <p class="label bad-text" role="alert">{fault}</p>}
      </Field>
    );
  };
  return <>{field('thresholds')}{field('days')}{field('mail', 3)}{field('webhooks', 3)}</>;
}

/** What came of it, for each way. */
function Result({ sent }: { sent: AlertSent[] }) {
  if (sent.length === 0) return <Banner icon="info" tone="warn" title={t('alerts.test.nobody')} />;
  return <ul class="card list" data-sent={sent.length}>{sent.map((s) => <li class="row" key={s.to}><SentLine sent={s} /></li>)}</ul>;
}

function SentLine({ sent: { to, ok, fault } }: { sent: AlertSent }) {
  return (
    <span class="text sent">
      <Chip icon={ok ? 'circle-check' : 'circle-alert'} tone={ok ? 'ok' : 'bad'}>{t(ok ? 'alerts.sent' : 'alerts.not-sent', { to })}</Chip>
      {fault && <span class="label quiet" lang="en">{fault}</span>}
    </span>
  );
}

function Last({ alerts: { last } }: { alerts: Alerts }) {
  return (
    <section aria-labelledby="last-alerts">
      <h2 id="last-alerts">{t('alerts.last')}</h2>
      {last.length === 0 && <p class="quiet">{t('alerts.last.none')}</p>}
      {last.length > 0 && (
        <ul class="card list">
          {last.map((alert) => (
            <li class="row" key={alert.id} data-alert={alert.type}>
              <span class="text">
                <span class="head">{[alert.organisation, headOf(alert)].filter(Boolean).join(' · ')}</span>
                <span class="label quiet" lang="en">{alert.text}</span>
                <span class="label quiet">{moment(alert.at)}</span>
                {alert.sent?.map((s) => <SentLine key={s.to} sent={s} />)}
              </span>
            </li>
          ))}
        </ul>
      )}
    </section>
  );
}

function headOf({ type, percent = 0, days = 0 }: Alert): string {
  switch (type) {
    case 'usage':
      return t('alert.usage', { percent });
    case 'expiry':
      return t('alert.expiry', { count: days });
    default:
      return t(`alert.${type}`);
  }
}
