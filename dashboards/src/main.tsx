/** Starts the app: colours first, so that nothing flashes, then everything else. */
import { render } from 'preact';
import { App } from './app';
import { startTheme } from './settings';

startTheme();

const root = document.getElementById('app');
if (root) render(<App />, root);
