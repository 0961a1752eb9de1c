import type { Capabilities, ColorMode, DeviceOption, Format, Scanner, Settings, SourceCapabilities } from '@platen/sdk';
import { useId, useState } from 'preact/hooks';
import { locale, t, type Key } from '../i18n/index.js';
import { firstSettings } from '../scan/presets.js';
import { lastSettings } from '../scan/remember.js';
import { adjust, feeds, fits, hasResolution, nearest, paperOf, papersFor, qualities, regionOf, settable, sourceOf, takes, type Adjustment } from '../scan/settings.js';
import { Banner, Field, Segmented, Switch } from '../ui/bits.js';
import { Button } from '../ui/button.js';
import { Icon } from '../ui/icon.js';
import { Sheet } from '../ui/sheet.js';

interface Props {
  open: boolean;
  onClose: () => void;
  scanner: Scanner;
  capabilities: Capabilities;
  onScan: (settings: Settings) => void;
}

/** All settings of a scanner, made from its capabilities: what it lacks is not there. */
export function SettingsSheet(props: Props) {
  return props.open ? <OpenSettings {...props} /> : null;
}

const severalSheets = 1000;

function OpenSettings({ onClose, scanner, capabilities, onScan }: Props) {
  const [settings, set] = useState<Settings>(() => adjust(capabilities, lastSettings(scanner.id) ?? firstSettings(capabilities, scanner.status)).settings);
  const [notes, setNotes] = useState<Adjustment[]>([]);
  const source = sourceOf(capabilities, settings.source);
  if (!source) return null;
  const change = (more: Settings): void => {
    const adjusted = adjust(capabilities, { ...settings, ...more });
    set(adjusted.settings);
    setNotes(adjusted.adjustments);
  };
  const without = (...names: (keyof Settings)[]): void => {
    const rest = { ...settings };
    for (const name of names) delete rest[name];
    set(adjust(capabilities, rest).settings);
  };
  return (
    <Sheet
      open
      panel
      onClose={onClose}
      title={t('settings.title')}
      foot={<>
        <Button kind="plain" class="first" onClick={() => {
          set(firstSettings(capabilities, scanner.status));
          setNotes([]);
        }}>{t('settings.reset')}</Button>
        <Button kind="primary" data-action="scan" onClick={() => onScan(settings)}>{t('settings.scan')}</Button>
      </>}
    >
      <Sources capabilities={capabilities} settings={settings} change={change} />
      <Colour source={source} settings={settings} change={change} />
      <Quality source={source} settings={settings} change={change} />
      <PaperSize source={source} settings={settings} change={change} without={without} />
      {notes.length > 0 && <div role="status"><Banner icon="info" title={notes.map(noteText).join(' ')} /></div>}
      <details class="more">
        <summary>{t('settings.more')}<Icon name="chevron-right" size={20} /></summary>
        <div>
          <More capabilities={capabilities} source={source} settings={settings} change={change} without={without} />
        </div>
      </details>
    </Sheet>
  );
}

function noteText(note: Adjustment): string {
  switch (note.what) {
    case 'quality':
      return t('settings.adjusted.quality', { dpi: String(note.dpi) });
    case 'colour':
      return t('settings.adjusted.colour', { mode: t(`settings.colour.${note.mode}`) });
    case 'paper':
      return t('settings.adjusted.paper');
  }
}

type Change = (more: Settings) => void;

function Sources({ capabilities, settings, change }: { capabilities: Capabilities; settings: Settings; change: Change }) {
  const has = (s: string): boolean => capabilities.sources.some((x) => x.source === s);
  const single = has('adf');
  const duplex = has('adf-duplex');
  const feeder = feeds(settings.source);
  return (
    <>
      {has('platen') && (single || duplex) && (
        <Segmented
          name="source"
          label={t('settings.source')}
          value={feeder ? 'feeder' : 'platen'}
          choices={[{ value: 'platen', label: t('settings.source.platen') }, { value: 'feeder', label: t('settings.source.feeder') }]}
          onChange={(to) => change(to === 'platen' ? { source: 'platen', pages: 0 } : { source: single ? 'adf' : 'adf-duplex', pages: 0 })}
        />
      )}
      {feeder && single && duplex && (
        <Segmented
          name="sides"
          label={t('settings.sides')}
          value={settings.source === 'adf-duplex' ? 'both' : 'one'}
          choices={[{ value: 'one', label: t('settings.sides.one') }, { value: 'both', label: t('settings.sides.both') }]}
          onChange={(to) => change({ source: to === 'both' ? 'adf-duplex' : 'adf' })}
        />
      )}
      {!feeder && (
        <Segmented
          name="sheets"
          label={t('settings.sheets')}
          value={(settings.pages ?? 0) > 1 ? 'more' : 'one'}
          choices={[{ value: 'one', label: t('settings.sheets.one') }, { value: 'more', label: t('settings.sheets.more') }]}
          onChange={(to) => change({ pages: to === 'more' ? severalSheets : 0 })}
          hint={(settings.pages ?? 0) > 1 ? t('settings.sheets.more.hint') : undefined}
        />
      )}
    </>
  );
}

