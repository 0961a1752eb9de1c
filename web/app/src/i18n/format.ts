/**
 * Fills a message: `{name}` and `{name, plural, =0 {…} one {…} other {…}}`, where # is the number.
 * It is the part of ICU MessageFormat that these texts need.
 */
export type Slots = Record<string, string | number>;

export function format(message: string, slots: Slots, locale: string): string {
  return fill(message, slots, locale, undefined);
}

function fill(message: string, slots: Slots, locale: string, count: number | undefined): string {
  let out = '';
  for (let i = 0; i < message.length; ) {
    const c = message[i]!;
    if (c === '#' && count !== undefined) {
      out += new Intl.NumberFormat(locale).format(count);
      i++;
    } else if (c === '{') {
      const end = closing(message, i);
      out += slot(message.slice(i + 1, end), slots, locale);
      i = end + 1;
    } else {
      out += c;
      i++;
    }
  }
  return out;
}

function slot(inner: string, slots: Slots, locale: string): string {
  const parts = /^\s*(\w+)\s*(?:,\s*plural\s*,([\s\S]*))?$/.exec(inner);
  if (!parts) throw new Error(`malformed slot {${inner}}`);
  const value = slots[parts[1]!];
  if (value === undefined) throw new Error(`no value for {${parts[1]}}`);
  if (parts[2] === undefined) return typeof value === 'number' ? new Intl.NumberFormat(locale).format(value) : value;
  const count = Number(value);
  const choices = plurals(parts[2]);
  const chosen = choices.get(`=${count}`) ?? choices.get(new Intl.PluralRules(locale).select(count)) ?? choices.get('other');
  if (chosen === undefined) throw new Error(`no plural form for ${count} in {${inner}}`);
  return fill(chosen, slots, locale, count);
}

function plurals(text: string): Map<string, string> {
  const choices = new Map<string, string>();
  for (let i = 0; i < text.length; ) {
    const head = /^\s*(=\d+|\w+)\s*\{/.exec(text.slice(i));
    if (!head) break;
    const open = i + head[0].length - 1;
    const end = closing(text, open);
    choices.set(head[1]!, text.slice(open + 1, end));
    i = end + 1;
  }
  return choices;
}

/** The place of the brace that closes the one at open. */
function closing(text: string, open: number): number {
  let depth = 0;
  for (let i = open; i < text.length; i++) {
    if (text[i] === '{') depth++;
    else if (text[i] === '}' && --depth === 0) return i;
  }
  throw new Error(`no closing brace in ${text}`);
}
