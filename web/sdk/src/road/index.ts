/** The roads from a page to a node; loaded when the first page is fetched. */
export { Roads } from './manager.js';