function Colour({ source, settings, change }: { source: SourceCapabilities; settings: Settings; change: Change }) {
  const mode = settings.mode ?? source.defaults?.mode ?? source.modes[0]?.mode;
  if (!mode || source.modes.length < 2) return null;
  return (
    <Segmented<ColorMode>
      name="mode"
      label={t('settings.colour')}
      value={mode}
      choices={source.modes.map((m) => ({ value: m.mode, label: t(`settings.colour.${m.mode}`) }))}
      onChange={(to) => change({ mode: to })}
    />
  );
}

function Quality({ source, settings, change }: { source: SourceCapabilities; settings: Settings; change: Change }) {
  const choices = qualities(source);
  if (choices.length < 2) return null;
  return (
    <Segmented
      name="quality"
      label={t('settings.quality')}
      value={settings.resolution ?? nearest(source.resolutions, 300)}
      choices={choices.map(({ name, dpi }) => ({ value: dpi, label: t(`settings.quality.${name}` as Key), hint: t('settings.quality.dpi', { dpi: String(dpi) }) }))}
      onChange={(dpi) => change({ resolution: dpi })}
    />
  );
}

function PaperSize({ source, settings, change, without }: { source: SourceCapabilities; settings: Settings; change: Change; without: (name: keyof Settings) => void }) {
  const id = useId();
  const offered = papersFor(source, locale());
  const chosen = paperOf(settings.region);
  return (
    <Field label={t('settings.paper')} for={id}>
      <select
        id={id}
        data-setting="paper"
        value={chosen?.name ?? (settings.region ? 'region' : '')}
        onChange={(event) => {
          const paper = offered.find((p) => p.name === event.currentTarget.value);
          if (paper) change({ region: regionOf(paper) });
          else without('region');
        }}
      >
        <option value="">{t('settings.paper.auto')}</option>
        {offered.map((p) => <option key={p.name} value={p.name}>{p.name}</option>)}
        {settings.region && !chosen && fits(source, settings.region) && (
          <option value="region">{t('settings.paper.size', { width: settings.region.width, height: settings.region.height })}</option>
        )}
      </select>
    </Field>
  );
}

function More({ capabilities, source, settings, change, without }: { capabilities: Capabilities; source: SourceCapabilities; settings: Settings; change: Change; without: (...names: (keyof Settings)[]) => void }) {
  const dpi = useId();
  const limit = useId();
  const quality = useId();
  const { resolutions } = source;
  const mode = source.modes.find((m) => m.mode === (settings.mode ?? source.defaults?.mode)) ?? source.modes[0];
  const depth = settings.depth ?? mode?.depths[0];
  const formats = capabilities.formats.filter((f) => f === 'png' || (f === 'jpeg' && depth === 8));
  const format = settings.format ?? (depth === 8 && formats.includes('jpeg') ? 'jpeg' : 'png');
  const resolution = settings.resolution ?? nearest(resolutions, 300);
  return (
    <>
      <Field label={t('settings.resolution')} for={dpi} hint={resolutions.values?.length ? undefined : t('settings.range', { min: String(resolutions.min ?? 0), max: String(resolutions.max ?? 0) })}>
        {resolutions.values?.length ? (
          <select id={dpi} data-setting="resolution" value={resolution} onChange={(event) => change({ resolution: Number(event.currentTarget.value) })}>
            {resolutions.values.map((v) => <option key={v} value={v}>{v}</option>)}
          </select>
        ) : (
          <input
            id={dpi}
            data-setting="resolution"
            type="number"
            inputMode="numeric"
            min={resolutions.min}
            max={resolutions.max}
            step={resolutions.step ?? 1}
            value={resolution}
            onChange={(event) => {
              const wanted = Number(event.currentTarget.value);
              change({ resolution: hasResolution(resolutions, wanted) ? wanted : nearest(resolutions, wanted) });
            }}
          />
        )}
      </Field>
      {mode && mode.depths.length > 1 && (
        <Segmented name="depth" label={t('settings.depth')} value={depth ?? 8} choices={mode.depths.map((d) => ({ value: d, label: String(d) }))}
          onChange={(d) => change({ depth: d as 1 | 8 | 16 })} />
      )}
      {formats.length > 1 && (
        <Segmented<Format> name="format" label={t('settings.format')} value={format} choices={formats.map((f) => ({ value: f, label: f.toUpperCase() }))}
          onChange={(f) => change({ format: f as 'jpeg' | 'png' })} />
      )}
      {format === 'jpeg' && (
        <Field label={t('settings.jpeg-quality')} for={quality} hint={t('settings.range', { min: 1, max: 100 })}>
          <input id={quality} data-setting="jpeg-quality" type="number" inputMode="numeric" min={1} max={100} value={settings.quality ?? 85}
            onChange={(event) => change({ quality: Math.min(100, Math.max(1, Math.round(Number(event.currentTarget.value)) || 85)) })} />
        </Field>
      )}
      {feeds(settings.source) && (
        <Field label={t('settings.page-limit')} for={limit}>
          <input id={limit} data-setting="pages" type="number" inputMode="numeric" min={1} max={1000} placeholder={t('settings.page-limit.all')} value={settings.pages || ''}
            onChange={(event) => change({ pages: Math.min(1000, Math.max(0, Math.round(Number(event.currentTarget.value)) || 0)) })} />
        </Field>
      )}
      <DeviceOptions options={capabilities.options ?? []} settings={settings} change={change} without={without} />
    </>
  );
}

