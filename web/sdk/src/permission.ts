import { nearer, type AddressSpace } from './space.js';

/** What the browser says of a page in one space reaching another; `granted` where it has no such gate, or does not say. */
export async function permissionFor(target: AddressSpace, page: AddressSpace): Promise<PermissionState> {
  if (typeof navigator === 'undefined' || !nearer(target, page)) return 'granted';
  try {
    // Never `local-network-access`, the older name: asking for it has crashed browsers.
    const name = (target === 'loopback' ? 'loopback-network' : 'local-network') as PermissionName;
    return (await navigator.permissions.query({ name })).state;
  } catch {
    return 'granted';
  }
}
