import type { UsageRow } from '@platen/sdk';

/** A period in words: "2026-11" is Nov 2026. One that is no date stays as it is. */
export function periodName(period: string, by: 'day' | 'month' | 'year', locale: string): string {
  const at = Date.parse(period.length === 4 ? `${period}-01-01` : period.length === 7 ? `${period}-01` : period);
  if (Number.isNaN(at) || by === 'year') return period;
  const style: Intl.DateTimeFormatOptions = by === 'month' ? { month: 'short', year: 'numeric' } : { day: 'numeric', month: 'short', year: '2-digit' };
  return new Intl.DateTimeFormat(locale, { ...style, timeZone: 'UTC' }).format(at);
}

/** Pages of all rows. Other numbers do not add up: one browser counts in many. */
export function totals(rows: readonly UsageRow[]): number {
  return rows.reduce((sum, row) => sum + row.pages, 0);
}

/** Rows of the same period together, periods in the order in which they came. */
export function byPeriod(rows: readonly UsageRow[]): { period: string; rows: UsageRow[] }[] {
  const periods = new Map<string, UsageRow[]>();
  for (const row of rows) periods.set(row.period, [...(periods.get(row.period) ?? []), row]);
  return [...periods].map(([period, its]) => ({ period, rows: its }));
}
