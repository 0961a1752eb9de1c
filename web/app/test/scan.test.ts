import type { Capabilities, DeviceOption, Settings, Status } from '@platen/sdk';
import { describe, expect, it } from 'vitest';
import { presets } from '../src/scan/presets.js';
import { adjust, fits, hasResolution, nearest, paperOf, papers, papersFor, qualities, regionOf, takes } from '../src/scan/settings.js';

const glass: Capabilities['sources'][number] = {
  source: 'platen',
  modes: [{ mode: 'color', depths: [8, 16] }, { mode: 'gray', depths: [8] }, { mode: 'lineart', depths: [1] }],
  resolutions: { values: [75, 150, 300, 600, 1200] },
  area: { maxWidth: 215.9, maxHeight: 297 },
};
const feeder: Capabilities['sources'][number] = {
  source: 'adf',
  modes: [{ mode: 'gray', depths: [8] }, { mode: 'color', depths: [8] }],
  resolutions: { min: 100, max: 300, step: 50 },
  area: { maxWidth: 215.9, maxHeight: 355.6 },
};
const duplex = { ...feeder, source: 'adf-duplex' as const };

function able(...sources: Capabilities['sources']): Capabilities {
  return { sources, formats: ['jpeg', 'png'], defaults: { source: sources[0]!.source }, options: [{ name: 'gamma', type: 'fixed', min: 0.5, max: 3 }] };
}
function status(feederState: Status['feeder']): Status {
  return { state: 'idle', feeder: feederState, waiting: 0, since: '2026-11-22T10:00:00.000Z' };
}

describe('nearest', () => {
  it.each([
    [glass.resolutions, 300, 300],
    [glass.resolutions, 1, 75],
    [glass.resolutions, 9999, 1200],
    [glass.resolutions, 225, 300], // the finer of two equals
    [glass.resolutions, 449, 300],
    [feeder.resolutions, 600, 300],
    [feeder.resolutions, 20, 100],
    [feeder.resolutions, 176, 200],
    [{ min: 50, max: 1200 }, 333, 333],
    [{ min: 50, max: 220, step: 100 }, 220, 150],
  ])('%j at %i is %i, and the source has it', (resolutions, dpi, want) => {
    expect(nearest(resolutions, dpi)).toBe(want);
    expect(hasResolution(resolutions, want)).toBe(true);
  });
});

describe('qualities', () => {
  it('drops what comes out the same', () => {
    expect(qualities(glass)).toEqual([{ name: 'small', dpi: 150 }, { name: 'normal', dpi: 300 }, { name: 'fine', dpi: 600 }]);
    expect(qualities(feeder)).toEqual([{ name: 'small', dpi: 150 }, { name: 'normal', dpi: 300 }]);
  });
});

describe('papers', () => {
  it('are those that fit, Letter first where people use inches', () => {
    expect(papersFor(glass, 'de-DE').map((p) => p.name)).toEqual(['A4', 'A5', 'Letter', '10 × 15']);
    expect(papersFor(feeder, 'en-US').map((p) => p.name)).toEqual(['Letter', 'Legal', 'A4', 'A5', '10 × 15']);
  });
  it('are found again by their size', () => {
    for (const paper of papers) expect(paperOf(regionOf(paper))).toBe(paper);
    expect(paperOf({ x: 0, y: 0, width: 100, height: 100 })).toBeUndefined();
    expect(fits({ ...glass, area: { maxWidth: 209.97, maxHeight: 296.9 } }, regionOf(papers[0]!))).toBe(true);
  });
});

describe('adjust', () => {
  const c = able(glass, feeder, duplex);
  it('leaves what fits alone', () => {
    const settings: Settings = { source: 'platen', mode: 'color', depth: 16, resolution: 600, format: 'png', region: regionOf(papers[0]!), options: { gamma: '1.5' } };
    expect(adjust(c, settings)).toEqual({ settings, adjustments: [] });
  });
  it('changes what does not, and says it', () => {
    const { settings, adjustments } = adjust(c, { source: 'adf', mode: 'lineart', depth: 1, resolution: 600, region: { x: 0, y: 0, width: 400, height: 400 }, options: { gamma: '9', gone: 'x' } });
    expect(settings).toEqual({ source: 'adf', mode: 'gray', resolution: 300 });
    expect(adjustments).toEqual([{ what: 'colour', mode: 'gray' }, { what: 'quality', dpi: 300 }, { what: 'paper' }]);
  });
  it('takes JPEG back where the samples have not 8 bits', () => {
    expect(adjust(c, { source: 'platen', mode: 'lineart', format: 'jpeg' }).settings).toEqual({ source: 'platen', mode: 'lineart' });
  });
  it('comes to a source that there is', () => {
    expect(adjust(able(feeder), { source: 'platen' }).settings.source).toBe('adf');
    expect(adjust({ ...c, sources: [] }, { source: 'platen' }).settings).toEqual({});
  });
});

describe('takes', () => {
  it.each<[DeviceOption['type'], Partial<DeviceOption>, string, boolean]>([
    ['bool', {}, 'yes', true],
    ['bool', {}, 'true', false],
    ['int', { min: 1, max: 5 }, '5', true],
    ['int', { min: 1, max: 5 }, '6', false],
    ['int', {}, '1.5', false],
    ['int', {}, '', false],
    ['fixed', { min: 0.5 }, '0.75', true],
    ['fixed', { values: ['0.5', '1.0'] }, '1', true],
    ['fixed', { values: ['0.5', '1.0'] }, '2', false],
    ['string', { values: ['a'] }, 'b', false],
    ['string', {}, 'anything', true],
    ['button', {}, 'x', false],
  ])('%s %j %s: %s', (type, more, value, want) => {
    expect(takes({ ...more, name: 'x', type }, value)).toBe(want);
  });
});

describe('presets', () => {
  const shown = (c: Capabilities, s: Status, last?: 'adf'): string[] => presets(c, s, last).map((p) => `${p.id} ${p.settings.source} ${p.settings.mode} ${p.settings.resolution}`);
  it('take the feeder when paper lies in it', () => {
    expect(shown(able(glass, feeder, duplex), status('loaded'))).toEqual(['document adf color 300', 'both-sides adf-duplex color 300', 'photo platen color 600', 'grey adf gray 300']);
  });
  it('take the glass when the feeder is empty, or cannot tell', () => {
    expect(shown(able(glass, feeder, duplex), status('empty'))[0]).toBe('document platen color 300');
    expect(shown(able(glass, feeder), status('unknown'))[0]).toBe('document platen color 300');
  });
  it('take the feeder that cannot tell when it was used last', () => {
    expect(shown(able(glass, feeder), status('unknown'), 'adf')[0]).toBe('document adf color 300');
  });
  it('offer only what the scanner has', () => {
    expect(shown(able(glass), status('none'))).toEqual(['document platen color 300', 'photo platen color 600', 'text platen lineart 300', 'grey platen gray 300']);
    expect(shown(able(feeder), status('empty'))).toEqual(['document adf color 300', 'grey adf gray 300']);
    expect(presets({ ...able(glass), sources: [] }, status('none'))).toEqual([]);
  });
  it('ask for what the scanner can do', () => {
    for (const c of [able(glass, feeder, duplex), able(glass), able(feeder)]) {
      for (const p of presets(c, status('loaded'))) expect(adjust(c, p.settings).adjustments).toEqual([]);
    }
  });
});
