// A real browser, and how the tests look at a page. What is seen goes to standard output, one JSON line for each thing.

import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';

const DESKTOP = { width: 1100, height: 800 };
const PHONE = { width: 390, height: 844 };

export const say = (what) => console.log(JSON.stringify(what));

/// Starts the browser. `modules` is where its driver and the accessibility checker are; with `pictures`, a folder, screenshots are left there.
export async function start(modules, url, pictures) {
  const require = createRequire(pathToFileURL(modules));
  const { chromium } = require('playwright-core');
  const axe = require.resolve('axe-core/axe.min.js');
  const browser = await chromium.launch({
    executablePath: process.env.GANTRAL_BROWSER ?? '/usr/bin/chromium',
    args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
      '--disable-component-update', '--disable-sync'],
  });

  /// Opens a window of somebody, who shares no cookie with anybody; `options` are those of a browser context.
  async function somebody(options = {}) {
    // The checker is a script that no page of ours lets in; everything that the policy of the pages refuses is told.
    const context = await browser.newContext({ bypassCSP: true, viewport: DESKTOP, ...options });
    const page = await context.newPage();
    page.setDefaultTimeout(30_000);
    page.on('pageerror', (error) => say({ broken: error.message }));
    page.on('dialog', (dialog) => { say({ broken: `a dialog: ${dialog.message()}` }); dialog.dismiss(); });
    page.on('request', (request) => {
      const ours = request.frame().url().startsWith(url) && !request.isNavigationRequest();
      if (ours && !request.url().startsWith(url)) say({ elsewhere: request.url() });
    });
    // The provider's pages name fonts of another host, which are nobody's business here.
    await page.route((address) => !['127.0.0.1', new URL(url).hostname].includes(address.hostname), (route) => route.abort());
    return page;
  }

  /// Looks at a page: what the accessibility checker finds, light and dark, wide and narrow; and whether it fits a phone.
  async function look(page, name) {
    for (const colorScheme of ['light', 'dark']) {
      await page.emulateMedia({ colorScheme });
      await page.addScriptTag({ path: axe });
      const found = await page.evaluate(() => axe.run());
      for (const { impact, id, nodes } of found.violations) say({ page: name, colorScheme, impact, id, at: nodes[0].html });
      await page.setViewportSize(PHONE);
      const wider = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
      if (wider > 0) say({ page: name, wider });
      if (pictures && colorScheme === 'light') await page.screenshot({ path: `${pictures}/${name}-phone.png`, fullPage: true });
      await page.setViewportSize(DESKTOP);
      if (pictures) {
        const suffix = colorScheme === 'dark' ? '-dark' : '';
        await page.screenshot({ path: `${pictures}/${name}${suffix}.png`, fullPage: true });
      }
    }
    await page.emulateMedia({ colorScheme: 'light' });
    say({ looked: name });
  }

  return { somebody, look, close: () => browser.close() };
}

/// Presses Tab until what is focused fits, as somebody without a mouse does.
export async function tabTo(page, selector) {
  for (let count = 0; count < 80; count += 1) {
    await page.keyboard.press('Tab');
    if (await page.evaluate((wanted) => document.activeElement.matches(wanted), selector)) return;
  }
  throw new Error(`no ${selector} is reached by Tab`);
}

/// Logs in at the identity provider: a name, any password, and yes to what the console may know.
export async function atProvider(page, name) {
  await page.getByRole('link', { name: 'Log in at' }).click();
  await page.locator('input[name=login]').fill(name);
  await page.locator('input[name=password]').fill('any');
  await page.locator('button[type=submit]').click();
  await page.locator('button[type=submit]:not([name=abort])', { hasText: 'Continue' }).click();
  await page.waitForURL('**/console/');
}
