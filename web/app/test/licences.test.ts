import type { License, LicenseItem, LicenseKey, Problem, UsageRow } from '@platen/sdk';
import { describe, expect, it } from 'vitest';
import { isCode, isMail, isOrganisation, isPattern, isWebhook, keyOf, linesOf, numbersOf } from '../src/licences/parse.js';
import { nextToEnd, serverState, shareOf, span, timeOf } from '../src/licences/state.js';
import { byPeriod, periodName, totals } from '../src/licences/table.js';

const now = Date.parse('2026-11-22T12:00:00Z');
const at = (days: number): string => new Date(now + days * 86_400_000).toISOString();
const problem = (code: string) => ({ type: '', title: '', status: 403, code, retryable: false }) as Problem;
const key = (more: Partial<LicenseKey> = {}): LicenseKey => ({ id: 'abcdefghijklmnopqrst', revision: 1, kind: 'page', organisation: 'CONTOSO', vendor: 'pin', notBefore: at(-10), expires: at(100), ...more });
const item = (more: Partial<LicenseKey>, used: number, reserved?: number): LicenseItem => ({ key: key(more), used, added: at(-10), ...(reserved === undefined ? {} : { reserved }) });

describe('the licence tracking server', () => {
  it.each<[string, Partial<License>]>([
    ['own', {}],
    ['silent', { server: 'lts:18643' }],
    ['reached', { server: 'lts:18643', reached: at(0) }],
    ['reached', { server: 'lts:18643', reached: at(-3), unreported: 0 }],
    ['reached', { server: 'lts:18643', reached: new Date(now - 60_000).toISOString(), unreported: 4 }],
    ['away', { server: 'lts:18643', reached: at(-1), unreported: 4 }],
    ['away', { server: 'lts:18643', reached: at(0), keys: [key({ problem: problem('tracking-offline') })] }],
    ['reached', { server: 'lts:18643', reached: at(0), keys: [key({ problem: problem('license-expired') })] }],
  ])('is %s: %o', (want, more) => expect(serverState({ mode: 'licensed', vendors: [], keys: [], clock: 'good', ...more }, now)).toBe(want));
});

describe('the time of a key', () => {
  it.each<[string, number, Partial<LicenseKey>]>([
    ['good', 100, {}],
    ['good', 30, { expires: at(30) }],
    ['soon', 29, { expires: at(29.9) }],
    ['soon', 0, { expires: at(0.1) }],
    ['ended', 0, { expires: at(0) }],
    ['ended', 0, { expires: at(-3), notBefore: at(-9) }],
    ['later', 100, { notBefore: at(1) }],
  ])('%s with %d days', (want, days, more) => expect(timeOf(key(more), now)).toEqual({ at: want, days }));

  it('finds the one that ends first, of those that are of use', () => {
    const [a, b, c, d] = [key({ expires: at(50) }), key({ expires: at(20) }), key({ expires: at(5), problem: problem('license-revoked') }), key({ expires: at(-1) })];
    expect(nextToEnd([a, b, c, d], now)).toBe(b);
    expect(nextToEnd([c, d], now)).toBeUndefined();
  });
});

describe('the share of an item', () => {
  it.each<[string, LicenseItem, ReturnType<typeof shareOf>]>([
    ['some', item({ quantity: 10_000 }, 4310, 600), { used: 43.1, reserved: 6, tone: 'ok', over: false }],
    ['most', item({ quantity: 10, kind: 'browser' }, 8), { used: 80, reserved: 0, tone: 'warn', over: false }],
    ['all', item({ quantity: 10 }, 10), { used: 100, reserved: 0, tone: 'bad', over: false }],
    ['more than all', item({ quantity: 10 }, 11, 5), { used: 100, reserved: 0, tone: 'bad', over: true }],
    ['set aside beyond the end', item({ quantity: 10 }, 9, 5), { used: 90, reserved: 10, tone: 'warn', over: false }],
    ['without an end', item({}, 7), undefined],
    ['of what is not counted', item({ kind: 'server', quantity: 3 }, 0), undefined],
    ['of a trial', item({ kind: 'trial' }, 0), undefined],
  ])('%s', (_name, given, want) => expect(shareOf(given)).toEqual(want));
});

