import { collect, type LicenseItem, type UsageOptions, type UsageRow } from '@platen/sdk';
import { useId, useState } from 'preact/hooks';
import { locale } from '../i18n/index.js';
import { saveURL } from '../screens/save.js';
import { Empty, Field, ProblemScreen, Segmented, Skeletons } from '../ui/bits.js';
import { Button } from '../ui/button.js';
import { Screen } from '../ui/frame.js';
import { useLoad } from '../ui/use.js';
import { licences } from './api.js';
import { nameOfKey } from './key.js';
import { span } from './state.js';
import { byPeriod, periodName, totals } from './table.js';
import { t, type Key } from './words.js';

type By = NonNullable<UsageOptions['by']>;

/** What was used of each licence in each period: a table, its sum, and files of it. */
export function UsageScreen() {
  const [by, setBy] = useState<By>('month');
  const [days, setDays] = useState(() => span('month', new Date()));
  const [item, setItem] = useState('');
  const ids = [useId(), useId(), useId()] as const;
  const ordered = days.from !== '' && days.to !== '' && days.from <= days.to;
  const options: UsageOptions = { by, ...days, ...(item ? { item } : {}) };
  const loaded = useLoad((signal) => (ordered ? licences.usage(options, signal) : Promise.resolve({ items: [] as UsageRow[] })), ['', by, days.from, days.to, item]);
  const items = useLoad((signal) => collect((list) => licences.items({ limit: 200, ...list }, signal)), []);
  const rows = loaded.value?.items;
  const choose = (to: By): void => {
    setBy(to);
    setDays(span(to, new Date()));
  };
  return (
    <Screen title={t('usage')} up="/licences" class="licences">
      <Segmented label={t('usage.by')} name="by" value={by} onChange={choose} choices={(['day', 'month', 'year'] as const).map((value) => ({ value, label: t(`usage.by.${value}`) }))} />
      <div class="side-by-side">
        <Field label={t('usage.from')} for={ids[0]}>
          <input id={ids[0]} type="date" name="from" value={days.from} max={days.to} aria-invalid={!ordered} onChange={(event) => setDays({ ...days, from: event.currentTarget.value })} />
        </Field>
        <Field label={t('usage.to')} for={ids[1]}>
          <input id={ids[1]} type="date" name="to" value={days.to} min={days.from} aria-invalid={!ordered} onChange={(event) => setDays({ ...days, to: event.currentTarget.value })} />
        </Field>
      </div>
      {!ordered && <p class="label bad-text" role="alert">{t('usage.order')}</p>}
      {items.value && items.value.length > 1 && (
        <Field label={t('usage.item')} for={ids[2]}>
          <select id={ids[2]} name="item" value={item} onChange={(event) => setItem(event.currentTarget.value)}>
            <option value="">{t('usage.item.all')}</option>
            {items.value.map(({ key }) => <option key={key.id} value={key.id}>{nameOfKey(key)}</option>)}
          </select>
        </Field>
      )}
      {!rows && loaded.error === undefined && <Skeletons />}
      {!rows && loaded.error !== undefined && <ProblemScreen error={loaded.error} onAgain={loaded.reload} />}
      {rows?.length === 0 && ordered && <Empty icon="chart-column" title={t('usage.empty')}>{t('usage.empty.text')}</Empty>}
      {rows && rows.length > 0 && <Table rows={rows} by={by} items={items.value ?? []} />}
      <div class="files">
        <Button icon="download" data-action="csv" disabled={!rows?.length} onClick={() => saveURL(licences.usageURL('csv', options), `platen-usage-${days.from}-${days.to}.csv`)}>{t('usage.csv')}</Button>
        <Button icon="download" data-action="json" disabled={!rows?.length} onClick={() => saveURL(licences.usageURL('json', options), `platen-usage-${days.from}-${days.to}.json`)}>{t('usage.json')}</Button>
        <Button icon="download" data-action="ledger" onClick={() => saveURL(licences.ledgerURL(), 'platen-ledger.ndjson')}>{t('usage.ledger')}</Button>
      </div>
    </Screen>
  );
}

function Table({ rows, by, items }: { rows: UsageRow[]; by: By; items: LicenseItem[] }) {
  const number = new Intl.NumberFormat(locale());
  const sum = totals(rows);
  const licence = (row: UsageRow): string => {
    const known = items.find((i) => i.key.id === row.item)?.key;
    if (known) return nameOfKey(known);
    if (!row.item) return t('usage.free');
    return [row.organisation, row.kind && t(`kind.${row.kind}` as Key)].filter(Boolean).join(' · ') || row.item;
  };
  return (
    <>
      <div class="card table">
        <table>
          <thead><tr><th scope="col">{t('usage.licence')}</th><th scope="col" class="number">{t('usage.pages')}</th></tr></thead>
          {byPeriod(rows).map(({ period, rows: its }) => (
            <tbody key={period} data-period={period}>
              <tr class="period"><th scope="rowgroup">{periodName(period, by, locale())}</th><td class="number numbers">{number.format(totals(its))}</td></tr>
              {its.map((row, i) => (
                <tr key={i}>
                  <td>{licence(row)}<span class="label quiet">{besides(row)}</span></td>
                  <td class="number numbers">{number.format(row.pages)}</td>
                </tr>
              ))}
            </tbody>
          ))}
          <tfoot><tr><th scope="row">{t('usage.total')}</th><td class="number numbers" data-total={sum}>{number.format(sum)}</td></tr></tfoot>
        </table>
      </div>
      <p class="label quiet">{t('usage.utc')}</p>
    </>
  );
}

/** What is counted beside pages. */
function besides({ project, clients, nodes, concurrent }: UsageRow): string {
  return [
    project,
    clients ? t('usage.clients', { count: clients }) : '',
    nodes ? t('usage.nodes', { count: nodes }) : '',
    concurrent ? t('usage.concurrent', { count: concurrent }) : '',
  ].filter(Boolean).join(' · ');
}
