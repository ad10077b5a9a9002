// A person at the console, in a real browser.
//
// usage: node console.mjs MODULES URL mouse|keyboard|provider [PICTURES]
// Prints one JSON line for each thing that is seen; the test compares. With PICTURES, a folder, it leaves screenshots there.

import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';

const [modules, url, hands, pictures] = process.argv.slice(2);
const require = createRequire(pathToFileURL(modules));
const { chromium } = require('playwright-core');
const AXE = require.resolve('axe-core/axe.min.js');
const DESKTOP = { width: 1100, height: 800 };
const PHONE = { width: 390, height: 844 };
const say = (what) => console.log(JSON.stringify(what));

const browser = await chromium.launch({
  executablePath: process.env.GANTRAL_BROWSER ?? '/usr/bin/chromium',
  args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
    '--disable-component-update', '--disable-sync'],
});
// The checker is a script that no page of ours lets in; everything that the policy of the pages refuses is told.
const page = await (await browser.newContext({ bypassCSP: true, viewport: DESKTOP })).newPage();
page.setDefaultTimeout(30_000);
page.on('pageerror', (error) => say({ broken: error.message }));
page.on('request', (request) => {
  const ours = request.frame().url().startsWith(url) && !request.isNavigationRequest();
  if (ours && !request.url().startsWith(url)) say({ elsewhere: request.url() });
});
// The provider's pages name fonts of another host, which are nobody's business here.
await page.route((address) => address.hostname !== '127.0.0.1', (route) => route.abort());

/// Looks at a page: what the accessibility checker finds, light and dark, wide and narrow; and whether it fits a phone.
async function look(name) {
  for (const colorScheme of ['light', 'dark']) {
    await page.emulateMedia({ colorScheme });
    await page.addScriptTag({ path: AXE });
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

/// Presses Tab until what is focused fits, as somebody without a mouse does.
async function tabTo(selector) {
  for (let count = 0; count < 60; count += 1) {
    await page.keyboard.press('Tab');
    if (await page.evaluate((wanted) => document.activeElement.matches(wanted), selector)) return;
  }
  throw new Error(`no ${selector} is reached by Tab`);
}

/// Logs in at the identity provider: a name, any password, and yes to what the console may know.
async function atProvider() {
  await page.getByRole('link', { name: 'Log in at' }).click();
  await page.locator('input[name=login]').fill('ada');
  await page.locator('input[name=password]').fill('any');
  await page.locator('button[type=submit]').click();
  await page.locator('button[type=submit]:not([name=abort])', { hasText: 'Continue' }).click();
  await page.waitForURL('**/console/');
}

async function withMouse() {
  await look('login');
  if (hands === 'provider') await atProvider();
  else await page.getByRole('button', { name: 'Alice' }).click();
  await page.getByText('Nothing waits').waitFor();
  say({ at: 'inbox' });
  // Nobody loads the page again.
  await page.locator('.card').first().waitFor();
  await look('inbox');
  await page.locator('.card').first().click();
  await look('gate');
  await page.getByText('Approve something else instead').click();
  await page.getByLabel('amount').fill('480');
  await page.getByRole('button', { name: 'See what changes' }).click();
  await look('changes');
  await page.getByLabel('Why').fill('one month is owed, not ten');
  await page.getByRole('button', { name: 'Approve it so' }).click();
  await look('decided');
  await page.getByRole('link', { name: 'What happens next' }).click();
  await page.locator('.state .tag', { hasText: 'COMPLETED' }).waitFor();
  await look('execution');
  await page.getByRole('link', { name: 'Executions' }).first().click();
  await look('executions');
  await page.getByRole('link', { name: 'Help' }).click();
  await look('help');
  await page.getByRole('button', { name: 'Log out' }).click();
  await page.getByRole('heading', { name: 'Log in' }).waitFor();
  say({ done: true });
}

async function withKeyboard() {
  await tabTo('button');
  await page.keyboard.press('Enter');
  await page.getByText('Nothing waits').waitFor();
  say({ at: 'inbox' });
  await page.locator('.card').first().waitFor();
  await page.keyboard.press('j');
  await page.keyboard.press('Enter');
  await page.waitForURL('**/console/gates/*');
  await tabTo('summary:not(section:first-of-type summary)');
  await tabTo('#justification');
  await page.keyboard.type('looked at the order j k g ?');
  await tabTo('.override > summary');
  await page.keyboard.press('Enter');
  await tabTo('[name="parameter:amount"]');
  await page.keyboard.press('Control+a');
  await page.keyboard.type('480');
  await page.keyboard.press('Enter');
  await page.getByRole('heading', { name: 'What you change' }).waitFor();
  await tabTo('#justification');
  await page.keyboard.type('one month is owed, not ten');
  await tabTo('button.approve');
  await page.keyboard.press('Enter');
  await page.getByRole('heading', { name: 'Recorded' }).waitFor();
  say({ done: true });
}

try {
  await page.goto(`${url}/`);
  await (hands === 'keyboard' ? withKeyboard() : withMouse());
} catch (error) {
  say({ failed: error.message, at: page.url() });
} finally {
  await browser.close();
}
