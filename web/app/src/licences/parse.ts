/** What people type into the fields of these screens. */

/** Numbers between commas, from high to low or as typed; undefined if one is none, out of range or doubled, or there are more than ten. */
export function numbersOf(text: string, min: number, max: number): number[] | undefined {
  const parts = text.split(/[,;\s]+/).filter(Boolean);
  const numbers = parts.map((p) => (/^\d{1,3}$/.test(p) ? Number(p) : NaN));
  if (numbers.length > 10 || new Set(numbers).size < numbers.length || numbers.some((n) => !(n >= min && n <= max))) return undefined;
  return numbers;
}

/** What stands on lines, or between commas, each once. */
export function linesOf(text: string): string[] {
  return [...new Set(text.split(/[\n,;]+/).map((part) => part.trim()).filter(Boolean))];
}

export function isMail(text: string): boolean {
  return text.length <= 254 && /^[^\s@<>"(),;:\\[\]]+@[^\s@<>"(),;:\\[\]]+$/.test(text) && !text.endsWith('.');
}

export function isWebhook(text: string): boolean {
  try {
    const { protocol, username, password, hash } = new URL(text);
    return text.length <= 2048 && (protocol === 'https:' || protocol === 'http:') && !username && !password && !hash;
  } catch {
    return false;
  }
}

/** As keys name web pages: an origin, or every sub-domain of a host. */
export function isPattern(text: string): boolean {
  const host = /^(https?):\/\/(\*\.)?([^/*]+)$/.exec(text);
  if (!host) return false;
  try {
    const { origin } = new URL(`${host[1]}://${host[3]}`);
    return origin === `${host[1]}://${host[3]}` && (!host[2] || host[3]!.split(':')[0]!.includes('.'));
  } catch {
    return false;
  }
}

export const isOrganisation = (text: string): boolean => /^[A-Za-z0-9]{1,32}$/.test(text);
export const isCode = (text: string): boolean => /^[A-Za-z0-9_]{1,64}$/.test(text);

/** A key as it was pasted: mails break it into lines. */
export function keyOf(text: string): string {
  return text.replace(/\s+/g, '');
}
