import { ConnectionError, type ModuleName, type ModuleState } from '@platen/sdk';
import { useEffect, useState } from 'preact/hooks';
import { platen } from '../api.js';
import { behindGateway, may } from './session.js';

/** What a scanner computer can do beyond scanning. */
export type Modules = ReadonlyMap<ModuleName, ModuleState>;

const none: Modules = new Map();
const fresh = 60_000; // ms for which an answer is good
const known = new Map<string, { at: number; modules: Promise<Modules> }>();

function modulesOf(node: string): Promise<Modules> {
  const before = known.get(node);
  if (before && Date.now() - before.at < fresh) return before.modules;
  const modules = platen.modules(behindGateway() ? node : undefined).then(
    (list) => new Map(list.map((m) => [m.module, m] as const)),
    (error: unknown) => {
      if (error instanceof ConnectionError) known.delete(node);
      return none; // an older one has none, and says so by an error
    },
  );
  known.set(node, { at: Date.now(), modules });
  return modules;
}

/** The modules of a node; none while they are not known. */
export function useModules(node: string | undefined): Modules {
  const [modules, set] = useState(none);
  useEffect(() => {
    if (node === undefined) return;
    let stale = false;
    void modulesOf(node).then((all) => !stale && set(all));
    return () => {
      stale = true;
    };
  }, [node]);
  return modules;
}

/** Reports whether a module can be used now. */
export function usable(state: ModuleState | undefined): boolean {
  return state !== undefined && state.installed && state.licensed;
}

/** Reports whether a module is offered: to everybody where it works, to administrators also where something is missing. */
export function offered(state: ModuleState | undefined): state is ModuleState {
  return state !== undefined && (usable(state) || may('admin'));
}

/** What is missing of a module, as a key of the texts; undefined if nothing is. */
export function missing(state: ModuleState): 'module.not-installed' | 'module.not-licensed' | undefined {
  return !state.installed ? 'module.not-installed' : !state.licensed ? 'module.not-licensed' : undefined;
}
