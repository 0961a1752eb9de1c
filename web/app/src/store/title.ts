let screen = 'Platen';
let prefix = '';

/** Names the screen in the browser's tab. */
export function setTitle(title: string): void {
  screen = title;
  show();
}

/** What a running scan puts before it; empty: none runs. */
export function setScanTitle(title: string): void {
  prefix = title;
  show();
}

function show(): void {
  document.title = prefix || (screen === 'Platen' ? 'Platen' : `${screen} · Platen`);
}
