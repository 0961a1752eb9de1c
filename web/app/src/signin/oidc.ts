import { ProblemError, type SessionRequest } from '@platen/sdk';
import { admin } from '../api.js';
import { tab } from '../store/memory.js';
import { here } from './link.js';

export const doneAt = '/sign-in/done';

interface Flow {
  flow: string;
  /** Where the user was. */
  back: string;
}

const kept = 'oidc';

/** Leaves for the office's identity provider, which sends the browser back to doneAt. */
export async function leaveForOIDC(): Promise<void> {
  const { url, flow } = await admin.startOIDC();
  tab.write(kept, { flow, back: here() } satisfies Flow);
  location.assign(url);
}

/** What the provider sent the browser back with. */
export interface ProviderAnswer {
  credential: SessionRequest | undefined;
  back: string;
  /** The user or the provider said no: OAuth's error word. */
  refused: string | undefined;
}

/** Takes the provider's answer out of the address, at once, and the flow out of the tab: both work once. */
export function takeProviderAnswer(): ProviderAnswer {
  const query = new URLSearchParams(location.search);
  history.replaceState(history.state, '', doneAt);
  const flow = tab.read<Flow>(kept);
  tab.forget(kept);
  const code = query.get('code');
  const state = query.get('state');
  return {
    credential: flow && code && state ? { oidc: { flow: flow.flow, code, state } } : undefined,
    back: flow && /^\/(?!\/)/.test(flow.back) ? flow.back : '/',
    refused: query.get('error') ?? undefined,
  };
}

/** The flow was begun in another tab or too long ago. */
export function lostFlow(): ProblemError {
  return new ProblemError({ type: 'about:blank', status: 403, code: 'flow-expired', title: '', retryable: false });
}
