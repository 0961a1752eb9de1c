import type { AuditList, Certificate, Setup, SetupChange, SetupChangeList, SetupRequest } from '@platen/sdk';
import { platen } from '../api.js';

export type Slot = 'local' | 'external';

const { transport } = platen;

/** The setup resources; they are there on the setup ports only. */
export const api = {
  setup: (signal?: AbortSignal) => transport.json<Setup>('GET', '/setup', { signal }),
  changes: async (signal?: AbortSignal) => (await transport.json<SetupChangeList>('GET', '/setup/changes', { signal })).items,
  change: (body: SetupRequest) => transport.json<SetupChange>('POST', '/setup/changes', { body }),
  keep: (id: string) => transport.json<SetupChange>('POST', `/setup/changes/${id}/keep`),
  undo: (id: string) => transport.json<SetupChange>('POST', `/setup/changes/${id}/undo`),
  putCertificate: (slot: Slot, certificate: string, key: string) => transport.json<Certificate>('PUT', `/setup/certificates/${slot}`, { body: { certificate, key } }),
  deleteCertificate: (slot: Slot) => transport.empty('DELETE', `/setup/certificates/${slot}`),
  join: (body: { token?: string; address?: string }) => transport.empty('POST', '/setup/gateway', { body }),
  leave: () => transport.empty('DELETE', '/setup/gateway'),
  audit: (cursor: string | undefined, signal?: AbortSignal) => transport.json<AuditList>('GET', '/audit', { query: { limit: 50, cursor }, signal }),
  auditFile: () => transport.url('/audit/export'),
  now: () => platen.now(),
};
