import type { Setup, SetupChange } from '@platen/sdk';

/** The settings whose new values wait for a restart. `changes` has the newest first. */
export function pendingRestart(setup: Setup, changes: SetupChange[]): string[] {
  const values = new Map<string, { was: string; now: string }>(); // by key, since the start
  for (const change of changes) {
    if (!change.time || change.time < setup.started || change.state === 'reverted') continue;
    for (const { key, before, after } of change.changes) values.set(key, { was: before, now: values.get(key)?.now ?? after });
  }
  return setup.settings.filter(({ key, restart }) => {
    const value = values.get(key);
    return restart && value && value.was !== value.now;
  }).map((s) => s.key);
}
