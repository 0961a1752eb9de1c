import { PlatenAdmin, PlatenClient } from '@platen/sdk';

let signedOut: (code: string) => void = () => {};

/** Called when the service no longer knows this device. */
export function onSignedOut(callback: (code: string) => void): void {
  signedOut = callback;
}

/** The service that this page came from; the session is its cookie. */
export const platen = new PlatenClient({
  fetch: async (input, init) => {
    const response = await fetch(input, init);
    if (response.status === 401) signedOut('session-required');
    return response;
  },
  // Browsers reach scanner computers directly from secure pages only. session.ts turns it off where there is no gateway between.
  ...(isSecureContext ? { roads: true as const } : {}),
});

/** People, access and nodes at the same service. */
export const admin = new PlatenAdmin(platen);
