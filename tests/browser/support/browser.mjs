// Starts the Chromium that the tests drive.
import { existsSync } from 'node:fs';
import { chromium } from 'playwright-core';

/** Where distributions put it; `METKA_CHROMIUM` wins. */
const PLACES = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'];

const FLAGS = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

/** `ignored` are flags of the driver's own set that a test can do without. */
export function launch({ ignored = [] } = {}) {
  const executablePath = process.env.METKA_CHROMIUM ?? PLACES.find(existsSync);
  if (!executablePath) throw new Error(`no Chromium at ${PLACES.join(', ')}: install it, or name it in METKA_CHROMIUM`);
  return chromium.launch({ executablePath, args: FLAGS, ignoreDefaultArgs: ignored });
}
