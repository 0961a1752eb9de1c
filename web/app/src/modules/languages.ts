/** Languages of text as Tesseract calls them, for people: "deu" is German. What is no language, as "osd", is left out. */

const noLanguage = new Set(['osd', 'equ', 'snum']);

export const most = 4;

export interface Language {
  code: string;
  name: string;
}

export function languageNames(codes: readonly string[], locale: string): Language[] {
  const names = new Intl.DisplayNames(locale, { type: 'language', fallback: 'none' });
  return codes
    .filter((code) => !noLanguage.has(code))
    .map((code) => ({ code, name: nameOf(code, names) }))
    .sort((a, b) => a.name.localeCompare(b.name, locale));
}

function nameOf(code: string, names: Intl.DisplayNames): string {
  const [base, ...rest] = code.split('_');
  try {
    const name = names.of(base!.toLowerCase());
    if (name) return rest.length > 0 ? `${name} (${rest.join(' ')})` : name;
  } catch {
    // Tesseract has names that no standard knows.
  }
  return code;
}

/** What to begin with: what was used last, else the language of this page, else English, else the first. */
export function firstChoice(codes: readonly string[], last: string | undefined, locale: string): string[] {
  const there = codes.filter((code) => !noLanguage.has(code));
  const used = last?.split('+').filter((code) => there.includes(code)) ?? [];
  if (used.length > 0) return used;
  const own = locale.slice(0, 2) === 'de' ? 'deu' : 'eng';
  for (const code of [own, 'eng']) if (there.includes(code)) return [code];
  return there.slice(0, 1);
}
