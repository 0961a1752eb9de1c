import { render } from 'preact';
import './styles/tokens.css';
import './styles/base.css';
import './styles/components.css';
import './styles/screens.css';
import { App } from './app.js';
import { start } from './store/session.js';
import { installSprite } from './ui/icon.js';
import { followKeyboard } from './ui/keyboard.js';

installSprite();
followKeyboard();
void start();
render(<App />, document.getElementById('app')!);