/** The device's own options, in its own words and order. */
function DeviceOptions({ options, settings, change, without }: { options: DeviceOption[]; settings: Settings; change: Change; without: (name: keyof Settings) => void }) {
  const shown = options.filter(settable);
  if (shown.length === 0) return null;
  const set = (name: string, value: string | undefined): void => {
    const next = { ...settings.options };
    if (value === undefined) delete next[name];
    else next[name] = value;
    if (Object.keys(next).length) change({ options: next });
    else without('options');
  };
  const groups = [...new Set(shown.map((o) => o.group ?? ''))];
  return (
    <>
      <h3>{t('settings.device')}</h3>
      {groups.map((group) => (
        <div key={group} lang="en" style={{ display: 'grid', gap: '16px' }}>
          {group && <h2>{group}</h2>}
          {shown.filter((o) => (o.group ?? '') === group).map((o) => <Option key={o.name} option={o} value={settings.options?.[o.name]} set={(v) => set(o.name, v)} />)}
        </div>
      ))}
    </>
  );
}

function Option({ option, value, set }: { option: DeviceOption; value: string | undefined; set: (value: string | undefined) => void }) {
  const id = useId();
  const label = `${option.title ?? option.name}${option.unit ? ` (${option.unit})` : ''}`;
  const now = value ?? option.default ?? '';
  const inactive = option.inactive ? t('settings.device.inactive') : undefined;
  if (option.type === 'bool') return <Switch name={option.name} label={label} checked={now === 'yes'} onChange={(on) => set(on ? 'yes' : 'no')} hint={[option.description, inactive].filter(Boolean).join(' ') || undefined} />;
  const range = option.min !== undefined && option.max !== undefined ? t('settings.range', { min: String(option.min), max: String(option.max) }) : undefined;
  if (option.values?.length) {
    return (
      <Field label={label} for={id} hint={[option.description, inactive].filter(Boolean).join(' ') || undefined}>
        <select id={id} data-option={option.name} value={now} onChange={(event) => set(event.currentTarget.value || undefined)}>
          {!option.values.includes(now) && <option value="">{t('settings.device.default')}</option>}
          {option.values.map((v) => <option key={v} value={v}>{v}</option>)}
        </select>
      </Field>
    );
  }
  return (
    <Field label={label} for={id} hint={[option.description, range, inactive].filter(Boolean).join(' · ') || undefined}>
      <input
        id={id}
        data-option={option.name}
        type="text"
        inputMode={option.type === 'int' ? 'numeric' : option.type === 'fixed' ? 'decimal' : 'text'}
        value={now}
        placeholder={t('settings.device.default')}
        onChange={(event) => {
          const { value: typed } = event.currentTarget;
          if (typed === '') set(undefined);
          else if (takes(option, typed)) set(typed);
          else event.currentTarget.value = now;
        }}
      />
    </Field>
  );
}
