/** What can be done beyond scanning. Its code is loaded when the first of these sheets is opened. */
import './modules.css';

export { ImportSheet } from './import.js';
export { SplitSheet } from './split.js';
export { TextSheet } from './text.js';