describe('usage', () => {
  it.each([
    ['day', '2026-10-24'], ['month', '2025-12-01'], ['year', '2022-01-01'],
  ] as const)('by %s begins on %s', (by, from) => expect(span(by, new Date(now))).toEqual({ from, to: '2026-11-22' }));

  it.each([
    ['2026-11-22', 'day', '22 Nov 26'], ['2026-11', 'month', 'Nov 2026'], ['2026', 'year', '2026'], ['something', 'month', 'something'],
  ] as const)('calls %s by %s %s', (period, by, want) => expect(periodName(period, by, 'en-GB')).toBe(want));

  it('adds pages up, and puts periods together', () => {
    const rows = [['2026-10', 3], ['2026-11', 4], ['2026-10', 5]].map(([period, pages]) => ({ period, item: '', pages })) as UsageRow[];
    expect(totals(rows)).toBe(12);
    expect(byPeriod(rows).map((p) => [p.period, totals(p.rows)])).toEqual([['2026-10', 8], ['2026-11', 4]]);
    expect(totals([])).toBe(0);
  });
});

describe('what is typed', () => {
  it.each<[string, number[] | undefined]>([
    ['80, 95, 100', [80, 95, 100]], ['80 95', [80, 95]], ['', []], ['200', [200]],
    ['0', undefined], ['201', undefined], ['80, 80', undefined], ['80 %', undefined], ['-5', undefined], ['8.5', undefined], ['1 2 3 4 5 6 7 8 9 10 11', undefined],
  ])('%j is the thresholds %j', (text, want) => expect(numbersOf(text, 1, 200)).toEqual(want));

  it('takes lines and commas', () => expect(linesOf(' a@b.c \n\nd@e.f, a@b.c;g@h.i')).toEqual(['a@b.c', 'd@e.f', 'g@h.i']));

  it.each([['it@contoso.example', true], ['a+b@c', true], ['nobody', false], ['a@b@c', false], ['a b@c', false], ['Name <a@b.c>', false], ['a@b.', false], ['@b', false]])('%s is a mail address: %s', (text, want) => expect(isMail(text)).toBe(want));

  it.each([['https://hooks.example/x?y=1', true], ['http://10.0.0.1:8080/', true], ['ftp://x', false], ['hooks.example', false], ['https://u:p@hooks.example', false], ['https://hooks.example/#x', false], ['javascript:alert(1)', false]])('%s is a webhook: %s', (text, want) => expect(isWebhook(text)).toBe(want));

  it.each([
    ['https://shop.example', true], ['https://shop.example:8443', true], ['https://*.shop.example', true], ['http://localhost:3000', true],
    ['https://*.example', false], ['https://*', false], ['https://a.*.example', false], ['https://shop.example/', false], ['https://shop.example/x', false], ['https://SHOP.example', false], ['https://shop.example:443', false], ['shop.example', false], ['*', false], ['ftp://shop.example', false],
  ])('%s names web pages: %s', (text, want) => expect(isPattern(text)).toBe(want));

  it.each([['CONTOSO', true, true], ['a_b', false, true], ['a-b', false, false], ['', false, false], ['x'.repeat(33), false, true], ['x'.repeat(65), false, false]])('%s is an organisation: %s, a code: %s', (text, organisation, code) => {
    expect(isOrganisation(text)).toBe(organisation);
    expect(isCode(text)).toBe(code);
  });

  it('is a key, however a mail has broken it', () => expect(keyOf(' v4.public.abc\r\n def \t')).toBe('v4.public.abcdef'));
});
