import { device } from './memory.js';
import { createStore } from './store.js';

/** The buttons of the bar change sides. */
export const leftHanded = createStore(device.read<boolean>('left-handed') ?? false);

function apply(): void {
  document.documentElement.classList.toggle('left-handed', leftHanded.get());
}

leftHanded.subscribe(() => {
  device.write('left-handed', leftHanded.get());
  apply();
});
apply();
