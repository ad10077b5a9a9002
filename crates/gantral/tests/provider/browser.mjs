// A person with a browser, at the pages of the identity provider for the tests: types a name, types a code, says yes or no.
//
// usage: node browser.mjs '{"url": …, "subject": …, "deny": false, "modules": "…/node_modules/"}'
// It prints {"url": …, "text": …} of the page at which it ends.

import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';

const said = JSON.parse(process.argv[2]);
const { chromium } = createRequire(pathToFileURL(said.modules))('playwright-core');
const PAGES_MAX = 12;

const browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args: ['--no-sandbox'] });
try {
  const page = await browser.newPage();
  // The provider's pages name fonts of another host, which are nobody's business here.
  await page.route((url) => url.hostname !== '127.0.0.1', (route) => route.abort());
  await page.goto(said.url, { waitUntil: 'domcontentloaded' });
  let settled = false;
  for (let pages = 0; pages < PAGES_MAX; pages += 1) {
    const there = async (selector) => (await page.locator(selector).count()) > 0;
    let press;
    if (await there('input[name=login]')) {
      await page.fill('input[name=login]', said.subject);
      await page.fill('input[name=password]', 'any');
      press = 'button[type=submit]';
    } else if (said.deny && (await there('button[name=abort]'))) {
      press = 'button[name=abort]';
    } else if (said.deny && (await there('a[href$="/abort"]'))) {
      press = 'a[href$="/abort"]';
    } else if (await there('button[type=submit]')) {
      press = 'button[type=submit]:not([name=abort])';
    } else if (!settled) {
      // A page that has only begun to arrive has no buttons either.
      await page.waitForLoadState('load');
      settled = true;
      continue;
    } else {
      break;
    }
    settled = false;
    await Promise.all([page.waitForNavigation({ waitUntil: 'domcontentloaded' }), page.click(press)]);
  }
  console.log(JSON.stringify({ url: page.url(), text: await page.innerText('body') }));
} finally {
  await browser.close();
}
