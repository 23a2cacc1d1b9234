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

const executablePath = () => {
  const path = process.env.METKA_CHROMIUM ?? PLACES.find(existsSync);
  if (!path) throw new Error(`no Chromium at ${PLACES.join(', ')}: install it, or name it in METKA_CHROMIUM`);
  return path;
};

/** `ignored` are flags of the driver's own set that a test can do without, `more` are added. */
export const launch = ({ ignored = [], more = [] } = {}) =>
  chromium.launch({ executablePath: executablePath(), args: [...FLAGS, ...more], ignoreDefaultArgs: ignored });

/** A browser with a profile of its own, and its only context. */
export const launchWith = (profile, { ignored = [], more = [], ...options } = {}) =>
  chromium.launchPersistentContext(profile, {
    executablePath: executablePath(),
    args: [...FLAGS, ...more],
    ignoreDefaultArgs: ignored,
    ...options,
  });
