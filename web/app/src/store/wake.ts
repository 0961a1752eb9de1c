let wanted = false;
let lock: WakeLockSentinel | undefined;

/** Keeps the screen on while a scan runs. A refusal is accepted silently; asked again when the page is shown again. */
export function keepAwake(on: boolean): void {
  if (on === wanted) return;
  wanted = on;
  if (on) void request();
  else {
    void lock?.release().catch(() => {});
    lock = undefined;
  }
}

async function request(): Promise<void> {
  if (!wanted || lock || document.visibilityState !== 'visible' || !('wakeLock' in navigator)) return;
  try {
    const got = await navigator.wakeLock.request('screen');
    if (!wanted) {
      await got.release();
      return;
    }
    lock = got;
    got.addEventListener('release', () => (lock = undefined));
  } catch {
    // Low battery, or not allowed here.
  }
}

document.addEventListener('visibilitychange', () => void request());
