// A person at the console, in a real browser.
//
// usage: node console.mjs MODULES URL mouse|keyboard|provider [PICTURES]
// Prints one JSON line for each thing that is seen; the test compares. With PICTURES, a folder, it leaves screenshots there.

import { atProvider, say, start, tabTo as tab } from './browser.mjs';

const [modules, url, hands, pictures] = process.argv.slice(2);
const browser = await start(modules, url, pictures);
const page = await browser.somebody();
const look = (name) => browser.look(page, name);
const tabTo = (selector) => tab(page, selector);

async function withMouse() {
  await look('login');
  if (hands === 'provider') await atProvider(page, 'ada');
  else await page.getByRole('button', { name: 'Alice' }).click();
  await page.getByText('Nothing waits').waitFor();
  say({ at: 'inbox' });
  // Nobody loads the page again.
  await page.locator('.card').first().waitFor();
  await look('inbox');
  await page.locator('.card').first().click();
  await look('gate');
  await page.getByText('Give it more time').click();
  await page.getByText('Approve something else instead').click();
  await look('gate-unfolded');
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
