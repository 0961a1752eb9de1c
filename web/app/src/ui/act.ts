import { sentence } from '../i18n/words.js';
import { showToast } from './toast.js';

/** Does what a tap asked for. What goes wrong is said; answers whether it went well. */
export async function act(run: () => Promise<unknown>, done?: string): Promise<boolean> {
  try {
    await run();
    if (done) showToast(done);
    return true;
  } catch (error) {
    showToast(sentence(error));
    return false;
  }
}
