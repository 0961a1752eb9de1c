import { ConnectionError, ProblemError } from '@platen/sdk';
import { beforeEach, expect, test, vi } from 'vitest';

const kept = vi.hoisted(() => new Map<string, string>());
const platen = vi.hoisted(() => ({ job: vi.fn(), followJob: vi.fn() }));
vi.mock('../src/api.js', () => ({ platen, onSignedOut: () => {} }));
vi.stubGlobal('localStorage', {
  getItem: (key: string) => kept.get(key) ?? null,
  setItem: (key: string, value: string) => void kept.set(key, value),
  removeItem: (key: string) => void kept.delete(key),
});
vi.stubGlobal('document', { documentElement: {}, title: '', addEventListener: () => {}, visibilityState: 'hidden' });
vi.stubGlobal('navigator', { languages: ['en'], language: 'en' });

const { findRunningJob } = await import('../src/store/live.js');

const notFound = new ProblemError({ status: 404, code: 'not-found', title: 'It is not there.', type: 'about:blank', retryable: false });

beforeEach(() => {
  kept.set('platen.job', '"j"');
  platen.followJob.mockClear();
});

test.each([
  ['a job that has ended is forgotten', () => Promise.resolve({ id: 'j', state: 'completed' }), false, 0],
  ['a job that is gone is forgotten', () => Promise.reject(notFound), false, 0],
  ['a lost line forgets nothing', () => Promise.reject(new ConnectionError(undefined)), true, 0],
  ['a running job is followed', () => Promise.resolve({ id: 'j', state: 'processing' }), true, 1],
])('%s', async (_, answer, remembered, followed) => {
  platen.job.mockImplementation(answer);
  await findRunningJob();
  expect(kept.has('platen.job')).toBe(remembered);
  expect(platen.followJob).toHaveBeenCalledTimes(followed);
});
