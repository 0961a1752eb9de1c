// Starts Debian's Chromium the way all browser scripts do.
import { chromium } from 'playwright-core';

const flags = ['--no-sandbox', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync', '--disable-default-apps'];

/** @param {import('playwright-core').LaunchOptions} [options] */
export function startChromium(options = {}) {
  return chromium.launch({ executablePath: process.env.CHROMIUM || '/usr/bin/chromium', headless: true, ...options, args: [...flags, ...(options.args ?? [])] });
}
