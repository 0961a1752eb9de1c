/**
 * Tells the style sheet how much of the window the on-screen keyboard covers. Some browsers do not
 * shrink the window for it, so what sticks to the bottom would lie behind the keyboard.
 */
export function followKeyboard(): void {
  const view = window.visualViewport;
  if (!view) return;
  const look = (): void => {
    const covered = view.scale === 1 ? Math.max(0, innerHeight - view.height - view.offsetTop) : 0;
    document.documentElement.style.setProperty('--keyboard', `${covered > 80 ? Math.round(covered) : 0}px`);
  };
  view.addEventListener('resize', look);
  view.addEventListener('scroll', look);
}
