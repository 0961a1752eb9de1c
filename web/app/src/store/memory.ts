/** What this browser remembers. Storage can be switched off or full: then nothing is remembered, and nothing fails. */
export interface Memory {
  read<T>(key: string): T | undefined;
  write(key: string, value: unknown): void;
  forget(key: string): void;
}

function memory(area: () => Storage): Memory {
  const name = (key: string): string => `platen.${key}`;
  return {
    read<T>(key: string): T | undefined {
      try {
        const text = area().getItem(name(key));
        return text === null ? undefined : (JSON.parse(text) as T);
      } catch {
        return undefined;
      }
    },
    write(key, value) {
      try {
        area().setItem(name(key), JSON.stringify(value));
      } catch {
        // Nothing is remembered.
      }
    },
    forget(key) {
      try {
        area().removeItem(name(key));
      } catch {
        // There was nothing.
      }
    },
  };
}

/** For as long as the user leaves it. */
export const device = memory(() => localStorage);
/** For as long as the tab lives. */
export const tab = memory(() => sessionStorage);
