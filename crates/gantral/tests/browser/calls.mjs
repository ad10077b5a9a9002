// A person at the console, who decides on a call of a tool.
//
// usage: node calls.mjs MODULES URL TARGET [PICTURES]
// Prints one JSON line for each thing that is seen; the test compares. With PICTURES, a folder, it leaves screenshots there.

import { say, start } from './browser.mjs';

const [modules, url, target, pictures] = process.argv.slice(2);
const browser = await start(modules, url, pictures);
const page = await browser.somebody();

try {
  await page.goto(`${url}/`);
  await page.getByRole('button', { name: 'Alice' }).click();
  // The call comes while the page is open.
  await page.locator('.card').first().click();
  await page.getByText(target, { exact: false }).first().waitFor();
  await browser.look(page, 'call');
  say({ at: 'gate' });
  await page.locator('#justification').fill('it is wanted');
  await page.getByRole('button', { name: 'Approve as asked' }).click();
  await page.getByText('You approved it as asked.').waitFor();
  say({ done: true });
} catch (error) {
  say({ failed: error.message, at: page.url(), text: await page.locator('main').innerText().catch(() => '') });
} finally {
  await browser.close();
}
