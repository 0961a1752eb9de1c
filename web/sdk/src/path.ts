/** A path with its values escaped. */
export function path(parts: TemplateStringsArray, ...values: (string | number)[]): string {
  return String.raw({ raw: parts }, ...values.map((v) => encodeURIComponent(v)));
}
