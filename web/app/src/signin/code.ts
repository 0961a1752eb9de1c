/** Codes that people read out and type: eight symbols, none of which looks like another. */
export const codeLength = 8;

/** What was typed or pasted, as the service wants it: `k7qm-2x9p` is K7QM2X9P. */
export function tidy(typed: string): string {
  return typed.toUpperCase().replace(/[^A-Z0-9]/g, '').slice(0, codeLength);
}

/** As people read it: K7QM-2X9P. */
export function spell(code: string): string {
  return code.length > 4 ? `${code.slice(0, 4)}-${code.slice(4)}` : code;
}

/** Reports whether there is a symbol that no code has. */
export function strays(code: string): boolean {
  return /[01IO]/.test(code);
}
