import { createStore, useStore } from '../store/store.js';
import { de } from './de.js';
import { en, type Key } from './en.js';
import { format, type Slots } from './format.js';

export type { Key };
export type Language = 'en' | 'de';

export const languages: Record<Language, string> = { en: 'English', de: 'Deutsch' };
const texts: Record<Language, Record<Key, string>> = { en, de };
const stored = 'platen.language';

function preferred(): Language {
  const wanted = [read(), ...(navigator.languages ?? [navigator.language])];
  for (const tag of wanted) {
    const short = tag?.slice(0, 2).toLowerCase();
    if (short === 'en' || short === 'de') return short;
  }
  return 'en';
}

function read(): string | null {
  try {
    return localStorage.getItem(stored);
  } catch {
    return null; // storage is switched off in this browser
  }
}

export const language = createStore<Language>(preferred());
apply(language.get());

export async function setLanguage(to: Language): Promise<void> {
  try {
    localStorage.setItem(stored, to);
  } catch {
    // Then it lasts for this visit.
  }
  await textsOf(to).catch(() => {}); // those of screens whose texts do not come stay as they are
  apply(to);
  language.set(to);
}

function apply(to: Language): void {
  document.documentElement.lang = to;
}

/** Redraws the caller when the language changes. */
export function useLanguage(): Language {
  return useStore(language);
}

export function t(key: Key, slots: Slots = {}): string {
  return format(texts[language.get()][key], slots, locale());
}

const loaders: ((to: Language) => Promise<void>)[] = [];

/** Fetches the texts of all code that was loaded later. Nothing of it may be drawn before. */
export async function textsOf(to: Language): Promise<void> {
  await Promise.all(loaders.map((load) => load(to)));
}

/** Like t, for code that is loaded later and brings texts of its own, of which a browser fetches those of its language. */
export function withTexts<K extends string>(own: Record<Language, () => Promise<Record<K, string>>>): (key: K | Key, slots?: Slots) => string {
  const loaded: Partial<Record<Language, Partial<Record<string, string>>>> = {};
  loaders.push(async (to) => void (loaded[to] ??= await own[to]()));
  return (key, slots = {}) => {
    const mine = loaded[language.get()] ?? loaded.en ?? loaded.de;
    return format(mine?.[key] ?? texts[language.get()][key as Key], slots, locale());
  };
}

/** For Intl: the browser's own variant of the language, as de-AT, if it has one. */
export function locale(): string {
  const short = language.get();
  return navigator.languages?.find((tag) => tag.slice(0, 2).toLowerCase() === short) ?? short;
}

export function time(at: string | number | Date): string {
  return new Intl.DateTimeFormat(locale(), { timeStyle: 'short' }).format(new Date(at));
}

export function day(at: string | number | Date): string {
  return new Intl.DateTimeFormat(locale(), { weekday: 'short', day: 'numeric', month: 'short' }).format(new Date(at));
}

/** A day of any year. */
export function date(at: string | number | Date): string {
  return new Intl.DateTimeFormat(locale(), { dateStyle: 'medium' }).format(new Date(at));
}

/** A word of a sentence, standing alone. */
export function alone(word: string): string {
  return word.charAt(0).toLocaleUpperCase(locale()) + word.slice(1);
}

/** The time alone today, with its day otherwise. */
export function moment(at: string | number | Date, now = Date.now()): string {
  return sameDay(at, now) ? time(at) : `${day(at)}, ${time(at)}`;
}

export function sameDay(a: string | number | Date, b: string | number | Date): boolean {
  return new Date(a).toDateString() === new Date(b).toDateString();
}

export function bytes(n: number): string {
  const units = ['byte', 'kilobyte', 'megabyte', 'gigabyte'] as const;
  const step = n < 1000 ? 0 : Math.min(3, Math.floor(Math.log10(n) / 3));
  return new Intl.NumberFormat(locale(), { style: 'unit', unit: units[step]!, unitDisplay: 'short', maximumFractionDigits: step > 1 ? 1 : 0 }).format(n / 1000 ** step);
}

/** Minutes and seconds, as 2:05. */
export function countdown(ms: number): string {
  const s = Math.max(0, Math.ceil(ms / 1000));
  return `${Math.floor(s / 60)}:${String(s % 60).padStart(2, '0')}`;
}
