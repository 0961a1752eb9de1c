import { useId, useLayoutEffect, useRef } from 'preact/hooks';
import { t } from '../i18n/index.js';
import { spell, strays, tidy } from '../signin/code.js';

interface CodeFieldProps {
  label: string;
  hint: string;
  value: string;
  onChange: (code: string) => void;
  name: string;
}

/** A typed code of eight symbols. Small letters, blanks and hyphens do not matter; it is shown as it is printed. */
export function CodeField({ label, hint, value, onChange, name }: CodeFieldProps) {
  const id = useId();
  const input = useRef<HTMLInputElement>(null);
  const caret = useRef<number | undefined>(undefined);
  useLayoutEffect(() => {
    const element = input.current!;
    if (element.value !== spell(value)) element.value = spell(value);
    const at = caret.current;
    caret.current = undefined;
    if (at !== undefined) element.setSelectionRange(at, at);
  });
  const wrong = strays(value);
  return (
    <div class="field">
      <label for={id}>{label}</label>
      <input
        ref={input}
        id={id}
        class="code-field"
        type="text"
        name={name}
        inputMode="text"
        autoComplete="one-time-code"
        autoCapitalize="characters"
        autoCorrect="off"
        spellcheck={false}
        placeholder="––––-––––"
        aria-describedby={`${id}-hint`}
        aria-invalid={wrong}
        onInput={(event) => {
          const element = event.currentTarget;
          const code = tidy(element.value);
          // The caret stays behind the symbol that was typed, whatever hyphens come and go.
          const before = tidy(element.value.slice(0, element.selectionStart ?? element.value.length)).length;
          const at = before > 4 ? before + 1 : before;
          element.value = spell(code);
          element.setSelectionRange(at, at);
          caret.current = at;
          onChange(code);
        }}
      />
      <p class={`label ${wrong ? 'bad-text' : 'quiet'}`} id={`${id}-hint`} role={wrong ? 'alert' : undefined}>{wrong ? t('code.strays') : hint}</p>
    </div>
  );
}
